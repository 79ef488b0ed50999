"""What agents and schedulers of the original say of a step, put into the words of our own agents.

Everything ends in `report.accept`. What comes too late, or would lead a step back, is answered like the
rest and changes nothing: the original's programs repeat what is refused, eight times.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session, joinedload

from changes.base.errors import Conflict, Invalid, NotFound
from changes.base.process import settings
from changes.builds import expand, reasons, report, retry, settle, snapshots
from changes.builds.models import Command, Job, JobPlan, JobStep
from changes.builds.original import configuration, keys, machines, scripts
from changes.builds.original.keys import Access
from changes.builds.original.models import KeyUse, OriginalNode
from changes.builds.reasons import Reason
from changes.builds.rules import HELD, ReplaceLimits, Result, Status
from changes.builds.snapshot_models import JobSnapshot, SnapshotImage
from changes.projects import patches
from changes.projects.models import Patch
from changes.protocol import CommandReport, StepReport

METRICS_MAX = 100
METRIC_NAME_MAX = 64
# What is kept beside a step until it ends.
METRICS, FAILED_SETUP = "metrics", "setup_failed"
UNREPORTED = "The scheduler says that this step's task has ended; its agent reported no result."
LOST = "The scheduler lost the task of this step."
# What a setup of ours that failed means, by the reasons that agents of ours give.
SETUP_FAILED = {
    "patch_failed": "The patch does not apply; the log says where.",
    "checkout_failed": "The sources could not be fetched; the log says why.",
}

Outcome = Literal["passed", "failed", "infra_failed", "aborted", "skipped"]


class NotAllocated(Invalid):
    """There is nothing to give back; the original told its client how the step is instead."""

    def __init__(self, status: Status) -> None:
        name = status.name.lower()
        super().__init__(
            f"Only {{allocated, in_progress}} jobsteps may be deallocated; this one is {name}.", ["status"]
        )
        self.status_name = name


@dataclass(frozen=True)
class StepTold:
    status: Literal["queued", "in_progress", "finished"] | None = None
    result: Outcome | None = None
    node: str = ""
    metrics: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class CommandTold:
    status: Literal["queued", "in_progress", "finished"] | None = None
    return_code: int | None = None
    output: str | None = None


def read_metrics(text: str | None) -> dict[str, float]:
    if not text:
        return {}
    try:
        told = json.loads(text, parse_constant=str)
    except (ValueError, RecursionError):
        raise Invalid("Metrics was not valid JSON", ["metrics"]) from None
    if not isinstance(told, dict):
        raise Invalid("Metrics should be a JSON object", ["metrics"])
    numbers = {
        name[:METRIC_NAME_MAX].replace("\0", ""): float(value)
        for name, value in told.items()
        if isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < 2**63
    }
    return dict(list(numbers.items())[:METRICS_MAX])


# --- a step ------------------------------------------------------------------------------


def hear(session: Session, access: Access, step_id: UUID, told: StepTold) -> JobStep:
    """Of the step as it is afterwards."""
    step = locked(session, access, step_id)
    if told.metrics:
        step.data = {**step.data, METRICS: {**step.data.get(METRICS, {}), **told.metrics}}
    if told.status == "in_progress" and step.status in HELD:
        machines.move_to_host(session, step, told.node)
        accept(session, step, StepReport(status="in_progress"))
    elif told.status == "finished":
        finish(session, access, step, told)
    session.flush()
    return step


def locked(session: Session, access: Access, step_id: UUID) -> JobStep:
    settle.lock_step(session, step_id)
    return keys.step(session, access, step_id)


def finish(session: Session, access: Access, step: JobStep, told: StepTold) -> None:
    if told.result is None or step.status not in HELD:
        if step.status in HELD:
            lose(session, step, UNREPORTED)
        elif told.result is not None and told.result != "skipped":
            accept(session, step, StepReport(status="finished", result=told.result))
    elif told.result == "skipped":
        step.data = {**step.data, "reported": told.result}
        retry.end_step(session, step, Result.SKIPPED)
    elif told.result == "infra_failed" and access.use == KeyUse.ALLOCATE:
        lose(session, step, LOST)
    else:
        reason = step.data.get(FAILED_SETUP) if told.result in ("failed", "infra_failed") else None
        message = SETUP_FAILED.get(reason or "")
        accept(
            session,
            step,
            StepReport(status="finished", result=told.result, reason=reason, message=message),
        )


def lose(session: Session, step: JobStep, message: str) -> None:
    """At once: nobody is there any more who would close its logs."""
    current = settings.get()
    limits = ReplaceLimits(current.jobstep_retry_max, current.jobstep_machine_retry_max)
    step.data = {**step.data, "reported": "infra_failed"}
    retry.replace_lost_step(session, step, Reason(reasons.AGENT_SAYS, {"message": message}), limits)


def accept(session: Session, step: JobStep, told: StepReport) -> bool:
    if step.node_id is None:
        raise NotFound("Not found")
    return report.accept(session, step.node_id, step.id, told, replace_limit=settings.get().jobstep_retry_max)


def give_back(session: Session, access: Access, step_id: UUID) -> JobStep:
    """It is done again by another attempt; this one is over."""
    step = locked(session, access, step_id)
    if step.status not in HELD:
        raise NotAllocated(step.status)
    accept(session, step, StepReport(status="released", reason="agent_stopped"))
    session.flush()
    return step


def to_abort(session: Session, access: Access, step_ids: Sequence[UUID]) -> list[UUID]:
    """Those that ended here without a word of their agent: cancelled, too slow, or taken for lost."""
    mine = select(JobStep).join(OriginalNode, OriginalNode.node_id == JobStep.node_id)
    mine = mine.where(JobStep.id.in_(step_ids), OriginalNode.key_id == access.key_id)
    over = mine.where(JobStep.status == Status.FINISHED).order_by(JobStep.id)
    return [
        step.id
        for step in session.execute(over).scalars()
        if step.result == Result.ABORTED or "reported" not in step.data
    ]


# --- a command ---------------------------------------------------------------------------


def hear_of_command(session: Session, access: Access, command_id: UUID, told: CommandTold) -> Command | None:
    """None for one of those that only get the sources: they are kept nowhere."""
    command = session.get(Command, command_id)
    if command is None:
        hear_of_setup(session, access, command_id, told)
        return None
    step = locked(session, access, command.step_id)
    session.refresh(command)
    if command.status == Status.FINISHED:
        refuse_other_end(command, told)
    elif told.status in ("in_progress", "finished") and step.status in HELD:
        pass_on(session, step, command, told)
    return command


def refuse_other_end(command: Command, told: CommandTold) -> None:
    """Our answer may have got lost on the way; only another end is wrong."""
    if told.status == "finished" and told.return_code != command.return_code:
        raise Invalid("Command already marked as finished", ["status"])


def pass_on(session: Session, step: JobStep, command: Command, told: CommandTold) -> None:
    if told.status == "finished" and told.return_code is None:
        raise Invalid("A finished command needs its return_code.", ["return_code"])
    status: Literal["in_progress", "finished"] = "finished" if told.status == "finished" else "in_progress"
    one = CommandReport(
        id=command.id.hex, status=status, return_code=told.return_code, output=told.output or None
    )
    accept(session, step, StepReport(status="in_progress", commands=[one]))
    if told.output and told.return_code == 0:
        unusable = expand.from_output(session, step, [command], [one])
        if unusable is not None:
            # Kept, and not refused: the agent would only say it again. The step ends as failed, because
            # it named nothing.
            settle.explain(session, step.job.build_id, unusable, step=step)
    session.flush()


def hear_of_setup(session: Session, access: Access, command_id: UUID, told: CommandTold) -> None:
    candidates = scripts.steps_that_may_have(command_id)
    if access.step_id is not None:
        candidates = [each for each in candidates if each == access.step_id]
    found = session.execute(select(JobStep.id).where(JobStep.id.in_(candidates))).scalars().first()
    if found is None:
        raise NotFound("Not found")
    step = locked(session, access, found)
    if told.status == "finished" and told.return_code and step.status in HELD:
        is_second = scripts.number_of_setup(step.id, command_id) == scripts.PATCH_NUMBER
        is_patch = is_second and patch_of(session, step) is not None
        step.data = {**step.data, FAILED_SETUP: "patch_failed" if is_patch else "checkout_failed"}
    session.flush()


# --- what is asked for -------------------------------------------------------------------


def patch_of(session: Session, step: JobStep) -> bytes | None:
    patch_id = step.job.build.source.patch_id
    return patches.content(session, session.get_one(Patch, patch_id)) if patch_id is not None else None


def adapter_of(session: Session, step: JobStep) -> str:
    return adapters_of(session, [step])[step.id]


def adapters_of(session: Session, steps: Sequence[JobStep]) -> dict[UUID, str]:
    mine = select(JobPlan.job_id, JobPlan.data).where(JobPlan.job_id.in_([step.job_id for step in steps]))
    frozen = {row[0]: row[1] for row in session.execute(mine)}
    return {step.id: configuration.adapter_of(frozen.get(step.job_id, {}), step.data) for step in steps}


def images_of(session: Session, steps: Sequence[JobStep]) -> dict[UUID, SnapshotImage]:
    """By step, what it begins with, if such an agent made it; schedulers prefer machines that have it."""
    mine = select(JobSnapshot.job_id, SnapshotImage).join(
        SnapshotImage, SnapshotImage.id == JobSnapshot.image_id
    )
    mine = mine.where(JobSnapshot.job_id.in_([step.job_id for step in steps]), SnapshotImage.sha256.is_(None))
    found = {row[0]: row[1] for row in session.execute(mine)}
    return {step.id: found[step.job_id] for step in steps if step.job_id in found}


def waiting_steps(session: Session, step_ids: Sequence[UUID]) -> dict[UUID, JobStep]:
    """With all that they are shown with; those that were taken meanwhile are left out."""
    mine = select(JobStep).where(JobStep.id.in_(step_ids), JobStep.status == Status.PENDING_ALLOCATION)
    with_build = joinedload(JobStep.job).joinedload(Job.build)
    return {step.id: step for step in session.execute(mine.options(with_build)).scalars()}


def require_wanted(step: JobStep) -> None:
    """Nobody shall begin what is over."""
    if step.status not in HELD:
        raise Conflict(f"This step is {step.status.name.lower()}; there is nothing to run any more.")


def described(session: Session, access: Access, step_id: UUID) -> tuple[JobStep, dict[str, Any]]:
    """The step, and the fields of it that the agent must obey."""
    step = keys.step(session, access, step_id)
    require_wanted(step)
    limits = configuration.limits(step.data)
    told: dict[str, Any] = {
        "adapter": adapter_of(session, step),
        "snapshot": snapshots.begun_with(session, step),
        "expectedSnapshot": snapshots.expected_by(session, step),
    }
    return step, told | ({"resourceLimits": limits} if limits else {})
