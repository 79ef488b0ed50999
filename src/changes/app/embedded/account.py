"""The account the databases run as: our own, or as root one that owns nothing but their data.

PostgreSQL refuses to run as root. Valkey would, but whoever reached its socket could then
write any file, so it drops to the same account.
"""

import os
import pwd
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

from changes.agent.accounts import useradd
from changes.app.embedded import processes
from changes.app.embedded.errors import AccountMissing, HomeNotReachable

NAME = "changes-postgres"
OTHERS_MAY_PASS = 0o001
PASSWD_WAIT_S = 5


class RunAs(TypedDict, total=False):
    user: int
    group: int
    extra_groups: list[int]


@dataclass(frozen=True)
class Account:
    name: str
    uid: int
    gid: int

    @property
    def is_own(self) -> bool:
        return self.uid == os.geteuid()

    @property
    def run_as(self) -> RunAs:
        """The arguments that make Popen run a program under this account."""
        return {} if self.is_own else {"user": self.uid, "group": self.gid, "extra_groups": []}

    def make_folder(self, path: Path) -> None:
        """Make a folder that nobody but this account (and root) can enter."""
        path.mkdir(mode=0o700, exist_ok=True)
        if not self.is_own:
            os.chown(path, self.uid, self.gid)

    def refuse_closed(self, path: Path) -> None:
        """See that the account can walk to this folder of the home."""
        if self.is_own:
            return
        for folder in path.parents:
            if not folder.stat().st_mode & OTHERS_MAY_PASS:
                raise HomeNotReachable(
                    f"The databases run as the account {self.name}, to which {folder} is closed:"
                    f" choose a folder elsewhere with CHANGES_HOME, or run chmod o+x {folder}."
                )


def for_servers() -> Account:
    if os.geteuid() == 0:
        return _find(NAME) or _make(NAME)
    own = pwd.getpwuid(os.geteuid())
    return Account(own.pw_name, own.pw_uid, own.pw_gid)


def _find(name: str) -> Account | None:
    try:
        entry = pwd.getpwnam(name)
    except KeyError:
        return None
    return Account(name, entry.pw_uid, entry.pw_gid)


def _make(name: str) -> Account:
    problem = useradd(name)
    # Two first starts at once: one of them makes the account, the other waits to see it.
    processes.wait_until(lambda: _find(name) is not None, PASSWD_WAIT_S if problem else 0)
    found = _find(name)
    if found is None:
        raise AccountMissing(
            f"PostgreSQL does not run as root and the account {name} cannot be made ({problem}):"
            " make it yourself, or run this as an ordinary user."
        )
    return found
