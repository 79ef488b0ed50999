"""How flaky a test is, from what is known of it, and in words. Pure.

What counts most is one revision on which it both passed and failed: the code was the same, so the test, or
what it stands on, is not. A run that passed after it had been run again says the same. A failure that
stands alone between passes says less, as somebody may have broken and mended it.

Each plan is looked at by itself: a test that fails on one system and passes on another is no riddle.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from uuid import UUID

LONE_WEIGHT = 0.25
# Without evidence of the first two kinds nobody can be sure.
LONE_ONLY_MAX = 30
# So much evidence is half of all certainty.
HALF_SURE = 2.0
# Who is flaky on one revision of ten or oftener is as bad as can be.
RATE_MAX = 0.1


@dataclass(frozen=True)
class Look:
    """One run of a test: which source, whether it passed, how often it was run again, by which plan."""

    run_id: int
    source: UUID
    is_passed: bool
    reruns: int = 0
    is_of_commit: bool = True
    plan: str = ""

    @property
    def same(self) -> tuple[UUID, str]:
        """What ran of this once more ran under the same circumstances."""
        return self.source, self.plan


@dataclass(frozen=True)
class Evidence:
    runs: int = 0
    sources: int = 0
    split_sources: int = 0
    passed_again: int = 0
    lone_failures: int = 0
    # The newest run that is evidence.
    last_run: int = 0
    # Runs that failed on a source on which it passed, too.
    false_alarms: tuple[int, ...] = ()


def evidence(looks: Sequence[Look]) -> Evidence:
    """`looks` are newest first."""
    passed = {look.same for look in looks if look.is_passed}
    failed = {look.same for look in looks if not look.is_passed}
    split = passed & failed
    again = [look.run_id for look in looks if look.is_passed and look.reruns]
    alarms = [look.run_id for look in looks if not look.is_passed and look.same in split]
    alone = [run_id for mine in by_plan(looks) for run_id in lone(mine, split)]
    return Evidence(
        runs=len(looks),
        sources=len({source for source, _ in passed | failed}),
        split_sources=len({source for source, _ in split}),
        passed_again=len(again),
        lone_failures=len(alone),
        last_run=max([*again, *alarms, *alone], default=0),
        false_alarms=tuple(alarms),
    )


def by_plan(looks: Sequence[Look]) -> list[list[Look]]:
    found: dict[str, list[Look]] = defaultdict(list)
    for look in looks:
        found[look.plan].append(look)
    return list(found.values())


def lone(looks: Sequence[Look], split: set[tuple[UUID, str]]) -> Iterator[int]:
    """Failures of one commit between passes of two others; what is split is counted already."""
    commits = [look for look in looks if look.is_of_commit]
    for newer, this, older in zip(commits, commits[1:], commits[2:], strict=False):
        others = {newer.same, older.same}
        if not this.is_passed and newer.is_passed and older.is_passed and this.same not in others | split:
            yield this.run_id


def score(found: Evidence) -> int:
    """0 where nothing speaks for it, to 100: how sure it is, and how often it would disturb."""
    sure = found.split_sources + found.passed_again
    weight = sure + LONE_WEIGHT * found.lone_failures
    if not weight or not found.sources:
        return 0
    certainty = weight / (weight + HALF_SURE)
    often = min(1.0, weight / found.sources / RATE_MAX)
    value = max(1, round(100 * certainty * (0.5 + 0.5 * often)))
    return value if sure else min(value, LONE_ONLY_MAX)


def sentences(found: Evidence) -> list[str]:
    told = []
    if found.split_sources:
        told.append(f"both passed and failed on {times(found.split_sources, 'revision')}")
    if found.passed_again:
        told.append(f"passed {times(found.passed_again, 'time')} only after it was run again")
    if found.lone_failures:
        told.append(f"failed {times(found.lone_failures, 'time')} alone between passes")
    return told


def times(count: int, word: str) -> str:
    if word == "time" and count == 1:
        return "once"
    return f"{count} {word}{'' if count == 1 else 's'}"
