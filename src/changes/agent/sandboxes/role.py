"""What a sandbox is for the rest of the agent, and what all kinds of them share.

A sandbox lasts as long as its step: what a command leaves running serves the commands after it, and
ends with the step. Output goes to named pipes, because some sandboxes can only be told a name.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from changes.agent.accounts import ROOT, Account
from changes.agent.cgroups import Group
from changes.agent.processes import Identity
from changes.agent.spool import StepFolder
from changes.protocol import Limits

UMASK = 0o022
VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
KILLED_BY_0 = 128
SIGNALS = range(KILLED_BY_0 + 1, KILLED_BY_0 + 65)
NO_LIMITS = Limits()
CONTAINER_ROOT = Path("/")
# Joins the groups whose files come first, then becomes the command.
JOIN = 'n=$1; shift; while [ "$n" -gt 0 ]; do echo 0 > "$1" || exit 126; shift; n=$((n-1)); done; exec "$@"'
OWN_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True)
class Layer:
    """A folder that the step may change while what lies below it stays: its changes go into `upper`."""

    target: Path
    lowers: tuple[Path, ...]
    upper: Path
    work: Path
    merged: Path
    # The root of a container: podman has an image for what lies below.
    image: str = ""
    # What the step leaves in its container is wanted in `upper` when it has ended.
    is_kept: bool = False


@dataclass(frozen=True)
class Ground:
    """What a sandbox stands on: the folders of the step, and what it is held to."""

    folder: StepFolder
    mark: str
    account: Account
    console: Path
    group: Group | None = None
    limits: Limits = NO_LIMITS
    image: str = ""
    has_network: bool = True
    is_trusted: bool = True
    # Folders nobody inside may see, and those of them that he may read all the same.
    hidden: tuple[Path, ...] = ()
    readable: tuple[Path, ...] = ()
    layers: tuple[Layer, ...] = ()
    # For what a tool has to keep between steps.
    home: Path = Path()

    @property
    def of_container(self) -> Layer | None:
        """What a snapshot brought, or is to keep, of a container itself."""
        return next((each for each in self.layers if each.target == CONTAINER_ROOT), None)

    @property
    def writable(self) -> tuple[Path, ...]:
        return (self.folder.work, self.folder.home, self.folder.temporary, self.folder.path / "streams")


@dataclass(frozen=True)
class Start:
    """One command."""

    argv: Sequence[str]
    folder: Path
    env: Mapping[str, str]
    output: Path
    errors: Path


@dataclass(frozen=True)
class Ended:
    """`return_code` is minus the signal for a killed process. Figures are None where nobody counted."""

    return_code: int
    cpu_ms: int | None = None
    peak_memory_kb: int | None = None


class Running(Protocol):
    @property
    def leader(self) -> Identity | None: ...

    def wait(self) -> Ended: ...

    def sign_of_end(self) -> int | None:
        """A descriptor that can be read from once it has ended, for whoever asks to close; None where
        there is no such thing, and `wait` has to be asked.
        """


class Sandbox(Protocol):
    kind: str

    def start(self, start: Start) -> Running:
        """Raises OSError, ValueError or AgentError when the command cannot be started."""

    def stop(self) -> None:
        """Ends what runs now: TERM, grace, KILL. Commands that come afterwards may still be started."""

    def end(self, *, is_alone: bool) -> None:
        """After the last command: nobody is left. `is_alone`: no other step runs in this agent."""


def entering(ground: Ground) -> list[str]:
    """What stands before a command so that it is held to the limits of its step, and drops what root may.

    Python could drop it as well, but then copies the whole agent for each process that it starts.
    """
    if ground.group is None:
        return dropping(ground.account)
    joining = [str(path) for path in ground.group.joining]
    words = ["/bin/sh", "-c", JOIN, "sh", str(len(joining)), *joining]
    return [*words, *dropping(ground.account)]


def return_code(code: int) -> int:
    """A shell, and whoever passes on what it says, has 128 + n for what signal n killed."""
    return KILLED_BY_0 - code if code in SIGNALS else code


def odd_variables(env: Mapping[str, str]) -> list[str]:
    """What stands before a command so that it gets variables with names that no shell can pass on."""
    odd = [f"{name}={value}" for name, value in env.items() if not VARIABLE.fullmatch(name)]
    return ["env", *odd] if odd else []


def end_group(group: Group | None) -> None:
    if group is not None:
        group.kill()
        group.remove()


def dropping(account: Account) -> list[str]:
    if account.is_own or account.uid == ROOT:
        return []
    ids = [f"--reuid={account.uid}", f"--regid={account.gid}", "--clear-groups", "--no-new-privs"]
    return ["setpriv", *ids, "--"]
