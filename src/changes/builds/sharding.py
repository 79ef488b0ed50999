"""Cutting work into shards that end at about the same time, longest first. Pure.

What is collected may be a file, a package or a test; what was measured are tests. A name is
therefore taken apart into its segments, and a collected name costs what all tests cost whose
segments begin with its own.
"""

import heapq
import math
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import mean

Segments = tuple[str, ...]
SEPARATORS = re.compile(r"[/\\.:]+")
# Of files at the top of a repository. Those of one letter look too much like the name of a test.
EXTENSIONS = frozenset({
    "cc", "cpp", "cs", "exs", "feature", "go", "java", "js", "jsx", "kt", "php", "pl", "py", "rb", "rs",
    "scala", "sh", "swift", "ts", "tsx",
})  # fmt: skip
# So much longer than with every shard that there may be, if it saves machines.
LONGER_BY = 0.1


@dataclass(frozen=True)
class Durations:
    """What earlier runs took. Empty: nothing is known, and everything counts the same."""

    tests: Mapping[str, int] = field(default_factory=dict)
    # Before the first test of a shard runs: checkout, set-up, start of the runner.
    setup_ms: int = 0


@dataclass(frozen=True)
class Shard:
    names: list[str]
    expected_ms: int


def cut(names: Sequence[str], durations: Durations, *, most: int) -> list[Shard]:
    """Every name in exactly one shard; the same question has the same answer."""
    if not names:
        return []
    costs = costs_of(names, durations.tests)
    count = shards_worth(list(costs.values()), durations, most=min(len(names), most))
    places = {name: place for place, name in enumerate(names)}
    bins = [sorted(each, key=places.__getitem__) for each in spread(costs, count)]
    return [
        Shard(each, durations.setup_ms + sum(costs[name] for name in each) if durations.tests else 0)
        for each in bins
    ]


def costs_of(names: Sequence[str], measured: Mapping[str, int]) -> dict[str, int]:
    """What is not known costs as much as a test does on average."""
    average_ms = int(mean(measured.values())) if measured else 0
    known = sums(names, measured)
    return {name: known.get(name, average_ms) for name in names}


def by_segments(names: Iterable[str]) -> dict[Segments, list[str]]:
    """Different names may be read alike, as a/b.py and a.b."""
    wanted: dict[Segments, list[str]] = {}
    for name in names:
        for segments in set(readings(name)):
            wanted.setdefault(segments, []).append(name)
    return wanted


def sums(names: Iterable[str], measured: Mapping[str, int]) -> dict[str, int]:
    """Of the names that anything is known of."""
    wanted = by_segments(names)
    found: dict[str, int] = {}
    for test, duration_ms in measured.items():
        for name in beginnings(test, wanted):
            found[name] = found.get(name, 0) + duration_ms
    return found


def without_report(names: Iterable[str], reported: Iterable[str]) -> list[str]:
    """Of the collected names those that no reported test belongs to."""
    asked = list(names)
    wanted = by_segments(asked)
    seen = {name for test in reported for name in beginnings(test, wanted)}
    return [name for name in asked if name not in seen]


def beginnings(test: str, wanted: Mapping[Segments, list[str]]) -> set[str]:
    """The wanted names that this test belongs to, however deep."""
    return {
        name
        for reading in readings(test)
        for length in range(1, len(reading) + 1)
        for name in wanted.get(reading[:length], ())
    }


def readings(name: str) -> Iterator[Segments]:
    """As it stands, and as a path without the extension of its file: runners write both."""
    yield tuple(filter(None, SEPARATORS.split(name)))
    path, colons, rest = name.partition("::")
    bare, _, extension = path.rpartition(".")
    # A lone a.b may be a file or a package, so only what is surely a file loses its end.
    if bare and (colons or "/" in path or extension in EXTENSIONS) and "/" not in extension:
        yield tuple(filter(None, SEPARATORS.split(bare + colons + rest)))


def shards_worth(costs_ms: Collection[int], durations: Durations, *, most: int) -> int:
    """As few as take hardly longer than the most would: each shard pays for its set-up again."""
    if not durations.tests or durations.setup_ms <= 0 or most < 1:
        return most
    total_ms, longest_ms = sum(costs_ms), max(costs_ms)
    best_ms = durations.setup_ms + max(longest_ms, total_ms / most)
    room_ms = best_ms * (1 + LONGER_BY) - durations.setup_ms
    return max(1, min(most, math.ceil(total_ms / room_ms)))


def spread(costs: Mapping[str, int], count: int) -> list[list[str]]:
    """The longest first, each to the bin with the least so far: at most a third above the best."""
    bins: list[list[str]] = [[] for _ in range(count)]
    lightest = [(0, place) for place in range(count)]
    for name in sorted(costs, key=lambda each: (costs[each], each), reverse=True):
        weight, place = lightest[0]
        bins[place].append(name)
        # The one more keeps counts even where nothing is known.
        heapq.heapreplace(lightest, (weight + 1 + costs[name], place))
    return bins
