"""Doing it again: a new attempt at a lost step, or a new build of the same source."""

from sqlalchemy import func, select
from sqlalchemy.orm import Session, aliased

from changes.base import ids
from changes.builds import reasons, rules, settle
from changes.builds.models import Command, Job, JobStep
from changes.builds.reasons import Reason
from changes.builds.rules import Result, Status

# What is stored about an attempt and not about the work.
OF_ONE_ATTEMPT = {"reported", "late_reports"}


def replace_lost_step(session: Session, step: JobStep, why: Reason, *, limit: int) -> JobStep | None:
    """Ends an attempt that the machinery lost and makes a new one, unless that happened too often."""
    job = session.get_one(Job, step.job_id)
    settle.explain(session, job.build_id, why, step=step)
    replaced = count_replaced(session, job)
    replacement = None
    if rules.may_replace(replaced_in_job=replaced, limit=limit):
        replacement = copy_step(session, step)
        step.replacement_id = replacement.id
        settle.announce_steps(session, 1)
    else:
        too_often = Reason(reasons.REPLACED_TOO_OFTEN, {"count": replaced})
        settle.explain(session, job.build_id, too_often, step=step)
    settle.finish_step(session, step, Result.INFRA_FAILED)
    return replacement


def count_replaced(session: Session, job: Job) -> int:
    replaced = select(func.count()).where(JobStep.job_id == job.id, JobStep.replacement_id.is_not(None))
    return session.execute(replaced).scalar_one()


def copy_step(session: Session, step: JobStep) -> JobStep:
    old = aliased(Command)
    commands = session.execute(select(old).where(old.step_id == step.id)).scalars().all()
    new = JobStep(
        id=ids.new(),
        job_id=step.job_id,
        phase_id=step.phase_id,
        project_id=step.project_id,
        label=step.label,
        attempt=step.attempt + 1,
        cluster=step.cluster,
        priority=step.priority,
        timeout_s=step.timeout_s,
        status=Status.PENDING_ALLOCATION,
        data={
            **{name: value for name, value in step.data.items() if name not in OF_ONE_ATTEMPT},
            "avoid_node": step.node_id.hex if step.node_id else None,
        },
    )
    session.add(new)
    session.flush()
    session.add_all(copy_command(command, new) for command in commands)
    session.flush()
    return new


def copy_command(command: Command, step: JobStep) -> Command:
    return Command(
        step_id=step.id,
        label=command.label,
        script=command.script,
        env=command.env,
        cwd=command.cwd,
        artifacts=command.artifacts,
        order=command.order,
        type=command.type,
    )
