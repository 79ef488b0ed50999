"""The states people see: one name, one word, one shape and one colour each. Pure.

A status and a result of the model are two facts; a reader asks one question: how is it?
"""

from dataclasses import dataclass

from changes.builds.rules import Result, Status


@dataclass(frozen=True)
class State:
    """`name` is also the name of its shape in the sprite; `tone` is the name of its colour."""

    name: str
    word: str
    tone: str
    meaning: str

    @property
    def icon(self) -> str:
        return f"state-{self.name}"


PASSED = State("passed", "Passed", "passed", "Everything ran and was right.")
FAILED = State("failed", "Failed", "failed", "The change, or the code it stands on, is wrong.")
INFRA = State("infra", "Infra failed", "infra", "The machinery broke; nothing is said about the change.")
ABORTED = State("aborted", "Aborted", "aborted", "Somebody, or a limit, ended it before its end.")
WAITING = State("waiting", "Waiting", "waiting", "Asked for; no machine works on it yet.")
WAITING_FAILING = State(
    "waiting-failing", "Waiting, failing", "failed", "A part failed; other parts have not begun."
)
RUNNING = State("running", "Running", "running", "A machine works on it now.")
RUNNING_FAILING = State(
    "running-failing", "Running, failing", "failed", "A part failed; the rest still runs."
)
COLLECTING = State("collecting", "Collecting", "collecting", "The commands ended; results are being read.")
SKIPPED = State("skipped", "Skipped", "quiet", "Left out on purpose.")
QUARANTINED_PASSED = State(
    "quarantined-passed", "Passed, quarantined", "quarantined", "Passed, but its word does not count."
)
QUARANTINED_FAILED = State(
    "quarantined-failed", "Failed, quarantined", "quarantined", "Failed, but its word does not count."
)
QUARANTINED_SKIPPED = State(
    "quarantined-skipped", "Skipped, quarantined", "quarantined", "Left out, and it would not count."
)
UNKNOWN = State("unknown", "Unknown", "quiet", "It ended without saying how.")
NONE = State("none", "Not run", "quiet", "Nothing was ever asked for.")

ALL = [
    PASSED,
    FAILED,
    INFRA,
    ABORTED,
    WAITING,
    WAITING_FAILING,
    RUNNING,
    RUNNING_FAILING,
    COLLECTING,
    SKIPPED,
    QUARANTINED_PASSED,
    QUARANTINED_FAILED,
    QUARANTINED_SKIPPED,
    UNKNOWN,
    NONE,
]
OF_RESULT = {
    Result.UNKNOWN: UNKNOWN,
    Result.PASSED: PASSED,
    Result.FAILED: FAILED,
    Result.SKIPPED: SKIPPED,
    Result.ABORTED: ABORTED,
    Result.INFRA_FAILED: INFRA,
    Result.QUARANTINED_PASSED: QUARANTINED_PASSED,
    Result.QUARANTINED_FAILED: QUARANTINED_FAILED,
    Result.QUARANTINED_SKIPPED: QUARANTINED_SKIPPED,
}
# What it is called while all is well, and once a part of it is known to have failed.
OF_STATUS = {
    Status.QUEUED: (WAITING, WAITING_FAILING),
    Status.PENDING_ALLOCATION: (WAITING, WAITING_FAILING),
    Status.ALLOCATED: (WAITING, WAITING_FAILING),
    Status.IN_PROGRESS: (RUNNING, RUNNING_FAILING),
    Status.COLLECTING_RESULTS: (COLLECTING, RUNNING_FAILING),
}


def state_of(status: Status, result: Result) -> State:
    """Only what is finished is judged by its result; before that a failure that is certain is a warning.
    Tests that failed are none while they are looked at again, or where other jobs may pass in their place.
    """
    if status == Status.FINISHED:
        return OF_RESULT[result]
    if status == Status.UNKNOWN:
        return NONE if result == Result.UNKNOWN else OF_RESULT[result]
    calm, failing = OF_STATUS[status]
    return failing if result == Result.FAILED else calm


def verdict_of(result: Result | None) -> State:
    """Of what may never have ended."""
    return NONE if result is None else OF_RESULT[result]
