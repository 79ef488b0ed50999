"""What is told about one part of a build that ran elsewhere: that it began, and how it ended."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from sqlalchemy.orm import Session

from changes.base import clock, ids
from changes.base.errors import Gone, Invalid, NotFound
from changes.builds import reasons, report, settle
from changes.builds.models import Command, JobStep
from changes.builds.reasons import Reason
from changes.builds.rules import Result, Status

MESSAGE_MAX = 4000
# What may be told is remembered in the step, to know the same word when it comes again.
OUTCOME = "reported"


@dataclass(frozen=True)
class CommandTold:
    name: str
    script: str
    return_code: int
    duration_ms: int | None = None


@dataclass(frozen=True, kw_only=True)
class Ending:
    """`result` None leaves the verdict to the test reports that were sent before."""

    result: Result | None = None
    message: str = ""
    started: datetime | None = None
    finished: datetime | None = None
    commands: Sequence[CommandTold] = field(default_factory=list)


def start(session: Session, step_id: UUID, at: datetime | None = None) -> None:
    step = locked(session, step_id)
    if step.status == Status.QUEUED:
        step.date_started = at and not_later_than_now(at)
        settle.start_step(session, step)


def go_on(session: Session, step_id: UUID, at: datetime | None = None) -> None:
    """A sign of life of something that is over here tells whoever runs it to stop."""
    start(session, step_id, at)
    if session.get_one(JobStep, step_id).is_finished:
        raise Gone("This part has ended here: it was cancelled, or nothing was heard of it for too long.")


def end(session: Session, step_id: UUID, told: Ending) -> None:
    """The same ending again changes nothing, and another one is refused."""
    step = locked(session, step_id)
    outcome = told.result.name.lower() if told.result is not None else "as its tests"
    if step.status in (Status.FINISHED, Status.COLLECTING_RESULTS):
        # Our answer may have got lost on the way, so the same word again is fine.
        refuse_other_ending(step, outcome)
        return
    date_step(step, told)
    step.data = {**step.data, OUTCOME: outcome}
    commands = [add_command(session, step, order, each) for order, each in enumerate(told.commands)]
    session.flush()
    result = Result.PASSED if told.result is None else told.result
    explain(session, step, result, told.message, commands)
    is_to_be_read = result != Result.ABORTED and report.is_to_be_read(session, step)
    if told.result is None and not is_to_be_read:
        raise Invalid("Without a test report (junit.xml) the verdict must be told: result.", ["result"])
    if step.status == Status.QUEUED:
        settle.start_step(session, step)
    if is_to_be_read:
        settle.await_results(session, step, result)
    else:
        settle.finish_step(session, step, result)


def locked(session: Session, step_id: UUID) -> JobStep:
    step = settle.lock_step(session, step_id)
    if step is None:
        raise NotFound("There is no such step of a build that ran elsewhere.")
    return step


def refuse_other_ending(step: JobStep, outcome: str) -> None:
    if step.data.get(OUTCOME) != outcome:
        ended = step.result.name.lower().replace("_", " ") if step.is_finished else "its tests say"
        raise Gone(
            f"This part has ended as {ended}, and stays so. What runs anew needs an external_id of its own."
        )


def date_step(step: JobStep, told: Ending) -> None:
    """A clock that is wrong over there makes no build that ends before it begins, or tomorrow."""
    finished = not_later_than_now(told.finished or clock.now())
    started = step.date_started or told.started or finished
    step.date_started = min(started, finished)
    step.date_finished = finished


def not_later_than_now(at: datetime) -> datetime:
    return min(at, clock.now())


def add_command(session: Session, step: JobStep, order: int, told: CommandTold) -> Command:
    finished = step.date_finished or clock.now()
    command = Command(
        id=ids.new(),
        step_id=step.id,
        label=told.name,
        script=told.script,
        order=order,
        status=Status.FINISHED,
        return_code=told.return_code,
        date_started=finished - clock.milliseconds(told.duration_ms or 0),
        date_finished=finished,
    )
    session.add(command)
    return command


def explain(
    session: Session, step: JobStep, result: Result, message: str, commands: Sequence[Command]
) -> None:
    if result in (Result.PASSED, Result.SKIPPED, Result.ABORTED):
        return
    why = report.failed_command(commands)
    if message.strip():
        why = Reason(reasons.OUTSIDE_SAYS, {"message": message[:MESSAGE_MAX]})
    if why is not None:
        settle.explain(session, step.job.build_id, why, step=step)
