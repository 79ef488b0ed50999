"""How builds are judged: enums, which result wins, what may follow what. Pure.

The numbers of the enums are part of the promise to old clients.
"""

from collections.abc import Collection, Hashable, Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import TypeVar

# Whatever tells machines apart.
Machine = TypeVar("Machine", bound=Hashable)


class Status(IntEnum):
    UNKNOWN = 0
    QUEUED = 1
    IN_PROGRESS = 2
    FINISHED = 3
    COLLECTING_RESULTS = 4
    ALLOCATED = 5
    PENDING_ALLOCATION = 6


class Result(IntEnum):
    UNKNOWN = 0
    PASSED = 1
    FAILED = 2
    SKIPPED = 3
    ABORTED = 5
    INFRA_FAILED = 6
    QUARANTINED_PASSED = 11
    QUARANTINED_FAILED = 12
    QUARANTINED_SKIPPED = 13


class Cause(IntEnum):
    UNKNOWN = 0
    MANUAL = 1
    PUSH = 2
    RETRY = 3
    SNAPSHOT = 4


class Priority(IntEnum):
    DEFAULT = 0
    HIGH = 100
    LOW = -100


class Origin(IntEnum):
    """Why there is this attempt at a step."""

    FIRST = 0
    # The machinery lost the one before.
    LOST = 1
    # The one before failed, and its plan says to try again.
    POLICY = 2
    # Somebody asked for it.
    ASKED = 3
    # It runs again what failed in another step, before that is final.
    SECOND_LOOK = 4


class ResultRule(IntEnum):
    """How the jobs of a build are summed up."""

    # Each must pass.
    ALL = 0
    # One that passes is enough: the same thing is tried on several substrates.
    ANY = 1
    # Each must pass but those of plans that are marked optional.
    REQUIRED_ONLY = 2


class CommandType(IntEnum):
    DEFAULT = 0
    COLLECT_STEPS = 1
    COLLECT_TESTS = 2
    SETUP = 3
    TEARDOWN = 4
    INFRA_SETUP = 5
    SNAPSHOT = 6
    COLLECT_BAZEL_TARGETS = 7


# A build is as far as its least finished part that somebody can watch.
MOST_ALIVE_FIRST = [
    Status.IN_PROGRESS,
    Status.QUEUED,
    Status.ALLOCATED,
    Status.PENDING_ALLOCATION,
    Status.COLLECTING_RESULTS,
    Status.FINISHED,
]
WORST_FIRST = [
    Result.ABORTED,
    Result.FAILED,
    Result.INFRA_FAILED,
    Result.UNKNOWN,
    Result.PASSED,
    Result.SKIPPED,
    Result.QUARANTINED_PASSED,
    Result.QUARANTINED_FAILED,
    Result.QUARANTINED_SKIPPED,
]
# A step that nobody works on yet, and one that an agent holds.
WAITING = (Status.PENDING_ALLOCATION, Status.QUEUED)
HELD = (Status.ALLOCATED, Status.IN_PROGRESS)
# Where an attempt may go from where it is. There is no way back and none out of the end: what is
# done again is done by another attempt.
MOVES: Mapping[Status, frozenset[Status]] = {
    Status.UNKNOWN: frozenset({Status.QUEUED, Status.PENDING_ALLOCATION}),
    # In progress at once is what runs elsewhere: nobody here hands it out.
    Status.QUEUED: frozenset({Status.PENDING_ALLOCATION, Status.IN_PROGRESS, Status.FINISHED}),
    Status.PENDING_ALLOCATION: frozenset({Status.ALLOCATED, Status.FINISHED}),
    # What is over in a moment is told in one word.
    Status.ALLOCATED: frozenset({Status.IN_PROGRESS, Status.COLLECTING_RESULTS, Status.FINISHED}),
    Status.IN_PROGRESS: frozenset({Status.COLLECTING_RESULTS, Status.FINISHED}),
    Status.COLLECTING_RESULTS: frozenset({Status.FINISHED}),
    Status.FINISHED: frozenset(),
}
GOOD = (
    Result.PASSED,
    Result.QUARANTINED_PASSED,
    Result.QUARANTINED_FAILED,
    Result.QUARANTINED_SKIPPED,
)
RESULT_RULES = {
    "all": ResultRule.ALL,
    "any": ResultRule.ANY,
    "required-only": ResultRule.REQUIRED_ONLY,
}
# What fails after so long is not tried again by itself: that would cost as much once more.
REPLACED_WITHIN_S = 900

STATUS_LABELS = {
    Status.IN_PROGRESS: "In progress",
    Status.COLLECTING_RESULTS: "Collecting Results",
    Status.PENDING_ALLOCATION: "Queued",
}
RESULT_LABELS = {
    Result.INFRA_FAILED: "Infrastructure failed",
    Result.QUARANTINED_PASSED: "Passed (quarantine)",
    Result.QUARANTINED_FAILED: "Failed (quarantine)",
    Result.QUARANTINED_SKIPPED: "Skipped (quarantine)",
}
CAUSE_LABELS = {Cause.PUSH: "Code Push"}


class IllegalMove(Exception):
    """Somebody wanted to lead a step, or what it is part of, where it cannot go."""


# --- where something may go --------------------------------------------------------------


def check_move(before: Status, after: Status) -> None:
    """Of one attempt."""
    if after not in MOVES[before]:
        raise IllegalMove(f"A step that is {before.name} cannot become {after.name}.")


def check_move_of_whole(before: Status, after: Status, *, is_repeated: bool) -> None:
    """A phase, job or build goes where its parts lead it; from the end only by repeating some of them."""
    if after == Status.UNKNOWN or (before == Status.FINISHED and not is_repeated):
        raise IllegalMove(f"What is {before.name} cannot become {after.name}.")


# --- summing up --------------------------------------------------------------------------


def aggregate_status(statuses: Collection[Status]) -> Status:
    """The liveliest part decides; parts without a status do not count."""
    known = [status for status in statuses if status != Status.UNKNOWN]
    return min(known, key=MOST_ALIVE_FIRST.index, default=Status.UNKNOWN)


def aggregate_result(results: Collection[Result]) -> Result:
    """The worst part decides; nothing at all is unknown."""
    return min(results, key=WORST_FIRST.index, default=Result.UNKNOWN)


def running_result(results: Collection[Result]) -> Result:
    """What can be said before the end: a failure is certain, everything else is not."""
    return Result.FAILED if Result.FAILED in results else Result.UNKNOWN


def judge(results: Collection[Result], rule: ResultRule = ResultRule.ALL) -> Result:
    """The verdict, once all parts have ended. Where one that passes is enough, others may fail."""
    if rule == ResultRule.ANY and Result.PASSED in results:
        return Result.PASSED
    return aggregate_result(results)


def foresee(results: Collection[Result], rule: ResultRule = ResultRule.ALL) -> Result:
    """What is certain while some parts still go on."""
    return Result.UNKNOWN if rule == ResultRule.ANY else running_result(results)


def without_weight(result: Result) -> Result:
    """What the result of an optional job adds: that it passed, or nothing."""
    return result if result in (*GOOD, Result.UNKNOWN) else Result.SKIPPED


def collection_result(results: Collection[Result]) -> Result:
    """Of builds that one request asked for together."""
    if results and set(results) == {Result.PASSED}:
        return Result.PASSED
    return running_result(results)


def result_of_skipped(results: Collection[Result]) -> Result:
    """Of a job that cannot go on, by its phases. What of it ran before does not make it pass."""
    judged = aggregate_result(results)
    return Result.SKIPPED if judged in GOOD else judged


def lets_go_on(result: Result) -> bool:
    """Whether the phase after one with this result has something to do."""
    return result in GOOD


# --- doing it again ----------------------------------------------------------------------


@dataclass(frozen=True)
class ReplaceLimits:
    """How often the machinery may lose steps of one job, and on how many machines."""

    per_job: int
    machines: int


def may_replace(lost: Mapping[Machine, int], machine: Machine, limits: ReplaceLimits) -> bool:
    """An attempt lost to the machinery is made again, but not for ever.

    `lost` counts what each machine has lost of the job. When one machine after the other loses it,
    the machines are not to blame.
    """
    if sum(lost.values()) >= limits.per_job:
        return False
    return machine in lost or len(lost) < limits.machines


def is_worth_replacing(took_s: float | None) -> bool:
    """Of an agent that says its machine was at fault; what took long would take as long again."""
    return took_s is None or took_s < REPLACED_WITHIN_S


def is_to_repeat(result: Result) -> bool:
    """Among "what failed": all that did not pass, and what was skipped because of it."""
    return result not in GOOD


def result_of_timeout(status: Status) -> Result:
    """What ran too long has failed; what never ran is not to blame."""
    ran = (Status.IN_PROGRESS, Status.COLLECTING_RESULTS)
    return Result.FAILED if status in ran else Result.INFRA_FAILED
