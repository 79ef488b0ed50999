"""The ssh that git and hg use: the given key, never a question, never a host that changed its key."""

import shlex
from collections.abc import Iterator
from contextlib import contextmanager

from changes.vcs.in_memory import memory_file
from changes.vcs.interface import Credentials

# Whatever the account's own configuration says: the far side gets nothing but the repository's talk.
FIXED = (
    "BatchMode=yes",
    "ConnectTimeout=20",
    "ServerAliveInterval=15",
    "ForwardAgent=no",
    "ForwardX11=no",
    "ClearAllForwardings=yes",
    "PermitLocalCommand=no",
)


@contextmanager
def ssh_command(credentials: Credentials) -> Iterator[str]:
    """For a shell, as both tools want it; key and known hosts lie in memory as long as this."""
    with (
        memory_file(_lines(credentials.ssh_key)) as key,
        memory_file(_lines(credentials.known_hosts)) as hosts,
    ):
        options = [*FIXED]
        # ssh splits these values at spaces unless they are quoted.
        if credentials.known_hosts:
            options += ["StrictHostKeyChecking=yes", f'UserKnownHostsFile="{hosts}"']
            options += ["GlobalKnownHostsFile=/dev/null", "UpdateHostKeys=no"]
        else:
            options.append("StrictHostKeyChecking=accept-new")
        if credentials.ssh_key:
            options += ["IdentitiesOnly=yes", "IdentityAgent=none", f'IdentityFile="{key}"']
        yield shlex.join(["ssh", *(f"-o{option}" for option in options)])


def _lines(text: str) -> str:
    """As the tools want it: with a line end, whatever the form or file it came from."""
    lines = text.replace("\r\n", "\n").strip()
    return f"{lines}\n" if lines else ""
