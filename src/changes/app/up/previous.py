"""The children of this run, written down so that the next run can end them if we are killed."""

import json
import signal
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from changes.app.embedded import processes
from changes.app.embedded.processes import Identity

RECORD = "run.json"
END_WITHIN_S = 8


@dataclass(frozen=True)
class Left:
    """A child as a later run needs to know it. A pid alone may be somebody else's by then."""

    name: str
    pid: int
    started: str
    stop_rank: int = 0
    stop_signal: int = signal.SIGTERM

    @property
    def identity(self) -> Identity:
        return Identity(self.pid, self.started)


def write(home: Path, children: Sequence[Left]) -> None:
    new = home / f"{RECORD}.new"
    new.write_text(json.dumps([vars(child) for child in children]))
    new.replace(home / RECORD)


def forget(home: Path) -> None:
    (home / RECORD).unlink(missing_ok=True)


def read(home: Path) -> list[Left]:
    """An unreadable record says nothing: what it named cannot be told from strangers."""
    try:
        return [Left(**entry) for entry in json.loads((home / RECORD).read_text())]
    except (FileNotFoundError, ValueError, TypeError):
        return []


def end_all(home: Path) -> list[str]:
    """End what an earlier run left behind, in its stop order; the answer is their names."""
    left = [child for child in read(home) if processes.is_alive(child.identity)]
    deadline = time.monotonic() + END_WITHIN_S
    for rank in sorted({child.stop_rank for child in left}):
        _end([child for child in left if child.stop_rank == rank], deadline)
    forget(home)
    return [child.name for child in left]


def _end(children: Sequence[Left], deadline: float) -> None:
    for child in children:
        processes.send(child.identity, child.stop_signal)
    for child in children:
        patience_s = max(0.0, deadline - time.monotonic())
        processes.wait_until_gone(child.identity, patience_s)
        _kill_group_of(child)


def _kill_group_of(child: Left) -> None:
    # The kernel gives a pid to nobody else while a group still bears it, so a living process
    # with another start time means that the group has gone.
    found = processes.identify(child.pid)
    if found is None or found == child.identity:
        processes.kill_group(child.pid)
        processes.wait_until_gone(child.identity, 1)
