"""How builds are judged: enums, which result wins, what may follow what. Pure.

The numbers of the enums are part of the promise to old clients.
"""

from collections.abc import Collection
from enum import IntEnum


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


def may_replace(*, replaced_in_job: int, limit: int) -> bool:
    """An attempt lost to the machinery is made again, but not for ever."""
    return replaced_in_job < limit


def runs_in_plain_step(kind: CommandType) -> bool:
    """Collectors belong to collection steps and snapshot commands to snapshot builds."""
    collectors = (CommandType.COLLECT_STEPS, CommandType.COLLECT_TESTS, CommandType.COLLECT_BAZEL_TARGETS)
    return kind not in (*collectors, CommandType.SNAPSHOT)
