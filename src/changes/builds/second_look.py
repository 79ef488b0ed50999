"""Provisional red: what fails newly is run again alone, before the verdict of its step is final.

The step waits meanwhile like one whose results are read. The look is a step of its own in the same phase, so
nothing above them ends before it; however it ends, it ends the step that it looks at. `look_again.py` makes
it, the reader of results says what it found.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from changes.builds import explaining, reasons
from changes.builds.models import JobStep
from changes.builds.reasons import Reason
from changes.builds.rules import Result, Status
from changes.projects.plan_options import LOOK_TESTS_USUAL

# Beside a step: what its plan says; what is looked at, once it is; what its agent said until then. Beside
# a look: the step that it looks at, and how many looks there were.
TERMS, STATE, AWAITED = "second_look", "checking", "awaited"
LOOKS_AT, NUMBER = "looks_at", "look"
NAMES_SHOWN = 5
# These have one verdict, by which they are told again.
TOO_EARLY = (reasons.COMMAND_FAILED, reasons.TEST_FAILURES)


@dataclass(frozen=True)
class SecondLook:
    """How often, of at most how many tests, and by which command; empty is the whole step once more."""

    times: int = 0
    tests_max: int = LOOK_TESTS_USUAL
    command: str = ""

    def frozen(self) -> dict[str, Any]:
        return {"times": self.times, "tests_max": self.tests_max, "command": self.command}


NEVER = SecondLook()


@dataclass(frozen=True)
class Checked:
    """`others` counts the failures that are none of these tests: they stay, whatever is found. `is_cut` says
    that more should have run, as of a runner that stops at a failure.
    """

    tests: Sequence[str]
    passed: Sequence[str] = ()
    others: int = 0
    verdict: str = ""
    is_cut: bool = False

    @property
    def left(self) -> list[str]:
        return [name for name in self.tests if name not in self.passed]

    def kept(self) -> dict[str, Any]:
        return {
            "tests": list(self.tests),
            "passed": list(self.passed),
            "others": self.others,
            "verdict": self.verdict,
            "is_cut": self.is_cut,
        }


def thawed(said: Mapping[str, Any] | None) -> SecondLook:
    said = said or {}
    tests_max = int(said.get("tests_max", LOOK_TESTS_USUAL))
    return SecondLook(int(said.get("times", 0)), tests_max, str(said.get("command", "")))


def said(step: JobStep) -> SecondLook:
    """Of a look, and of what names other steps, nothing is looked at again."""
    is_other = is_look(step) or "collector" in step.data or "targets" in step.data
    return NEVER if is_other else thawed(step.data.get(TERMS))


def is_look(step: JobStep) -> bool:
    return LOOKS_AT in step.data


def checked(step: JobStep) -> Checked | None:
    """None of a step that nobody looks at again."""
    state = step.data.get(STATE)
    return Checked(**state) if state else None


def is_checking(step: JobStep) -> bool:
    return STATE in step.data and step.status == Status.COLLECTING_RESULTS


# --- before it is known whether there is anything to look at ------------------------------------------


def provisional(step: JobStep, result: Result, *, is_of_command: bool) -> Result:
    """What is shown while its results are read: what a second look may take back is not told yet. What is
    no command's failure, a limit for instance, stays one.
    """
    if result != Result.FAILED or not is_of_command or not said(step).times:
        return result
    step.data = {**step.data, AWAITED: result.name}
    return Result.UNKNOWN


def awaited(step: JobStep) -> Result:
    """What its agent said."""
    name = step.data.get(AWAITED)
    return Result[name] if name and step.result == Result.UNKNOWN else step.result


# --- its end -------------------------------------------------------------------------------------------


def looked_at(session: Session, look: JobStep) -> JobStep | None:
    return session.get(JobStep, UUID(look.data[LOOKS_AT]))


def look_of(session: Session, step: JobStep) -> JobStep | None:
    """The newest look at a step that is being checked."""
    if not is_checking(step):
        return None
    mine = select(JobStep).where(JobStep.phase_id == step.phase_id, JobStep.replacement_id.is_(None))
    found = mine.where(JobStep.data[LOOKS_AT].astext == step.id.hex).order_by(JobStep.id.desc())
    return session.execute(found.limit(1)).scalar_one_or_none()


def note_passed(step: JobStep, names: Collection[str]) -> None:
    """Which of the tests have passed by now."""
    known = checked(step)
    if known is not None:
        passed = [name for name in known.tests if name in known.passed or name in names]
        step.data = {**step.data, STATE: {**known.kept(), "passed": passed}}


def note_cut(step: JobStep) -> None:
    known = checked(step)
    if known is not None:
        step.data = {**step.data, STATE: {**known.kept(), "is_cut": True}}


def judge(look: Result, known: Checked) -> tuple[Result, str]:
    """The result of the step that was looked at, and what that is called."""
    if look == Result.INFRA_FAILED:
        return Result.INFRA_FAILED, "lost"
    if look == Result.ABORTED:
        return Result.FAILED, "stopped"
    if known.left:
        return Result.FAILED, "failed"
    if look != Result.PASSED:
        # They have passed, and what ran them went wrong in another way.
        return Result.FAILED, "other"
    return (Result.FAILED, "partly") if known.others or known.is_cut else (Result.PASSED, "flake")


def concluded(session: Session, look: JobStep) -> tuple[JobStep, Result] | None:
    """The step that ends with this look, and how. The build is locked."""
    if not is_look(look) or look.replacement_id is not None:
        return None
    step = looked_at(session, look)
    known = checked(step) if step is not None else None
    if step is None or known is None or not is_checking(step):
        return None
    result, verdict = judge(look.result, known)
    step.data = {**step.data, STATE: {**known.kept(), "verdict": verdict}}
    explain(session, (step, look), known, verdict)
    return step, result


def explain(session: Session, steps: tuple[JobStep, JobStep], known: Checked, verdict: str) -> None:
    step, look = steps
    build_id = step.job.build_id
    # What failed is told once, of the step; of one that passes nothing has.
    told_elsewhere = {"failed": [look.id], "other": [step.id]}
    if verdict in ("flake", "partly", *told_elsewhere):
        mine = told_elsewhere.get(verdict, [look.id, step.id])
        explaining.forget_of_steps(session, mine, TOO_EARLY)
    failed = known.others + len(known.left)
    if failed:
        explaining.explain(session, build_id, Reason(reasons.TEST_FAILURES, {"count": failed}), step=step)
    why = {
        "flake": reasons.SECOND_LOOK_PASSED,
        "partly": reasons.SECOND_LOOK_PASSED,
        "other": reasons.SECOND_LOOK_PASSED,
        "failed": reasons.SECOND_LOOK_FAILED,
        "lost": reasons.SECOND_LOOK_LOST,
        "stopped": reasons.SECOND_LOOK_STOPPED,
    }[verdict]
    names = known.left if verdict == "failed" else known.tests
    facts = {"count": len(names or known.tests), "names": listed(names or known.tests)}
    explaining.explain(session, build_id, Reason(why, facts), step=step)


def listed(names: Sequence[str]) -> str:
    more = len(names) - NAMES_SHOWN
    return ", ".join(names[:NAMES_SHOWN]) + (f" and {more} more" if more > 0 else "")
