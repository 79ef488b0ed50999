"""The same work once more, for any number of steps at once: the database copies, nothing travels."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import select, text
from sqlalchemy.orm import Session

from changes.base import clock, ids
from changes.builds import second_look
from changes.builds.excuses import EXCUSED
from changes.builds.models import Command, JobPhase, JobStep
from changes.builds.rules import Origin, Result, Status

# What is stored about an attempt and not about the work.
AVOIDED = "avoid_nodes"
OF_A_LOOK = (second_look.STATE, second_look.AWAITED)
OF_ONE_ATTEMPT = ("reported", "late_reports", "phases", AVOIDED, EXCUSED, *OF_A_LOOK)

# How urgent a build is may have been changed since an old attempt was handed out.
COPY_STEPS = text("""
    insert into job_step (
        id, date_created, job_id, phase_id, project_id, label, attempt, origin, cluster, priority,
        timeout_s, queue_limit_s, status, result, data
    )
    select
        pair.made, :at, job_id, phase_id, project_id, label, attempt + 1, :origin, cluster,
        (select build.priority from job join build on build.id = job.build_id where job.id = job_step.job_id),
        timeout_s, queue_limit_s, :status, :unknown, data - cast(:left_out as text[])
    from unnest(cast(:old as uuid[]), cast(:made as uuid[])) as pair (old, made)
    join job_step on job_step.id = pair.old
""")
COPY_COMMANDS = text("""
    insert into command (
        id, date_created, step_id, label, status, script, env, cwd, artifacts, "order", type
    )
    select pair.made, :at, pair.step, label, :queued, script, env, cwd, artifacts, "order", type
    from unnest(cast(:old as uuid[]), cast(:made as uuid[]), cast(:steps as uuid[]))
        as pair (old, made, step)
    join command on command.id = pair.old
""")

SUPERSEDE = text("""
    update job_step set replacement_id = pair.made
    from unnest(cast(:old as uuid[]), cast(:made as uuid[])) as pair (old, made)
    where job_step.id = pair.old
""")


def copy_steps(
    session: Session,
    step_ids: Sequence[UUID],
    origin: Origin,
    status: Status,
    *,
    left_out: Sequence[str] = (),
) -> dict[UUID, UUID]:
    """The new attempt at each; the old ones are left as they are."""
    session.flush()
    made = {step_id: ids.new() for step_id in step_ids}
    given = {
        "old": list(made),
        "made": list(made.values()),
        "at": clock.now(),
        "origin": int(origin),
        "status": int(status),
        "unknown": int(Result.UNKNOWN),
        "left_out": [*OF_ONE_ATTEMPT, *left_out],
    }
    session.execute(COPY_STEPS, given)
    copy_commands(session, made)
    return made


def copy_commands(session: Session, made: dict[UUID, UUID]) -> None:
    mine = select(Command.id, Command.step_id).where(Command.step_id.in_(list(made)))
    rows = session.execute(mine.order_by(Command.step_id, Command.order)).all()
    given: dict[str, Any] = {
        "old": [row.id for row in rows],
        "made": [ids.new() for _ in rows],
        "steps": [made[row.step_id] for row in rows],
        "at": clock.now(),
        "queued": int(Status.QUEUED),
    }
    session.execute(COPY_COMMANDS, given)


def supersede(session: Session, pairs: Mapping[UUID, UUID]) -> None:
    """From now on the new attempts count in the places of the old ones; whoever calls has them counted."""
    if pairs:
        session.execute(SUPERSEDE, {"old": list(pairs), "made": list(pairs.values())})


def forget_read(session: Session) -> None:
    """Steps and phases were changed past those that this session has read already."""
    for known in list(session.identity_map.values()):
        if isinstance(known, JobStep | JobPhase):
            session.expire(known)


def copy_step(session: Session, step: JobStep, origin: Origin, status: Status) -> JobStep:
    made = copy_steps(session, [step.id], origin, status)
    return session.get_one(JobStep, made[step.id])
