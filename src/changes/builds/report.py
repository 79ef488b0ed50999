"""What agents tell about their steps. Everything may be told twice, or too late."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from changes.base import clock, ids
from changes.base.errors import Conflict, Invalid, NotFound
from changes.base.process import settings
from changes.builds import (
    collectors,
    excuses,
    expand,
    expanding,
    locks,
    reasons,
    retry,
    rules,
    settle,
    telling,
    timeouts,
)
from changes.builds.models import Build, Command, Job, JobStep, Node
from changes.builds.reasons import Reason
from changes.builds.rules import ReplaceLimits, Result, Status
from changes.projects.models import Source
from changes.protocol import CommandReport, StepReport

LATE_REPORTS_KEPT = 10
AGENT_REASONS = {
    reasons.AGENT_RESTARTED,
    reasons.AGENT_STOPPED,
    reasons.CHECKOUT_FAILED,
    reasons.PATCH_FAILED,
    reasons.TIMEOUT,
}
MESSAGE_MAX = 4000


@dataclass(frozen=True)
class Problem:
    """Something found in what a step left behind, and what that makes of the step."""

    why: Reason
    result: Result = Result.FAILED


def accept(session: Session, node_id: UUID, step_id: UUID, report: StepReport, *, replace_limit: int) -> bool:
    """False for a report that came too late: it is kept, and applied to nothing."""
    found = locks.lock_step_with_commands(session, step_id)
    if found is None or found[0].node_id != node_id:
        raise NotFound("This step is not yours.")
    step, commands = found
    if step.status in (Status.FINISHED, Status.COLLECTING_RESULTS):
        return keep_late(step, report)
    note_commands(commands, report.commands)
    if report.status == "in_progress":
        settle.start_step(session, step)
        return True
    step.data = {**step.data, "reported": outcome(report)}
    limits = ReplaceLimits(replace_limit, settings.get().jobstep_machine_retry_max)
    if report.status == "released":
        release(session, step, report, limits)
    else:
        finish(session, step, report, commands, limits)
    return True


def keep_late(step: JobStep, report: StepReport) -> bool:
    """The same outcome again is only our answer lost on the way, and news from before it is stale."""
    reported = step.data.get("reported")
    if reported is not None and (report.status == "in_progress" or reported == outcome(report)):
        return True
    late = [*step.data.get("late_reports", []), {"at": clock.now().isoformat(), "report": outcome(report)}]
    step.data = {**step.data, "late_reports": late[-LATE_REPORTS_KEPT:]}
    return False


def outcome(report: StepReport) -> str:
    return report.result or report.status


def note_commands(commands: Sequence[Command], told: list[CommandReport]) -> None:
    known = {command.id: command for command in commands}
    for each in told:
        command = known.get(ids.parse(each.id))
        if command is None:
            raise Invalid(f"The step has no command {each.id}.", ["commands"])
        note_command(command, each)


def note_command(command: Command, told: CommandReport) -> None:
    if command.status == Status.FINISHED:
        return
    command.date_started = command.date_started or clock.now()
    if told.status == "in_progress":
        command.status = Status.IN_PROGRESS
        return
    if told.return_code is None:
        raise Conflict("A finished command needs its return code.", ["commands"])
    command.status = Status.FINISHED
    command.return_code = told.return_code
    # The agent measured how long it took; when it ended is by our clock.
    command.date_finished = clock.now()
    command.cpu_ms, command.peak_memory_kb = told.cpu_ms, told.peak_memory_kb
    if told.duration_ms is not None:
        command.date_started = command.date_finished - clock.milliseconds(told.duration_ms)


def release(session: Session, step: JobStep, report: StepReport, limits: ReplaceLimits) -> None:
    node = session.get(Node, step.node_id) if step.node_id else None
    # One that cannot work, with a full disk for instance, was not stopped by anybody.
    why = told_reason(step, report)
    if report.reason in (None, reasons.AGENT_RESTARTED, reasons.AGENT_STOPPED):
        why = Reason(report.reason or reasons.AGENT_STOPPED, {"node": node.label if node else "(gone)"})
    if why.id == reasons.AGENT_STOPPED and node is not None:
        # First, so that its request for steps is over before the new attempt is announced.
        telling.notify(session, telling.LEAVE_CHANNEL, node.id.hex)
    retry.replace_lost_step(session, step, why, limits)


def finish(
    session: Session, step: JobStep, report: StepReport, commands: Sequence[Command], limits: ReplaceLimits
) -> None:
    if report.result is None:
        raise Invalid("A finished step needs a result.", ["result"])
    step.date_started = step.date_started or settle.moment(session)
    result = Result[report.result.upper()]
    # Whatever the agent says: a step with a command that failed, or never ran, has not passed.
    if result == Result.PASSED and any(command.return_code != 0 for command in commands):
        result = Result.FAILED
    why = told_reason(step, report) if report.reason is not None else failed_command(commands)
    if result == Result.PASSED:
        unusable = take_named(session, step, commands, report)
        why, result = (unusable, Result.FAILED) if unusable else (why, result)
    if why is not None and result != Result.ABORTED:
        settle.explain(session, step.job.build_id, why, step=step)
    is_read = result == Result.ABORTED or not is_to_be_read(session, step)
    if expanding.is_kept(session, step):
        expanding.begin(session, step, is_read=is_read)
        settle.await_results(session, step, result)
    elif is_read:
        end(session, step, result, limits)
    else:
        is_of_command = report.reason is None
        shown = excuses.provisional(session, step, result, is_of_command=is_of_command)
        settle.await_results(session, step, shown)


def take_named(
    session: Session, step: JobStep, commands: Sequence[Command], report: StepReport
) -> Reason | None:
    """Of a collecting step: makes what it named, or has it made; or says why that cannot be."""
    said = expand.printed(step, commands, report.commands)
    if said is None or not expand.is_open(session, step):
        return None
    text, name = said
    found = expand.read(step, text, name)
    if isinstance(found, Reason):
        return found
    if expanding.is_long(found):
        expanding.keep(session, step, text, found)
    else:
        expand.make(session, step, found, expand.work_of(session, step, found))
    return None


def end(session: Session, step: JobStep, result: Result, limits: ReplaceLimits) -> None:
    """A step that was to name others and named none has not done what it was for."""
    named_nothing = expand.missing(session, step) if result == Result.PASSED else None
    if named_nothing is not None:
        settle.explain(session, step.job.build_id, named_nothing, step=step)
        result = Result.FAILED
    if result == Result.INFRA_FAILED and rules.is_worth_replacing(lasted_s(session, step)):
        retry.replace_or_end(session, step, limits)
    else:
        retry.end_step(session, step, result)


def lasted_s(session: Session, step: JobStep) -> float | None:
    started = step.date_started
    return None if started is None else (settle.moment(session) - started).total_seconds()


def failed_command(commands: Sequence[Command]) -> Reason | None:
    """The first command that failed; what came after it could not go well."""
    failed = next((command for command in commands if command.return_code), None)
    if failed is None or failed.return_code is None:
        return None
    code = failed.return_code
    ending = f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code}"
    return Reason(reasons.COMMAND_FAILED, {"command": failed.label, "code": code, "ending": ending})


def told_reason(step: JobStep, report: StepReport) -> Reason:
    """The agent's word for what went wrong, if it is one we know."""
    known = report.reason in AGENT_REASONS
    # PostgreSQL cannot store NUL, and a tool that the agent ran may have printed it.
    message = (report.message or report.reason or "").replace("\0", "\N{REPLACEMENT CHARACTER}")
    facts = {"message": message[:MESSAGE_MAX], **limit_of(step)}
    return Reason(report.reason if known and report.reason else reasons.AGENT_SAYS, facts)


def limit_of(step: JobStep) -> dict[str, object]:
    """What a sentence about its time limit needs: how long, and where somebody can change that."""
    set_by = str(step.data.get("timeout_from", ""))
    where = timeouts.where_set(set_by, step.job.label)
    return {"limit_min": round(step.timeout_s / 60, 1), "where": where}


def is_to_be_read(session: Session, step: JobStep) -> bool:
    # What was reported is written together with what becomes of it, not before this question.
    with session.no_autoflush:
        return collectors.collector.get().collect(session, step)


def results_collected(session: Session, step_id: UUID, problems: list[Problem], *, excused: int = 0) -> None:
    """What the step left behind has been read: now it may end. `excused` says that its command failed for
    nothing but so many tests that may fail.
    """
    step = settle.lock_step(session, step_id)
    if step is None or step.status != Status.COLLECTING_RESULTS:
        return
    for problem in problems:
        settle.explain(session, step.job.build_id, problem.why, step=step)
    result = excuses.awaited(session, step, excused)
    if result == Result.PASSED and problems:
        result = (
            Result.INFRA_FAILED if any(p.result == Result.INFRA_FAILED for p in problems) else Result.FAILED
        )
    if expanding.note_read(session, step, result):
        return
    current = settings.get()
    limits = ReplaceLimits(current.jobstep_retry_max, current.jobstep_machine_retry_max)
    end(session, step, result, limits)


def patch_of_step(session: Session, node_id: UUID, step_id: UUID) -> UUID:
    mine = (
        select(Source.patch_id)
        .join(Build, Build.source_id == Source.id)
        .join(Job, Job.build_id == Build.id)
        .join(JobStep, JobStep.job_id == Job.id)
        .where(JobStep.id == step_id, JobStep.node_id == node_id)
    )
    patch_id = session.execute(mine).scalar_one_or_none()
    if patch_id is None:
        raise NotFound("This step is not yours, or has no patch.")
    return patch_id
