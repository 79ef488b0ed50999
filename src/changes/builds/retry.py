"""Another attempt at a step: because a machine lost it, because its plan says so, or because somebody asks.

The old attempt stays as it ended, and points to the new one. What is repeated is the same work: the
same commands, limits and surroundings, as they were when the job was made.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session, aliased

from changes.base.errors import Conflict
from changes.builds import (
    collectors,
    copies,
    log_search,
    look_again,
    reasons,
    rules,
    second_look,
    set_aside,
    settle,
    terms,
)
from changes.builds.copies import AVOIDED
from changes.builds.models import Build, FailureReason, Job, JobPhase, JobPlan, JobStep
from changes.builds.reasons import Reason
from changes.builds.rules import Origin, ReplaceLimits, Result, Status
from changes.builds.terms import Retry

# It ran in another system (outside.py), which alone could run it again.
ELSEWHERE = "outside"
# How often the plan's own policy has repeated it, and how often somebody stopped the machine it was on.
REPEATED, GIVEN_BACK = "repeated", "given_back"


# --- lost by the machinery ---------------------------------------------------------------


def replace_lost_step(session: Session, step: JobStep, why: Reason, limits: ReplaceLimits) -> JobStep | None:
    """Ends an attempt that the machinery lost and makes a new one, unless that happened too often."""
    settle.explain(session, step.job.build_id, why, step=step)
    if why.id == reasons.AGENT_STOPPED:
        return give_back(session, step, limits)
    return replace_or_end(session, step, limits)


def give_back(session: Session, step: JobStep, limits: ReplaceLimits) -> JobStep | None:
    """Its machine was stopped by somebody, as all are one after the other when they get a new version: nobody
    is to blame. Only that one and the same step comes back again and again has an end.
    """
    attempt, before = None, int(step.data.get(GIVEN_BACK, 0))
    if before < limits.per_job:
        attempt = another(session, step, losses(session, step.job_id))
        attempt.data = {**attempt.data, GIVEN_BACK: before + 1}
    else:
        why = Reason(reasons.REPLACED_TOO_OFTEN, {"count": before})
        settle.explain(session, step.job.build_id, why, step=step)
    settle.finish_step(session, step, Result.INFRA_FAILED)
    return attempt


def replace_or_end(session: Session, step: JobStep, limits: ReplaceLimits) -> JobStep | None:
    attempt, lost = None, losses(session, step.job_id)
    if rules.may_replace(lost, step.node_id, limits):
        attempt = another(session, step, lost)
    else:
        settle.explain(session, step.job.build_id, given_up(lost, limits), step=step)
    settle.finish_step(session, step, Result.INFRA_FAILED)
    return attempt


def another(session: Session, step: JobStep, lost: dict[UUID | None, int]) -> JobStep:
    attempt = repeat(session, step, Origin.LOST)
    attempt.data = {**attempt.data, **avoiding(step, lost)}
    settle.announce_steps(session, 1)
    return attempt


def losses(session: Session, job_id: UUID) -> dict[UUID | None, int]:
    """How often each machine has lost an attempt of this job, since somebody last asked for new ones. What
    was given back is not lost.
    """
    lost, made = aliased(JobStep), aliased(JobStep)
    given_back = select(FailureReason.id).where(
        FailureReason.step_id == lost.id, FailureReason.reason == reasons.AGENT_STOPPED
    )
    asked = select(JobStep.id).where(JobStep.job_id == job_id, JobStep.origin == Origin.ASKED)
    last_asked = asked.order_by(JobStep.id.desc()).limit(1).scalar_subquery()
    found = (
        select(lost.node_id, func.count())
        .join(made, (made.id == lost.replacement_id) & (made.id != lost.id))
        .where(made.job_id == job_id, made.origin == Origin.LOST, ~given_back.exists())
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
    if second_look.is_look(step):
        attempt = look_again.once_more(session, step) if result == Result.FAILED else None
    elif result == Result.FAILED:
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
    attempt = repeat(session, step, Origin.POLICY)
    attempt.data = {**attempt.data, REPEATED: number}
    if pause_s:
        attempt.not_before = settle.moment(session) + timedelta(seconds=pause_s)
    settle.announce_steps(session, 1)
    return attempt


# --- repeated because somebody asks --------------------------------------------------------


@dataclass(frozen=True)
class Attempt:
    """As much of a step as somebody needs who repeats thousands of them."""

    id: UUID
    job_id: UUID
    phase_id: UUID
    status: Status
    result: Result
    # The phase that it names the steps of, if it does.
    expands_into: str | None
    is_elsewhere: bool
    # It looked at another one again, which is all done again with that (second_look.py).
    is_look: bool = False


def repeat_steps(session: Session, build: Build, steps: Sequence[Attempt]) -> None:
    """New attempts at steps that have ended; the build is locked. What they belong to goes on."""
    if any(step.is_elsewhere for step in steps):
        raise Conflict("It ran elsewhere: start it again there, or ask for a new build here.")
    anew = {UUID(step.expands_into) for step in steps if step.expands_into}
    if anew:
        set_aside.named_by(session, sorted(anew))
    repeated = [step for step in steps if step.phase_id not in anew and not step.is_look]
    made = copies.copy_steps(
        session, [step.id for step in repeated], Origin.ASKED, Status.QUEUED, left_out=[REPEATED, GIVEN_BACK]
    )
    copies.supersede(session, made)
    phase_ids, job_ids = {step.phase_id for step in repeated}, {step.job_id for step in steps}
    set_aside.looks_at(session, phase_ids, [step.id for step in repeated])
    session.execute(update(JobPhase).where(JobPhase.id.in_(phase_ids)).values(tally=None))
    copies.forget_read(session)
    collectors.collector.get().leave_out(session, list(made))
    settle.reopen(session, build, phases_to_reopen(session, job_ids, phase_ids | anew))


def phases_to_reopen(session: Session, job_ids: set[UUID], repeated: set[UUID]) -> list[JobPhase]:
    """Those of the steps, and those behind them that were skipped before they had any."""
    mine = select(JobPhase).where(JobPhase.job_id.in_(job_ids))
    fresh = mine.order_by(JobPhase.job_id, JobPhase.order).execution_options(populate_existing=True)
    found: list[JobPhase] = []
    opened: set[UUID] = set()
    for phase in session.execute(fresh).scalars():
        if phase.id in repeated or (phase.job_id in opened and phase.result == Result.SKIPPED):
            found.append(phase)
            opened.add(phase.job_id)
    return found


def newest_attempts(session: Session, build_id: UUID, job_id: UUID | None = None) -> list[Attempt]:
    """Of a build or of one of its jobs, as they are under the lock, in the order they were made."""
    newest = (
        select(
            JobStep.id,
            JobStep.job_id,
            JobStep.phase_id,
            JobStep.status,
            JobStep.result,
            JobStep.data["expands_into"].astext,
            JobStep.data.has_key(ELSEWHERE),
            JobStep.data.has_key(second_look.LOOKS_AT),
        )
        .join(Job, Job.id == JobStep.job_id)
        .where(Job.build_id == build_id, JobStep.replacement_id.is_(None))
        .order_by(Job.number, JobStep.id)
    )
    if job_id is not None:
        newest = newest.where(JobStep.job_id == job_id)
    session.flush()
    return [Attempt(*row) for row in session.execute(newest)]


# --- the same work once more ---------------------------------------------------------------


def repeat(session: Session, step: JobStep, origin: Origin) -> JobStep:
    """A new attempt that waits for an agent, in the place of one that is about to end."""
    into = step.data.get("expands_into")
    if into:
        set_aside.named_by(session, [UUID(into)])
    attempt = copies.copy_step(session, step, origin, Status.PENDING_ALLOCATION)
    settle.supersede(session, step, attempt)
    collectors.collector.get().leave_out(session, [step.id])
    return attempt
