"""The only writer of a status. Everything here runs under the lock of the build's row.

A change of a step is followed upwards, phase, job, build, by asking the database for the
distinct states below: that costs the same for four steps and for four thousand.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import ColumnElement, Select, func, select, update
from sqlalchemy.orm import Session, joinedload, lazyload

from changes.base import clock, events
from changes.builds import rules
from changes.builds.events import BuildFinished, JobFinished
from changes.builds.models import Build, FailureReason, Job, JobPhase, JobStep
from changes.builds.reasons import Reason
from changes.builds.rules import Result, Status

STEPS_CHANNEL = "steps"
STOP_CHANNEL = "stop"
LEAVE_CHANNEL = "leave"
BUILD_CHANNEL = "build"
LOCKED_BUILD = "locked build"


@dataclass(frozen=True)
class Parts:
    """What is below a phase, job or build: the distinct states, and when the parts ran."""

    statuses: list[Status]
    results: list[Result]
    first_start: datetime | None
    last_end: datetime | None


def lock_build(session: Session, build_id: UUID) -> Build:
    """Taken first by whoever changes anything of a build, so that nobody waits in a circle."""
    return session.execute(locked(Build.id == build_id)).scalar_one()


def lock_step(session: Session, step_id: UUID) -> JobStep | None:
    """The step as it is now, with its build locked."""
    its_job = select(Job.build_id).join(JobStep, JobStep.job_id == Job.id).where(JobStep.id == step_id)
    build = session.execute(locked(Build.id == its_job.scalar_subquery())).scalar_one_or_none()
    if build is None:
        return None
    # A session forgets what nobody holds, and the build is needed again at the end.
    session.info[LOCKED_BUILD] = build
    with_job = [joinedload(JobStep.job)]
    return session.get(JobStep, step_id, options=with_job, populate_existing=True)


def locked(mine: ColumnElement[bool]) -> Select[Build]:
    """Without what a build is usually shown with: this is asked at every word of an agent."""
    row = select(Build).where(mine).options(lazyload("*"))
    return row.with_for_update(of=Build).execution_options(populate_existing=True)


def start_step(session: Session, step: JobStep) -> None:
    if step.status == Status.IN_PROGRESS:
        return
    step.status = Status.IN_PROGRESS
    step.date_started = clock.now()
    settle_upwards(session, step)


def await_results(session: Session, step: JobStep, result: Result) -> None:
    """The agent is done; what it left behind is still to be read."""
    step.status = Status.COLLECTING_RESULTS
    step.result = result
    # From here on the agent has nothing to say; the sweep counts the silence since this report.
    step.last_heartbeat = func.now()
    settle_upwards(session, step)


def finish_step(session: Session, step: JobStep, result: Result) -> None:
    step.status = Status.FINISHED
    step.result = result
    step.date_finished = clock.now()
    settle_upwards(session, step)


def finish_job_without_steps(session: Session, job: Job, result: Result) -> None:
    """A job that cannot even start. Its build is settled when all its jobs are there."""
    finish(job, result, clock.now())
    events.announce(session, JobFinished(job.id))


def settle_new_build(session: Session, build: Build, jobs: Sequence[Job]) -> None:
    """Once all jobs are there and not before: a build of which one is refused has not ended with it."""
    session.flush()
    if any(job.is_finished for job in jobs):
        settle_build(session, build.id)
    else:
        # Nothing has happened to them yet, so what is in memory is all there is to know.
        build.status = rules.aggregate_status([job.status for job in jobs])
        session.flush()
        notify(session, BUILD_CHANNEL, build.id.hex)


def abort_build(session: Session, build: Build) -> None:
    """Stops what runs, drops what waits; only for an unfinished build that is locked."""
    now = clock.now()
    jobs = select(Job.id).where(Job.build_id == build.id, Job.status != Status.FINISHED)
    job_ids = session.execute(jobs.order_by(Job.number)).scalars().all()
    for table, mine in (
        (JobStep, JobStep.job_id.in_(job_ids)),
        (JobPhase, JobPhase.job_id.in_(job_ids)),
        (Job, Job.id.in_(job_ids)),
    ):
        unfinished = update(table).where(mine, table.status != Status.FINISHED)
        session.execute(unfinished.values(status=Status.FINISHED, result=Result.ABORTED, date_finished=now))
    for job_id in job_ids:
        events.announce(session, JobFinished(job_id))
    tell_nodes_to_stop(session, build)
    finish_build(session, build, Result.ABORTED)


def tell_nodes_to_stop(session: Session, build: Build) -> None:
    holders = (
        select(JobStep.node_id)
        .join(Job, Job.id == JobStep.job_id)
        .where(Job.build_id == build.id, JobStep.node_id.is_not(None))
        .distinct()
    )
    for node_id in session.execute(holders).scalars():
        notify(session, STOP_CHANNEL, node_id.hex if node_id else "")


def explain(
    session: Session, build_id: UUID, why: Reason, *, step: JobStep | None = None, job: Job | None = None
) -> None:
    """Stores why, once; a repeated report does not repeat the reason."""
    job_id = step.job_id if step else job.id if job else None
    step_id = step.id if step else None
    known = select(FailureReason.id).where(
        FailureReason.build_id == build_id,
        FailureReason.job_id.is_not_distinct_from(job_id),
        FailureReason.step_id.is_not_distinct_from(step_id),
        FailureReason.reason == why.id,
    )
    if session.execute(known).first() is None:
        session.add(
            FailureReason(
                build_id=build_id, job_id=job_id, step_id=step_id, reason=why.id, data=dict(why.facts)
            )
        )


# --- upwards -----------------------------------------------------------------------------


def settle_upwards(session: Session, step: JobStep) -> None:
    session.flush()
    settle_phase(session, step.phase_id)
    job = settle_job(session, step.job_id)
    settle_build(session, job.build_id)


def settle_phase(session: Session, phase_id: UUID) -> None:
    """A replaced attempt does not count, whatever became of it."""
    phase = session.get_one(JobPhase, phase_id)
    current = (JobStep.phase_id == phase_id, JobStep.replacement_id.is_(None))
    if take_over(phase, parts(session, JobStep, *current)):
        start_next_phase(session, phase)
    session.flush()


def settle_job(session: Session, job_id: UUID) -> Job:
    job = session.get_one(Job, job_id)
    if take_over(job, parts(session, JobPhase, JobPhase.job_id == job_id)):
        events.announce(session, JobFinished(job.id))
    session.flush()
    return job


def settle_build(session: Session, build_id: UUID) -> None:
    build = session.get_one(Build, build_id)
    if take_over(build, parts(session, Job, Job.build_id == build_id)):
        announce_end(session, build)
    session.flush()
    notify(session, BUILD_CHANNEL, build_id.hex)


def finish_build(session: Session, build: Build, result: Result) -> None:
    """A verdict that does not come from below: cancelled, or nothing there to run."""
    finish(build, result, clock.now())
    announce_end(session, build)
    session.flush()
    notify(session, BUILD_CHANNEL, build.id.hex)


def announce_end(session: Session, build: Build) -> None:
    build.date_decided = clock.now()
    events.announce(session, BuildFinished(build.id))


def start_next_phase(session: Session, phase: JobPhase) -> None:
    """Phases run one after the other; one that failed leaves nothing to do for the rest."""
    following = select(JobPhase).where(JobPhase.job_id == phase.job_id, JobPhase.order > phase.order)
    for later in session.execute(following.order_by(JobPhase.order)).scalars():
        waiting = update(JobStep).where(JobStep.phase_id == later.id, JobStep.status == Status.QUEUED)
        if phase.result == Result.PASSED:
            opened = session.execute(
                waiting.values(status=Status.PENDING_ALLOCATION).returning(JobStep.id)
            ).all()
            later.status = Status.PENDING_ALLOCATION
            announce_steps(session, len(opened))
            return
        now = clock.now()
        session.execute(waiting.values(status=Status.FINISHED, result=Result.SKIPPED, date_finished=now))
        finish(later, Result.SKIPPED, now)


def announce_steps(session: Session, count: int) -> None:
    """Wakes as many waiting agents as there are steps to hand out."""
    if count:
        notify(session, STEPS_CHANNEL, f" {count}")


def take_over(whole: JobPhase | Job | Build, below: Parts) -> bool:
    """Gives a whole the state of its parts; True when this was what finished it."""
    if not below.statuses or whole.is_finished:
        return False
    # Kept once known: the first attempt may have been replaced since.
    whole.date_started = whole.date_started or below.first_start
    status = rules.aggregate_status(below.statuses)
    if status == Status.FINISHED:
        finish(whole, rules.aggregate_result(below.results), below.last_end or clock.now())
        return True
    whole.status = status
    whole.result = rules.running_result(below.results)
    return False


def finish(whole: JobPhase | Job | Build, result: Result, at: datetime) -> None:
    whole.status = Status.FINISHED
    whole.result = result
    whole.date_finished = at


def parts(session: Session, table: type[JobStep | JobPhase | Job], *mine: ColumnElement[bool]) -> Parts:
    first_start, last_end = func.min(table.date_started), func.max(table.date_finished)
    found = select(table.status, table.result, first_start, last_end).where(*mine)
    rows = session.execute(found.group_by(table.status, table.result)).all()
    return Parts(
        statuses=[row[0] for row in rows],
        results=[row[1] for row in rows],
        first_start=min((row[2] for row in rows if row[2] is not None), default=None),
        last_end=max((row[3] for row in rows if row[3] is not None), default=None),
    )


def notify(session: Session, channel: str, payload: str) -> None:
    session.execute(select(func.pg_notify(channel, payload)))
