"""The ssh that git and hg use: the given key, never a question, never a host that changed its key."""

import shlex

from changes.vcs.interface import Credentials


def ssh_command(credentials: Credentials) -> str:
    """For a shell, as both tools want it."""
    options = [
        "BatchMode=yes",
        "StrictHostKeyChecking=accept-new",
        "ConnectTimeout=20",
        "ServerAliveInterval=15",
    ]
    # ssh splits these values at spaces unless they are quoted.
    if credentials.known_hosts_path:
        options.append(f'UserKnownHostsFile="{credentials.known_hosts_path}"')
    if credentials.ssh_key_path:
        options += ["IdentitiesOnly=yes", f'IdentityFile="{credentials.ssh_key_path}"']
    return shlex.join(["ssh", *(f"-o{option}" for option in options)])
