"""Another attempt at a step: because a machine lost it, because its plan says so, or because somebody asks.

The old attempt stays as it ended, and points to the new one. What is repeated is the same work: the
same commands, limits and surroundings, as they were when the job was made.
"""

from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.orm import Session, aliased

from changes.base import ids
from changes.base.errors import Conflict
from changes.builds import collectors, log_search, reasons, rules, settle, terms
from changes.builds.models import Build, Command, Job, JobPhase, JobPlan, JobStep
from changes.builds.reasons import Reason
from changes.builds.rules import Origin, ReplaceLimits, Result, Status
from changes.builds.terms import Retry

# What is stored about an attempt and not about the work.
AVOIDED = "avoid_nodes"
OF_ONE_ATTEMPT = {"reported", "late_reports", "phases", AVOIDED}
# It ran in another system (outside.py), which alone could run it again.
ELSEWHERE = "outside"
# How often the plan's own policy has repeated it.
REPEATED = "repeated"


# --- lost by the machinery ---------------------------------------------------------------


def replace_lost_step(session: Session, step: JobStep, why: Reason, limits: ReplaceLimits) -> JobStep | None:
    """Ends an attempt that the machinery lost and makes a new one, unless that happened too often."""
    settle.explain(session, step.job.build_id, why, step=step)
    return replace_or_end(session, step, limits)


def replace_or_end(session: Session, step: JobStep, limits: ReplaceLimits) -> JobStep | None:
    attempt, lost = None, losses(session, step.job_id)
    if rules.may_replace(lost, step.node_id, limits):
        attempt = copy_step(session, step, Origin.LOST, Status.PENDING_ALLOCATION)
        attempt.data = {**attempt.data, **avoiding(step, lost)}
        supersede(session, step, attempt)
        settle.announce_steps(session, 1)
    else:
        settle.explain(session, step.job.build_id, given_up(lost, limits), step=step)
    settle.finish_step(session, step, Result.INFRA_FAILED)
    return attempt


def losses(session: Session, job_id: UUID) -> dict[UUID | None, int]:
    """How often each machine has lost an attempt of this job, since somebody last asked for new ones."""
    lost, made = aliased(JobStep), aliased(JobStep)
    asked = select(JobStep.id).where(JobStep.job_id == job_id, JobStep.origin == Origin.ASKED)
    last_asked = asked.order_by(JobStep.id.desc()).limit(1).scalar_subquery()
    found = (
        select(lost.node_id, func.count())
        .join(made, made.id == lost.replacement_id)
        .where(made.job_id == job_id, made.origin == Origin.LOST)
        .where(made.id > func.coalesce(last_asked, UUID(int=0)))
    )
    return {row[0]: row[1] for row in session.execute(found.group_by(lost.node_id))}


def avoiding(step: JobStep, lost: dict[UUID | None, int]) -> dict[str, object]:
    """The machine that lost it now, and all that have lost something of this job before."""
    machines = {each for each in (step.node_id, *lost) if each is not None}
    return {AVOIDED: sorted(machine.hex for machine in machines)}


def given_up(lost: dict[UUID | None, int], limits: ReplaceLimits) -> Reason:
    count = sum(lost.values())
    if count >= limits.per_job:
        return Reason(reasons.REPLACED_TOO_OFTEN, {"count": count})
    return Reason(reasons.LOST_EVERYWHERE, {"machines": len(lost) + 1})


# --- repeated by the policy of its plan ----------------------------------------------------


def end_step(session: Session, step: JobStep, result: Result) -> JobStep | None:
    """Ends it; a failure that its plan forgives is not seen above it, and is tried again after a while."""
    attempt = None
    if result == Result.FAILED:
        policy = policy_of(session, step)
        repeated = int(step.data.get(REPEATED, 0))
        if repeated < policy.times and is_forgiven(session, step, policy):
            attempt = repeat_later(session, step, repeated + 1, pause_s=policy.increment_s * (repeated + 1))
    settle.finish_step(session, step, result)
    return attempt


def policy_of(session: Session, step: JobStep) -> Retry:
    frozen = session.execute(select(JobPlan.data).where(JobPlan.job_id == step.job_id)).scalar_one_or_none()
    return terms.thawed(frozen or {}).retry


def is_forgiven(session: Session, step: JobStep, policy: Retry) -> bool:
    return not policy.patterns or log_search.search.get().finds(session, step.id, policy.patterns)


def repeat_later(session: Session, step: JobStep, number: int, *, pause_s: int) -> JobStep:
    attempt = copy_step(session, step, Origin.POLICY, Status.PENDING_ALLOCATION)
    attempt.data = {**attempt.data, REPEATED: number}
    if pause_s:
        attempt.not_before = settle.moment(session) + timedelta(seconds=pause_s)
    supersede(session, step, attempt)
    settle.announce_steps(session, 1)
    return attempt


# --- repeated because somebody asks --------------------------------------------------------


def repeat_steps(session: Session, build: Build, steps: Sequence[JobStep]) -> list[JobStep]:
    """New attempts at steps that have ended; the build is locked. What they belong to goes on."""
    if any(step.data.get(ELSEWHERE) for step in steps):
        raise Conflict("It ran elsewhere: start it again there, or ask for a new build here.")
    attempts = []
    for step in steps:
        attempt = copy_step(session, step, Origin.ASKED, Status.QUEUED)
        attempt.data = {name: value for name, value in attempt.data.items() if name != REPEATED}
        supersede(session, step, attempt)
        attempts.append(attempt)
    settle.reopen(session, build, phases_to_reopen(session, steps))
    return attempts


def phases_to_reopen(session: Session, steps: Sequence[JobStep]) -> list[JobPhase]:
    """Those of the steps, and those behind them that were skipped before they had any."""
    session.flush()
    mine = select(JobPhase).where(JobPhase.job_id.in_({step.job_id for step in steps}))
    fresh = mine.order_by(JobPhase.job_id, JobPhase.order).execution_options(populate_existing=True)
    repeated = {step.phase_id for step in steps}
    found: list[JobPhase] = []
    for phase in session.execute(fresh).scalars():
        is_behind = any(phase.job_id == before.job_id for before in found)
        if phase.id in repeated or (is_behind and phase.result == Result.SKIPPED):
            found.append(phase)
    return found


def newest_attempts(session: Session, build_id: UUID, job_id: UUID | None = None) -> list[JobStep]:
    """Of a build or of one of its jobs, as they are under the lock, in the order they were made."""
    newest = select(JobStep).join(Job, Job.id == JobStep.job_id).where(JobStep.replacement_id.is_(None))
    newest = newest.where(Job.build_id == build_id).order_by(Job.number, JobStep.id)
    if job_id is not None:
        newest = newest.where(JobStep.job_id == job_id)
    fresh = newest.execution_options(populate_existing=True)
    return list(session.execute(fresh).scalars())


# --- the same work once more ---------------------------------------------------------------


def supersede(session: Session, step: JobStep, attempt: JobStep) -> None:
    settle.supersede(session, step, attempt)
    collectors.collector.get().leave_out(session, step)


def copy_step(session: Session, step: JobStep, origin: Origin, status: Status) -> JobStep:
    new = JobStep(
        id=ids.new(),
        job_id=step.job_id,
        phase_id=step.phase_id,
        project_id=step.project_id,
        label=step.label,
        attempt=step.attempt + 1,
        origin=origin,
        cluster=step.cluster,
        priority=step.priority,
        timeout_s=step.timeout_s,
        queue_limit_s=step.queue_limit_s,
        status=status,
        result=Result.UNKNOWN,
        data={name: value for name, value in step.data.items() if name not in OF_ONE_ATTEMPT},
    )
    session.add(new)
    session.flush()
    old = select(Command).where(Command.step_id == step.id).order_by(Command.order)
    session.add_all(copy_command(command, new) for command in session.execute(old).scalars().all())
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
