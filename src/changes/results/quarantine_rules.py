"""When tests may be put into quarantine, and what a step is whose only failures are there. Pure."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import takewhile

TESTS_AT_ONCE_MAX = 20
# Of very small projects a share says nothing.
SHARE_MAX_PERCENT, SHARE_COUNTS_FROM = 5, 5
DAYS_DEFAULT, DAYS_MAX = 14, 90
PASSES_DEFAULT, PASSES_MIN, PASSES_MAX = 20, 3, 500
# Above them are the shell's own words: not found, not executable, killed by a signal.
EXIT_CODES = range(1, 126)


@dataclass(frozen=True)
class Standing:
    """Of a project: its tests, and those already in quarantine, and since yesterday."""

    tests: int
    held: int
    held_lately: int


@dataclass(frozen=True)
class Proof:
    """A run of a test in quarantine: of which plan, whether it passed at once, and whether that was there."""

    plan: str
    is_steady: bool
    is_since: bool


def passes_in_a_row(newest_first: Sequence[Proof]) -> int:
    """In the plan that has the fewest, of those in which it was unsteady; of all together without any."""
    unsteady = {run.plan for run in newest_first if not run.is_steady}
    since = [run for run in newest_first if run.is_since]
    return min(
        (in_a_row([run for run in since if run.plan == plan]) for plan in unsteady), default=in_a_row(since)
    )


def in_a_row(newest_first: Sequence[Proof]) -> int:
    return sum(1 for _ in takewhile(lambda run: run.is_steady, newest_first))


def outage(standing: Standing, new: int) -> str | None:
    """Why so many at once are rather one fault that they have in common; None when it is all right."""
    lately, held = standing.held_lately + new, standing.held + new
    if lately > TESTS_AT_ONCE_MAX:
        return (
            f"{lately} tests within a day are more than {TESTS_AT_ONCE_MAX}: rather one fault that they have"
            " in common than as many flaky tests."
        )
    if held > SHARE_COUNTS_FROM and held * 100 > SHARE_MAX_PERCENT * standing.tests:
        return (
            f"{held} of {standing.tests} tests of the project would be in quarantine, which is more than"
            f" {SHARE_MAX_PERCENT} %."
        )
    return None


def is_excused(exit_codes: Collection[int | None], *, failed: int, excused: int, is_whole: bool) -> bool:
    """A step whose command failed, and whose reports say that only tests in quarantine did.

    Only one command may have failed, as runners do that tell of failed tests: what comes later was not run.
    """
    wrong = [code for code in exit_codes if code != 0]
    return (
        is_whole
        and failed == 0
        and excused > 0
        and len(wrong) == 1
        and wrong[0] is not None
        and wrong[0] in EXIT_CODES
    )
