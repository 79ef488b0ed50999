"""The processes of a step, found wherever they hide, and their end.

Each process of a step inherits a random mark in its environment, so it is known again after it
has left its process group, its session and its parent; what has shed even its environment is known
by its session or by its ancestors. On Linux the agent adopts orphans (PR_SET_CHILD_SUBREAPER):
they hang on its main thread, which never starts a process itself. So "nobody was left behind" is
one short read, and an orphan without any mark is killed once no other step could own it.
"""

import ctypes
import functools
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from msgspec import Struct

MARK_NAME = "CHANGES_STEP_MARK"
GRACE_S = 5.0
# After SIGKILL only a process that hangs in the kernel is still there; waiting longer is no use.
AFTER_KILL_S = 5.0
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.002, 0.2
PROC = Path("/proc")
PR_SET_CHILD_SUBREAPER, PR_GET_CHILD_SUBREAPER = 36, 37
# Places in /proc/<pid>/stat, counted after the name.
STATE, PARENT, SESSION, STARTED = 0, 1, 3, 19

log = logging.getLogger("changes.agent")
# One at a time: what another one has reaped may be somebody else by now.
_reaping = threading.Lock()


class Identity(Struct, frozen=True):
    """A process id alone may be somebody else by now; with its start it may not."""

    pid: int
    started: int


@dataclass(frozen=True)
class Seen:
    identity: Identity
    parent: int
    session: int
    mark: str | None


@dataclass(frozen=True)
class Tree:
    """All processes of one step. `is_alone`: no other step runs in this agent."""

    mark: str
    leaders: tuple[Identity, ...] = ()
    is_alone: bool = False

    def with_leader(self, leader: Identity | None) -> "Tree":
        return self if leader is None else replace(self, leaders=(*self.leaders, leader))


def kill_tree(tree: Tree, grace_s: float = GRACE_S) -> None:
    """TERM, grace, KILL; returns when all are gone."""
    kill_at = time.monotonic() + grace_s
    told: set[Identity] = set()
    pause_s = FIRST_PAUSE_S
    while living := _living(tree):
        now = time.monotonic()
        if now > kill_at + AFTER_KILL_S:
            log.error("These processes do not die: %s", sorted(each.pid for each in living))
            return
        if now >= kill_at:
            _signal(living, signal.SIGKILL)
        else:
            _signal(living - told, signal.SIGTERM)
            told |= living
        time.sleep(pause_s)
        pause_s = min(pause_s * 2, LONGEST_PAUSE_S)


def may_have_orphans() -> bool:
    """Whether anything may have outlived its command."""
    reap_orphans()
    adopted = _adopted()
    return adopted is None or bool(adopted)


def members(seen: Collection[Seen], tree: Tree, adopted: Collection[int] = ()) -> set[Identity]:
    """Those of the step: marked, in a session of its commands, adopted by us, or below one of these."""
    running = {each.identity.pid: each.identity for each in seen}
    found = {each.identity.pid for each in seen if _is_root(each, tree, running, adopted)}
    before = -1
    while len(found) != before:
        before = len(found)
        found |= {each.identity.pid for each in seen if each.parent in found}
    return {running[pid] for pid in found}


def _is_root(each: Seen, tree: Tree, running: Mapping[int, Identity], adopted: Collection[int]) -> bool:
    if each.mark is not None:
        return each.mark == tree.mark
    if tree.is_alone and each.identity.pid in adopted:
        return True
    return any(
        each.session == leader.pid
        and each.identity.started >= leader.started
        and running.get(leader.pid, leader) == leader
        for leader in tree.leaders
    )


def identity(pid: int) -> Identity | None:
    fields = _stat(str(pid))
    return Identity(pid, int(fields[STARTED])) if fields else None


def adopt_orphans() -> None:
    """From now on, processes that lose their parent below us become our children."""
    if sys.platform == "linux":
        _libc().prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def reap_orphans() -> None:
    """Adopted children that ended. Only the main thread's: the others have somebody who waits."""
    with _reaping:
        for pid in _adopted() or ():
            with suppress(ChildProcessError):
                os.waitpid(pid, os.WNOHANG)


def kill_children_of_thread(thread_id: int) -> None:
    """What a thread has started and waits for, such as a git that fetches for minutes."""
    for pid in _children(thread_id) or ():
        with suppress(ProcessLookupError):
            # git leaves the talking to a child, which holds its pipes open.
            if os.getpgid(pid) == pid:
                os.killpg(pid, signal.SIGKILL)
            else:
                os.kill(pid, signal.SIGKILL)


def _living(tree: Tree) -> set[Identity]:
    return members(list(_see()), tree, _adopted() or ())


def _signal(targets: Collection[Identity], number: signal.Signals) -> None:
    for target in targets:
        with suppress(ProcessLookupError, PermissionError):
            os.kill(target.pid, number)


def _adopted() -> set[int] | None:
    """None where the system does not let us know."""
    return _children(threading.main_thread().native_id or 0) if _is_adopting() else None


def _is_adopting() -> bool:
    if sys.platform != "linux":
        return False
    answer = ctypes.c_int()
    _libc().prctl(PR_GET_CHILD_SUBREAPER, ctypes.byref(answer), 0, 0, 0)
    return bool(answer.value)


@functools.cache
def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None)


def _children(thread_id: int) -> set[int] | None:
    try:
        return {int(pid) for pid in _read(PROC / f"self/task/{thread_id}/children").split()}
    except OSError:
        return None


def _read(path: Path) -> bytes:
    """Unbuffered and undecoded: asked at the end of each process, that costs half."""
    with path.open("rb", buffering=0) as file:
        return file.read()


def _see() -> Iterator[Seen]:
    """Every process that is not dead already. Nothing, where there is no /proc."""
    names = (entry.name for entry in PROC.iterdir()) if PROC.exists() else iter(())
    for name in names:
        if not name.isdigit() or not (fields := _stat(name)) or fields[STATE] in "ZX":
            continue
        who = Identity(int(name), int(fields[STARTED]))
        yield Seen(who, int(fields[PARENT]), int(fields[SESSION]), _mark(name))


def _stat(pid: str) -> list[str]:
    try:
        # The name may hold blanks and brackets, so reading starts after the last bracket.
        return _read(PROC / pid / "stat").rpartition(b")")[2].decode().split()
    except OSError:
        return []


def _mark(pid: str) -> str | None:
    try:
        environment = _read(PROC / pid / "environ")
    except OSError:
        return None
    start = f"{MARK_NAME}=".encode()
    marks = [entry for entry in environment.split(b"\0") if entry.startswith(start)]
    return marks[0].removeprefix(start).decode(errors="replace") if marks else None
