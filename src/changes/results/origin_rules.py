"""Which commit broke a test: what is known of the commits between a good and a bad one, and which of them
to build next. Pure; commits are places in a row, the oldest first.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import IntEnum
from itertools import pairwise

from changes.builds.rules import Result

GOOD_RESULTS = (Result.PASSED, Result.QUARANTINED_PASSED)
BAD_RESULTS = (Result.FAILED, Result.QUARANTINED_FAILED)


class Verdict(IntEnum):
    """What a commit says of the test; untestable is one whose build ended without running it. Of those whose
    build somebody cancelled, or machines lost again and again, nothing is known.
    """

    UNKNOWN = 0
    GOOD = 1
    BAD = 2
    UNTESTABLE = 3
    CANCELLED = 4
    LOST = 5


# A build of somebody else may still tell of them.
NOT_KNOWN = (Verdict.UNKNOWN, Verdict.CANCELLED, Verdict.LOST)
# What machines lost is built again so often, of one commit and in the whole search.
AGAIN_MAX, LOST_IN_ALL_MAX = 2, 8
# In words, after the number of commits.
NOTHING_TOLD = {
    Verdict.UNTESTABLE: "{count} that cannot be tested",
    Verdict.CANCELLED: "{count} whose build was cancelled",
    Verdict.LOST: "{count} whose builds machines lost",
}


class SearchState(IntEnum):
    SEARCHING = 0
    FOUND = 1
    GIVEN_UP = 2
    CANCELLED = 3


@dataclass(frozen=True)
class Cost:
    """At most: so many builds, in so many rounds, one after the other."""

    builds: int
    rounds: int

    def minutes(self, usual_ms: int | None) -> float | None:
        """Of all machines together."""
        return None if usual_ms is None else self.builds * usual_ms / 60_000

    def wait_minutes(self, usual_ms: int | None) -> float | None:
        return None if usual_ms is None else self.rounds * usual_ms / 60_000


def verdict_of(result: Result) -> Verdict:
    if result in GOOD_RESULTS:
        return Verdict.GOOD
    return Verdict.BAD if result in BAD_RESULTS else Verdict.UNTESTABLE


def silence(lost_before: int, *, was_lost: bool, was_cancelled: bool) -> Verdict:
    """What a build says of its commit that ended without a word of the test, after machines had lost so many
    others of the same commit. UNKNOWN is to be built again.
    """
    if was_cancelled:
        return Verdict.CANCELLED
    if was_lost:
        return Verdict.LOST if lost_before >= AGAIN_MAX else Verdict.UNKNOWN
    return Verdict.UNTESTABLE


def nothing_left(verdicts: Sequence[Verdict]) -> str:
    """Why it can go no further, in words: what is between the good one and the bad one tells nothing."""
    good, bad = interval(verdicts)
    between = verdicts[good + 1 : bad]
    if set(between) == {Verdict.UNTESTABLE}:
        return f"One of {bad - good} commits: those in between cannot be tested."
    told = [
        words.format(count=count)
        for verdict, words in NOTHING_TOLD.items()
        if (count := between.count(verdict))
    ]
    return f"One of {bad - good} commits. Nothing is known of those in between: {', '.join(told)}."


def interval(verdicts: Sequence[Verdict]) -> tuple[int, int]:
    """The newest good one, and the first bad one after it: a test that broke twice was mended in between."""
    good = max(place for place, verdict in enumerate(verdicts) if verdict == Verdict.GOOD)
    bad = min(place for place, verdict in enumerate(verdicts) if verdict == Verdict.BAD and place > good)
    return good, bad


def unknown_between(verdicts: Sequence[Verdict]) -> list[int]:
    good, bad = interval(verdicts)
    return [place for place in range(good + 1, bad) if verdicts[place] == Verdict.UNKNOWN]


def culprit(verdicts: Sequence[Verdict]) -> int | None:
    """The first bad one, once its parent is known to be good."""
    good, bad = interval(verdicts)
    return bad if bad == good + 1 else None


def next_places(verdicts: Sequence[Verdict], busy: Collection[int], parallel: int) -> list[int]:
    """So that what is built at once cuts what is left into equal parts. What is built already stays."""
    unknown = unknown_between(verdicts)
    going_on = [place for place in unknown if place in busy]
    free = [place for place in unknown if place not in busy]
    wanted = min(max(parallel - len(going_on), 0), len(free))
    if not going_on:
        return sorted({free[number * (len(free) + 1) // (wanted + 1) - 1] for number in range(1, wanted + 1)})
    chosen: list[int] = []
    for _ in range(wanted):
        ends = sorted([*interval(verdicts), *going_on, *chosen])
        gaps = [[place for place in free if low < place < high] for low, high in pairwise(ends)]
        widest = max(gaps, key=len)
        if not widest:
            break
        chosen.append(widest[len(widest) // 2])
    return sorted(chosen)


def cost(unknown: int, parallel: int) -> Cost:
    builds = rounds = 0
    while unknown > 0:
        at_once = min(parallel, unknown)
        builds, rounds = builds + at_once, rounds + 1
        # The largest part that may be left.
        unknown = -(-(unknown - at_once) // (at_once + 1))
    return Cost(builds, rounds)
