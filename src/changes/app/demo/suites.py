"""Tests with a character: most just pass; some are flaky, some grow slow, one was broken for days."""

import hashlib
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property

from changes.app.demo import words
from changes.app.demo.catalogue import ProjectShape
from changes.app.demo.dice import Dice
from changes.app.demo.rows import Ids
from changes.builds.rules import Result

FLAKY_SHARE, SLOWING_SHARE = 0.04, 0.05
FLAKE_CHANCE = 0.06
# How often a flaky test is run again until it passes.
RERUNS = (1, 1, 1, 2)
# Whoever looks after a class of tests; nobody after some.
TEAMS = ("payments", "platform", "search", "web", None)
SKIPPED_SHARE = 0.02
DAYS = 30


@dataclass(frozen=True)
class TestShape:
    id: int
    class_name: str
    name: str
    mean_ms: float
    is_flaky: bool
    is_skipped: bool
    # How many times slower it got over the month.
    slower: float
    # The days on which somebody had broken it.
    broken: tuple[datetime, datetime]

    @property
    def full_name(self) -> str:
        return f"{self.class_name}.{self.name}"

    @property
    def owner(self) -> str | None:
        return TEAMS[zlib.crc32(self.class_name.encode()) % len(TEAMS)]

    @property
    def sha(self) -> str:
        return hashlib.sha1(self.full_name.encode(), usedforsecurity=False).hexdigest()

    def is_broken(self, when: datetime) -> bool:
        return self.broken[0] <= when < self.broken[1]


@dataclass(frozen=True)
class Run:
    test: TestShape
    result: Result
    duration_ms: int
    reruns: int = 0
    message: str = ""


@dataclass(frozen=True)
class Suite:
    words: tuple[str, ...]
    tests: list[TestShape]
    since: datetime

    @cached_property
    def broken_spans(self) -> list[tuple[datetime, datetime]]:
        return [test.broken for test in self.tests if test.broken[0] < test.broken[1]]

    def is_broken(self, when: datetime) -> bool:
        return any(begin <= when < end for begin, end in self.broken_spans)

    def shard(self, number: int, of: int) -> list[TestShape]:
        return self.tests[number::of]

    def run(self, dice: Dice, tests: Sequence[TestShape], when: datetime, *, fails: bool) -> list[Run]:
        failing = culprits(dice, tests, when) if fails else set()
        share_of_month = (when - self.since) / timedelta(days=DAYS)
        return [self.run_one(dice, test, share_of_month, fails=test.id in failing) for test in tests]

    def run_one(self, dice: Dice, test: TestShape, share_of_month: float, *, fails: bool) -> Run:
        slower = 1 + (test.slower - 1) * share_of_month
        duration_ms = round(test.mean_ms * slower * dice.uniform(0.8, 1.3))
        if fails:
            return Run(test, Result.FAILED, duration_ms, 2, words.failure(dice, self.words, test.full_name))
        if test.is_skipped:
            return Run(test, Result.SKIPPED, 0)
        reruns = dice.choice(RERUNS) if test.is_flaky and dice.chance(FLAKE_CHANCE) else 0
        return Run(test, Result.PASSED, duration_ms * (1 + reruns), reruns)


def culprits(dice: Dice, tests: Sequence[TestShape], when: datetime) -> set[int]:
    """What is broken fails; else a flaky one, else anybody: at least one."""
    running = [test for test in tests if not test.is_skipped]
    broken = {test.id for test in running if test.is_broken(when)}
    if broken:
        return broken
    flaky = [test.id for test in running if test.is_flaky]
    if flaky and dice.chance(0.5):
        return {dice.choice(flaky)}
    return {test.id for test in dice.sample(running, min(len(running), dice.choice((1, 1, 2, 4))))}


def suites_of(dice: Dice, ids: Ids, shape: ProjectShape, since: datetime) -> dict[str, Suite]:
    """One per name that its steps mention; plans that name the same one run the same tests."""
    names = sorted({step.suite for plan in shape.plans for step in plan.steps if step.suite})
    return {
        name: Suite(shape.words, make_tests(dice, ids, shape, name, since), since)
        for name in names
        if shape.tests
    }


def make_tests(dice: Dice, ids: Ids, shape: ProjectShape, suite: str, since: datetime) -> list[TestShape]:
    named = words.test_names(suite, shape.words, shape.tests)
    was_broken = dice.randrange(len(named))
    return [
        TestShape(
            id=ids.test(),
            class_name=class_name,
            name=name,
            mean_ms=dice.around(120, 1.2),
            is_flaky=dice.chance(FLAKY_SHARE),
            is_skipped=number != was_broken and dice.chance(SKIPPED_SHARE),
            slower=dice.uniform(2, 5) if dice.chance(SLOWING_SHARE) else dice.uniform(0.95, 1.1),
            broken=some_days(dice, since) if number == was_broken else (since, since),
        )
        for number, (class_name, name) in enumerate(named)
    ]


def some_days(dice: Dice, since: datetime) -> tuple[datetime, datetime]:
    begin = since + timedelta(days=dice.uniform(2, DAYS - 4))
    return begin, begin + timedelta(days=dice.uniform(0.5, 3))
