"""From the names that reports have to the files of the repository. Pure.

A report may say `/home/ci/work/src/app.py`, `com/acme/Pump.java` or `example.com/acme/pump/flow.go`. Which
file that is follows from the files that the commit has: what is in front of it in the name is taken away,
and what the name lacks put in front. Where a name fits several, that one counts which needs the same as
most other names of the report.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from functools import cached_property

Parts = tuple[str, ...]
# A name and the folders below which it may be.
Named = tuple[str, Parts]
# What a name has too much at its beginning, and what it lacks there.
Change = tuple[Parts, Parts]
# More files that end alike are not looked through one by one: `__init__.py` is everywhere.
LIKE_MAX = 50
COMMON_CHANGES = 8
DRIVE = re.compile(r"[A-Za-z]:")


@dataclass(frozen=True)
class Bare:
    """A name in parts; `..` and `.` are done with."""

    parts: Parts
    is_absolute: bool


@dataclass(frozen=True)
class Fit:
    """A file that it may be. `taken` was in front of the name, `given` is what it lacked."""

    path: str
    taken: Parts
    given: Parts
    shared: int

    @property
    def change(self) -> Change:
        return self.taken, self.given


@dataclass(frozen=True)
class Tree:
    """The files of a commit, by name and by how they end."""

    paths: Collection[str]

    @cached_property
    def ends(self) -> dict[Parts, list[Parts]]:
        found: dict[Parts, list[Parts]] = defaultdict(list)
        for path in self.paths:
            parts = tuple(path.split("/"))
            found[parts[-2:]].append(parts)
            if len(parts) > 1:
                found[parts[-1:]].append(parts)
        return found

    def like(self, parts: Parts) -> list[Parts]:
        """Those that have the last two parts in common, or else the last one."""
        found = self.ends.get(parts[-2:]) or self.ends.get(parts[-1:], [])
        return found if len(found) <= LIKE_MAX else []


def placed(names: Collection[Named], tree: Tree) -> dict[Named, str]:
    """Those that are files of the tree. What is none, or may be several, is left out."""
    fits = {named: fits_of(named, tree) for named in names}
    votes = Counter(fit.change for each in fits.values() for fit in each)
    common = [change for change, _ in votes.most_common(COMMON_CHANGES)]
    found = {}
    for named, each in fits.items():
        path = chosen(each or changed(named, common, tree), votes)
        if path is not None:
            found[named] = path
    return found


def without_tree(named: Named, folder: str) -> str | None:
    """Where nobody knows the files of the commit: `folder` is what it was checked out as."""
    name, roots = named
    below = next((root for root in map(bare, roots) if not root.is_absolute and root.parts), None)
    told = bare(name)
    if not told.is_absolute:
        return "/".join((*(below.parts if below else ()), *told.parts)) or None
    parts, folder_parts = told.parts, tuple(folder.split("/"))
    for start in range(len(parts) - len(folder_parts)):
        if parts[start : start + len(folder_parts)] == folder_parts:
            return "/".join(parts[start + len(folder_parts) :])
    return "/".join(parts) or None


def bare(name: str) -> Bare:
    text = name.replace("\\", "/") if "/" not in name or DRIVE.match(name) else name
    is_absolute = text.startswith("/") or DRIVE.match(text) is not None
    parts: list[str] = []
    for part in text.split("/"):
        if part == ".." and parts and parts[-1] != "..":
            parts.pop()
        elif part not in {"", "."}:
            parts.append(part)
    return Bare(tuple(parts), is_absolute)


def fits_of(named: Named, tree: Tree) -> list[Fit]:
    """What it says of where it is counts before what can only be guessed."""
    told = bare(named[0])
    below = [] if told.is_absolute else [bare(f"{root}/{named[0]}") for root in named[1]]
    all_of_it = [each for each in (*below, told) if each.parts]
    absolute = [fit for each in all_of_it if each.is_absolute for fit in ends_of(each, tree)]
    if absolute:
        return absolute
    relative = [each for each in all_of_it if not each.is_absolute]
    for each in relative:
        if (path := "/".join(each.parts)) in tree.paths:
            return [Fit(path, (), path_given(told, each), len(told.parts))]
    return [fit for each in relative for fit in like(each, tree)]


def path_given(told: Bare, below: Bare) -> Parts:
    return below.parts[: max(0, len(below.parts) - len(told.parts))]


def ends_of(name: Bare, tree: Tree) -> Iterator[Fit]:
    """Files whose whole name is the end of an absolute one, which lacks nothing at its beginning."""
    for start in range(len(name.parts)):
        if (path := "/".join(name.parts[start:])) in tree.paths:
            yield Fit(path, name.parts[:start], (), len(name.parts) - start)


def like(name: Bare, tree: Tree) -> Iterator[Fit]:
    """Files that end as the name does, as far as may be."""
    for parts in tree.like(name.parts):
        shared = shared_end(name.parts, parts)
        yield Fit(
            "/".join(parts), name.parts[: len(name.parts) - shared], parts[: len(parts) - shared], shared
        )


def shared_end(one: Parts, other: Parts) -> int:
    count = 0
    for left, right in zip(reversed(one), reversed(other), strict=False):
        if left != right:
            break
        count += 1
    return count


def chosen(fits: Collection[Fit], votes: Counter[Change]) -> str | None:
    """The one that needs what most names need; of those the one that has most in common."""
    best = max(((votes[fit.change], fit.shared) for fit in fits), default=None)
    if best is None:
        return None
    paths = {fit.path for fit in fits if (votes[fit.change], fit.shared) == best}
    # A last name alone is soon in common with a stranger: `util.go`.
    is_weak = best[1] == 1 and best[0] < max(votes.values())
    return paths.pop() if len(paths) == 1 and not is_weak else None


def changed(named: Named, common: Collection[Change], tree: Tree) -> list[Fit]:
    """What most other names need, tried for one that too many files may be."""
    parts = bare(named[0]).parts
    found = []
    for taken, given in common:
        rest = parts[len(taken) :]
        if parts[: len(taken)] == taken and (path := "/".join((*given, *rest))) in tree.paths:
            found.append(Fit(path, taken, given, len(rest)))
    return found
