"""Which files a pattern of a plan means. `**` stands for any number of folders."""

from collections.abc import Iterable
from fnmatch import fnmatchcase

ANY_DEPTH = "**"


def is_wanted(path: str, patterns: Iterable[str]) -> bool:
    """`path` is relative, with `/`. A pattern without `/` is about the file's name alone."""
    return any(_matches(path, pattern.removeprefix("./").lstrip("/")) for pattern in patterns if pattern)


def _matches(path: str, pattern: str) -> bool:
    if "/" not in pattern and pattern != ANY_DEPTH:
        return fnmatchcase(path.rpartition("/")[2], pattern)
    return _parts_match(path.split("/"), pattern.split("/"))


def _parts_match(path: list[str], pattern: list[str]) -> bool:
    """Follows all ways through the pattern at once, so a hostile one costs no more than its length."""
    reached = _with_skips({0}, pattern)
    for part in path:
        stepped = set()
        for place in reached:
            if place == len(pattern):
                continue
            if pattern[place] == ANY_DEPTH:
                stepped.add(place)
            elif fnmatchcase(part, pattern[place]):
                stepped.add(place + 1)
        reached = _with_skips(stepped, pattern)
    return len(pattern) in reached


def _with_skips(reached: set[int], pattern: list[str]) -> set[int]:
    """`**` may also stand for no folder at all."""
    every = set(reached)
    for place in range(len(pattern)):
        if place in every and pattern[place] == ANY_DEPTH:
            every.add(place + 1)
    return every
