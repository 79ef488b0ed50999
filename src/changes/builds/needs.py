"""Which jobs wait for which others of their build. Pure."""

from collections import deque
from collections.abc import Collection, Hashable, Iterable, Mapping, Sequence
from typing import TypeVar

from changes.builds.rules import Result

# Whatever tells jobs apart.
Name = TypeVar("Name", bound=Hashable)
# What a job must have come to for those that need it to run.
GOOD = (
    Result.PASSED,
    Result.QUARANTINED_PASSED,
    Result.QUARANTINED_FAILED,
    Result.QUARANTINED_SKIPPED,
)


def problems(needs: Mapping[str, Collection[str]]) -> dict[str, str]:
    """What is wrong with the needs of each plan that cannot be run because of them."""
    found = {
        name: f"it needs {missing[0]!r}, which is no plan of this build"
        f" (there are: {', '.join(sorted(needs))})"
        for name, needed in needs.items()
        if (missing := [each for each in needed if each not in needs])
    }
    for name in needs:
        circle = circle_from(name, needs)
        if circle and name not in found:
            found[name] = f"its needs go in a circle: {' → '.join(circle)}"
    return found


def circle_from(start: str, needs: Mapping[str, Collection[str]]) -> Sequence[str]:
    """The way from a plan back to itself, if there is one; walked without recursion."""
    came_from: dict[str, str] = {}
    waiting = [start]
    while waiting:
        name = waiting.pop()
        for needed in needs.get(name, ()):
            if needed == start:
                return [*reversed(way_back(name, start, came_from)), start]
            if needed not in came_from:
                came_from[needed] = name
                waiting.append(needed)
    return []


def way_back(name: str, start: str, came_from: Mapping[str, str]) -> list[str]:
    way = [name]
    while way[-1] != start:
        way.append(came_from[way[-1]])
    return way


def may_run(results: Collection[Result]) -> bool:
    """All jobs it needs have ended; of one that ended badly nothing may build upon."""
    return all(result in GOOD for result in results)


def doomed(needs: Iterable[tuple[Name, Name]], ended_badly: Iterable[Name]) -> dict[Name, Name]:
    """Who can never run, because one of these did not pass, or because what it needs can never run; with
    the first that it fails for, and behind that one. `needs` are pairs of a job and one that it needs.
    """
    needed_by: dict[Name, list[Name]] = {}
    for name, needed in needs:
        needed_by.setdefault(needed, []).append(name)
    found: dict[Name, Name] = {}
    left = deque(ended_badly)
    while left:
        needed = left.popleft()
        for name in needed_by.get(needed, ()):
            if name not in found:
                found[name] = needed
                left.append(name)
    return found
