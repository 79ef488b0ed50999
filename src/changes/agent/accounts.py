"""The account steps run as: the agent's own, or, when the agent is root, one that owns nothing else.

Code of strangers never runs as root, unless the operator says `--step-account root` in so many words.
"""

import os
import pwd
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from changes.agent.errors import AgentError

DEFAULT_NAME = "changes-step"
ROOT = 0
OTHERS_MAY_PASS = 0o001


class NoAccount(AgentError):
    """There is no account for steps, and none can be made."""


@dataclass(frozen=True)
class Account:
    name: str
    uid: int
    gid: int

    @property
    def is_own(self) -> bool:
        return self.uid == os.geteuid()

    def own(self, path: Path) -> None:
        """Of the folder alone, or a file; nothing is followed."""
        if not self.is_own:
            os.chown(path, self.uid, self.gid, follow_symlinks=False)

    def own_all(self, root: Path) -> None:
        """Of everything below, too. Links change their owner themselves, not what they lead to."""
        if self.is_own:
            return
        self.own(root)
        for _, folders, files, parent in os.fwalk(root):
            for name in (*folders, *files):
                os.chown(name, self.uid, self.gid, dir_fd=parent, follow_symlinks=False)

    def closed_to(self, path: Path) -> Path | None:
        """The outermost folder above that others may not pass, so that this account cannot get there."""
        if self.is_own or self.uid == ROOT:
            return None
        way = reversed(path.parents)
        return next((folder for folder in way if not folder.stat().st_mode & OTHERS_MAY_PASS), None)


def of_steps(name: str) -> Account:
    """`name` is what the operator said; empty means the usual one."""
    if os.geteuid() != ROOT:
        own = Account(_name_of(os.geteuid()), os.geteuid(), os.getegid())
        if name and name != own.name:
            raise NoAccount(f"Only an agent that runs as root can run steps as {name}.")
        return own
    wanted = name or DEFAULT_NAME
    return _found(wanted) or _made(wanted)


def _name_of(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _found(name: str) -> Account | None:
    try:
        entry = pwd.getpwnam(name)
    except KeyError:
        return None
    return Account(name, entry.pw_uid, entry.pw_gid)


def _made(name: str) -> Account:
    problem = useradd(name)
    # Two agents that start at once both try; whichever came second finds it made.
    found = _found(name)
    if found is None:
        raise NoAccount(
            f"Steps do not run as root, and the account {name} cannot be made ({problem}). Make it"
            " yourself, name another one by --step-account, or run the agent as an ordinary user."
        )
    return found


def useradd(name: str) -> str:
    """Makes an account that nobody signs in to; the answer is what went wrong."""
    program = shutil.which("useradd", path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin")
    if program is None:
        return "there is no useradd"
    argv = [program, "--system", "--user-group", "--no-create-home", "--shell", "/usr/sbin/nologin", name]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    return done.stderr.strip() if done.returncode else ""
