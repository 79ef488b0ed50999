"""Control groups: what a step may use at most, what it used, and its end, all processes at once.

There are three worlds. Version 2 has one tree for everything. Version 1 has one tree for each
controller. In the hybrid one some controllers are in trees of version 1 while the tree of version 2
is there too, often without any controller but with `cgroup.kill`. `find` looks which of them this
agent may write to; a machine where it may write to none holds steps to no limits, and says so.
"""

import os
import signal
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")
LIMITS = ("memory", "pids", "cpu")
# Counted without being limited.
COUNTER = "cpuacct"
CPU_PERIOD_US = 100_000
MEGABYTE = 2**20
# The tree of version 2 in the mapping of controllers to folders.
UNIFIED = ""
KILL_WITHIN_S = 5.0
# The dying take some tenths of a millisecond, unless they have much memory to give back.
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.0002, 0.01
NS_PER_MS, US_PER_MS = 1_000_000, 1000
# Places in a line of /proc/self/mountinfo, before its dash and behind it.
ROOT, FOLDER, OPTIONS = 3, 4, 2


@dataclass(frozen=True)
class Amounts:
    """At most; 0 is no limit."""

    memory_mb: int = 0
    pids: int = 0
    cpus: float = 0


@dataclass(frozen=True)
class Mount:
    """One tree; those of version 1 say which controllers they have."""

    controllers: tuple[str, ...]
    root: str
    folder: Path
    is_v2: bool = False


@dataclass(frozen=True)
class Trees:
    """Below which folders this agent may make groups. In `v2` all controllers are in one."""

    v1: Mapping[str, Path]
    v2: Path | None = None
    v2_controllers: tuple[str, ...] = ()

    @property
    def limits(self) -> list[str]:
        return [name for name in LIMITS if name in self.v1 or name in self.v2_controllers]

    def sweep(self) -> None:
        """What an agent that was killed left behind, as far as nobody lives in it."""
        for parent in self._parents():
            with suppress(OSError):
                for folder in [each for each in parent.iterdir() if each.is_dir()]:
                    _removed(folder)

    def leave(self) -> None:
        """When the agent ends: nothing of ours stays in the system."""
        self.sweep()
        for parent in self._parents():
            _removed(parent)

    def _parents(self) -> set[Path]:
        return {*self.v1.values(), *filter(None, [self.v2])}

    def make(self, name: str, amounts: Amounts) -> "Group":
        """Raises OSError when the system refuses after all."""
        # Joining one takes the system a millisecond, so nobody joins what he has no use for.
        used = {each for each in self.v1 if each != "cpu" or amounts.cpus}
        folders = {controller: self.v1[controller] / name for controller in used}
        if self.v2 is not None:
            folders[UNIFIED] = self.v2 / name
        group = Group(folders, frozenset(self.v2_controllers))
        try:
            for folder in set(folders.values()):
                folder.mkdir(exist_ok=True)
            group.limit(amounts)
        except OSError:
            group.remove()
            raise
        return group


@dataclass(frozen=True)
class Group:
    folders: Mapping[str, Path]
    v2_controllers: frozenset[str]

    @property
    def joining(self) -> list[Path]:
        """A process of one thread that writes a 0 into all of these belongs to the group.

        In version 1 as a thread: for a whole process the kernel stops all forks of the machine and
        waits until every processor has seen it, which takes up to ten milliseconds.
        """
        return sorted(
            {
                folder / ("cgroup.procs" if name == UNIFIED else "tasks")
                for name, folder in self.folders.items()
            }
        )

    def limit(self, amounts: Amounts) -> None:
        for controller, name, value in settings(amounts, self.v2_controllers):
            if controller in self.folders:
                with suppress(FileNotFoundError):
                    (self.folders[controller] / name).write_text(value)

    def cpu_ms(self) -> int | None:
        if "cpu" in self.v2_controllers:
            used = _fields(self.folders[UNIFIED] / "cpu.stat").get("usage_usec")
            return None if used is None else used // US_PER_MS
        if COUNTER not in self.folders:
            return None
        used = _number(self.folders[COUNTER] / "cpuacct.usage")
        return None if used is None else used // NS_PER_MS

    def peak_memory_kb(self) -> int | None:
        """Since the last `forget_peak`, where the system can forget; else of the whole step."""
        name, controller = "memory.max_usage_in_bytes", "memory"
        if "memory" in self.v2_controllers:
            name, controller = "memory.peak", UNIFIED
        if controller not in self.folders:
            return None
        peak = _number(self.folders[controller] / name)
        return None if peak is None else peak // 1024

    def forget_peak(self) -> None:
        if "memory" in self.folders:
            with suppress(OSError):
                (self.folders["memory"] / "memory.max_usage_in_bytes").write_text("0")

    def memory_kills(self) -> int:
        """How often a process was killed because the group had no memory left."""
        if "memory" in self.v2_controllers:
            return _fields(self.folders[UNIFIED] / "memory.events").get("oom_kill", 0)
        if "memory" in self.folders:
            return _fields(self.folders["memory"] / "memory.oom_control").get("oom_kill", 0)
        return 0

    def members(self) -> set[int]:
        return {pid for each in set(self.folders.values()) for pid in _pids(each / "cgroup.procs")}

    def kill(self) -> bool:
        """Whether all are gone. Nobody new can start meanwhile where the number of processes is limited."""
        pauses = _pauses()
        self._forbid_forks()
        while living := self.members():
            if not self._kill_at_once():
                for pid in living:
                    with suppress(ProcessLookupError, PermissionError):
                        os.kill(pid, signal.SIGKILL)
            if not next(pauses):
                return False
        return True

    def remove(self) -> None:
        """A group whose last process is just dying is busy for a moment."""
        pauses = _pauses()
        for folder in set(self.folders.values()):
            while not _removed(folder) and next(pauses):
                pass

    def _forbid_forks(self) -> None:
        for controller in ("pids", UNIFIED):
            if controller in self.folders:
                with suppress(OSError):
                    (self.folders[controller] / "pids.max").write_text("0")

    def _kill_at_once(self) -> bool:
        """Of version 2, since Linux 5.14. A process that is not in that tree is not reached by it."""
        unified = self.folders.get(UNIFIED)
        if unified is None or len(set(self.folders.values())) > 1:
            return False
        try:
            (unified / "cgroup.kill").write_text("1")
        except OSError:
            return False
        return True


def settings(amounts: Amounts, v2_controllers: Iterable[str]) -> list[tuple[str, str, str]]:
    """Which file of which tree gets which value. Pure."""
    in_v2 = set(v2_controllers)
    found: list[tuple[str, str, str]] = []
    if amounts.memory_mb:
        limit = str(amounts.memory_mb * MEGABYTE)
        if "memory" in in_v2:
            found += [(UNIFIED, "memory.max", limit), (UNIFIED, "memory.swap.max", "0")]
            found.append((UNIFIED, "memory.oom.group", "0"))
        else:
            found.append(("memory", "memory.limit_in_bytes", limit))
            # Memory and swap together; where there is no swap there is no such file.
            found.append(("memory", "memory.memsw.limit_in_bytes", limit))
    if amounts.pids:
        found.append((UNIFIED if "pids" in in_v2 else "pids", "pids.max", str(amounts.pids)))
    if amounts.cpus:
        quota = str(round(amounts.cpus * CPU_PERIOD_US))
        if "cpu" in in_v2:
            found.append((UNIFIED, "cpu.max", f"{quota} {CPU_PERIOD_US}"))
        else:
            found.append(("cpu", "cpu.cfs_period_us", str(CPU_PERIOD_US)))
            found.append(("cpu", "cpu.cfs_quota_us", quota))
    return found


# --- which trees there are ------------------------------------------------------------------------


def find(name: str, proc: Path = PROC) -> Trees:
    """`name` is of this agent: below it its groups lie. Nothing is changed where nothing may be."""
    try:
        mounts = mounted((proc / "self/mountinfo").read_text())
        own = memberships((proc / "self/cgroup").read_text())
    except OSError:
        return Trees({})
    v1: dict[str, Path] = {}
    unified: Path | None = None
    controllers: tuple[str, ...] = ()
    for mount in mounts:
        if mount.is_v2:
            unified, controllers = _usable_v2(mount, own.get(UNIFIED, "/"), name)
            continue
        for controller in mount.controllers:
            # Alone the counter is not worth a tree of its own: the system counts as well.
            if controller in LIMITS or (controller == COUNTER and "cpu" in mount.controllers):
                folder = _usable_v1(mount, own.get(controller, "/"), name)
                v1 |= {} if folder is None else {controller: folder}
    return Trees({key: value for key, value in v1.items() if key not in controllers}, unified, controllers)


def mounted(mountinfo: str) -> list[Mount]:
    found = []
    for line in mountinfo.splitlines():
        before, _, behind = line.partition(" - ")
        fields, kind = before.split(), behind.split()
        if behind.startswith("cgroup2 "):
            found.append(Mount((), fields[ROOT], Path(fields[FOLDER]), is_v2=True))
        elif behind.startswith("cgroup "):
            found.append(Mount(tuple(kind[OPTIONS].split(",")), fields[ROOT], Path(fields[FOLDER])))
    return found


def memberships(text: str) -> dict[str, str]:
    """Of /proc/self/cgroup: by controller, and by "" for the tree of version 2."""
    found: dict[str, str] = {}
    for line in text.splitlines():
        _, controllers, path = line.split(":", 2)
        found |= dict.fromkeys(controllers.split(","), path)
    return found


def _own_folder(mount: Mount, path: str) -> Path:
    """Where our own group is mounted; the top, where it lies outside of what we can see."""
    inside = path.removeprefix(mount.root if mount.root != "/" else "").lstrip("/")
    folder = mount.folder / inside
    return folder if ".." not in Path(inside).parts and folder.is_dir() else mount.folder


def _usable_v1(mount: Mount, path: str, name: str) -> Path | None:
    folder = _own_folder(mount, path) / name
    try:
        folder.mkdir(exist_ok=True)
    except OSError:
        return None
    return folder if os.access(folder, os.W_OK) and (folder / "cgroup.procs").exists() else None


def _usable_v2(mount: Mount, path: str, name: str) -> tuple[Path | None, tuple[str, ...]]:
    """Below our own group, from which we move ourselves aside; else, as root, from the top."""
    for parent in dict.fromkeys((_own_folder(mount, path), mount.folder)):
        folder = parent / name
        if not _given_on(parent):
            _step_aside(parent)
        try:
            folder.mkdir(exist_ok=True)
        except OSError:
            continue
        if not _given_on(parent) and _words(mount.folder / "cgroup.controllers"):
            _removed(folder)
            continue
        controllers = _given_on(folder)
        return folder, tuple(each for each in LIMITS if each in controllers)
    return None, ()


def _step_aside(parent: Path) -> None:
    """A group that gives controllers to others has no processes of its own: ours get one beside them."""
    wanted = [each for each in _words(parent / "cgroup.controllers") if each in LIMITS]
    mine = {os.getpid(), os.getppid()}
    if not wanted or not os.access(parent, os.W_OK):
        return
    with suppress(OSError):
        if (living := set(_pids(parent / "cgroup.procs"))) and living <= mine:
            aside = parent / "changes-agent-itself"
            aside.mkdir(exist_ok=True)
            for pid in living:
                (aside / "cgroup.procs").write_text(str(pid))
        _give(parent, wanted)


def _given_on(folder: Path) -> list[str]:
    """Controllers that groups below this one have; as many as can be are switched on."""
    given = _words(folder / "cgroup.subtree_control")
    missing = [each for each in _words(folder / "cgroup.controllers") if each in LIMITS and each not in given]
    if missing and not _pids(folder / "cgroup.procs"):
        with suppress(OSError):
            _give(folder, missing)
    return _words(folder / "cgroup.subtree_control")


def _give(folder: Path, controllers: list[str]) -> None:
    (folder / "cgroup.subtree_control").write_text(" ".join(f"+{each}" for each in controllers))


def _pauses() -> Iterator[bool]:
    """Waits at each turn, longer and longer, and says whether there is time for another."""
    ends_at = time.monotonic() + KILL_WITHIN_S
    pause_s = FIRST_PAUSE_S
    while True:
        time.sleep(pause_s)
        pause_s = min(pause_s * 2, LONGEST_PAUSE_S)
        yield time.monotonic() < ends_at


def _removed(folder: Path) -> bool:
    try:
        folder.rmdir()
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return True


def _pids(path: Path) -> list[int]:
    return [int(word) for word in _words(path) if word != "0"]


def _words(path: Path) -> list[str]:
    try:
        with path.open("rb", buffering=0) as file:
            return file.read().decode().split()
    except OSError:
        return []


def _number(path: Path) -> int | None:
    words = _words(path)
    return int(words[0]) if words and words[0].isdecimal() else None


def _fields(path: Path) -> dict[str, int]:
    words = _words(path)
    pairs = zip(words[::2], words[1::2], strict=False)
    return {name: int(value) for name, value in pairs if value.isdecimal()}
