"""The only writer of a status. Everything here runs under the lock of the build's row.

A change of a step is followed upwards, phase, job, build. Each of them keeps count of what its
parts are (tally.py), so nobody looks at all parts to learn what a whole has become: that costs the
same for four jobs and for four thousand. Whoever adds parts to something that goes on already
calls `counting.count_anew` on it, and it is counted from its rows once.
"""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import select, update
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.orm import Session

from changes.base import events, rows
from changes.builds import counting, health, lanes, needing, needs, rules, second_look, tally, telling
from changes.builds.counting import Whole, count, count_each
from changes.builds.events import JobFinished, StepFailed
from changes.builds.explaining import explain, explain_jobs, forget_of_jobs, forget_reasons
from changes.builds.locks import LOCKED_PHASE, lock_build, lock_job, lock_step, moment
from changes.builds.models import Build, Job, JobPhase, JobStep
from changes.builds.reasons import BUILD_TIMEOUT, CANCELLED, NEEDS_NOT_MET, SUPERSEDED
from changes.builds.rules import Result, ResultRule, Status

__all__ = ["explain", "finish_step", "lock_build", "lock_job", "lock_step", "moment", "start_step"]

# What a step printed before it was stopped may tell why somebody had to stop it.
TELLING_WHY = (Result.FAILED, Result.INFRA_FAILED, Result.ABORTED)
Part = JobStep | JobPhase | Job


# --- one step ----------------------------------------------------------------------------


def start_step(session: Session, step: JobStep) -> None:
    if step.status == Status.IN_PROGRESS:
        # One of its commands went on, which pages show.
        telling.tell(session, session.get_one(Build, step.job.build_id))
        return
    # A build that ran elsewhere says itself when it began, and when it ended.
    step.date_started = step.date_started or moment(session)
    move(session, step, Status.IN_PROGRESS, step.result)


def await_results(session: Session, step: JobStep, result: Result) -> None:
    """The agent is done; what it left behind is still to be read."""
    # From here on the agent has nothing to say; the sweep counts the silence since this report.
    step.last_heartbeat = moment(session)
    move(session, step, Status.COLLECTING_RESULTS, result)


def finish_step(session: Session, step: JobStep, result: Result) -> None:
    step.date_finished = step.date_finished or moment(session)
    move(session, step, Status.FINISHED, result)
    if result in TELLING_WHY:
        events.announce(session, StepFailed(step.id))
    looked_at = second_look.concluded(session, step)
    if looked_at is not None:
        finish_step(session, *looked_at)


def move(session: Session, step: JobStep, status: Status, result: Result) -> None:
    rules.check_move(step.status, status)
    before = tally.of_part(step)
    step.status, step.result = status, result
    settle_upwards(session, step, before)
    health.note_end(session, step)


def supersede(session: Session, step: JobStep, attempt: JobStep) -> None:
    """From now on the new attempt counts in the place of the old one, whatever became of that."""
    phase = fresh_phase(session, step.phase_id)
    if phase.tally is not None:
        without = tally.moved(phase.tally, tally.of_part(step), None)
        phase.tally = tally.moved(without, None, tally.of_part(attempt))
    step.replacement_id = attempt.id
    session.flush()


def set_aside(session: Session, phase_ids: Collection[UUID]) -> None:
    """What a collecting step named counts no more, because that is asked again (set_aside.py)."""
    mine = (JobStep.phase_id.in_(phase_ids), JobStep.replacement_id.is_(None))
    skipped = {"status": Status.FINISHED, "result": Result.SKIPPED, "date_finished": moment(session)}
    session.execute(update(JobStep).where(*mine, JobStep.status != Status.FINISHED).values(skipped))
    session.execute(update(JobStep).where(*mine).values(replacement_id=JobStep.id))
    nothing = {"tally": None, "data": JobPhase.data.op("-")("collected")}
    session.execute(update(JobPhase).where(JobPhase.id.in_(phase_ids)).values(nothing))


# --- a whole job or build ------------------------------------------------------------------


def finish_job_without_steps(session: Session, job: Job, result: Result) -> None:
    """A job that cannot even start. Its build is settled when all its jobs are there."""
    finish(job, result, moment(session))
    events.announce(session, JobFinished(job.id))


def count_new_build(build: Build, jobs: Sequence[Job]) -> None:
    """Before it is written, so that it is written once."""
    build.tally = tally.counted(jobs)


def settle_new_build(session: Session, build: Build, jobs: Sequence[Job]) -> None:
    """Once all jobs are there and not before: a build of which one is refused has not ended with it."""
    before = build.status, build.result
    if take_over(build, jobs[-1]) or (build.status, build.result) != before:
        tell_of(session, build, has_ended=build.is_finished)
    else:
        # All of it is written, and told.
        rows.write_changes(session)


def abort_build(session: Session, build: Build) -> None:
    """Stops what runs, drops what waits; only for an unfinished build that is locked."""
    end_build(session, build, Result.ABORTED)


def end_build(session: Session, build: Build, result: Result) -> None:
    """All that has not ended ends with this result, and so does the build."""
    jobs = select(Job.id).where(Job.build_id == build.id, Job.status != Status.FINISHED)
    job_ids = session.execute(jobs.order_by(Job.number)).scalars().all()
    telling.tell_nodes_to_stop(session, job_ids)
    end_parts(session, job_ids, result)
    for job_id in job_ids:
        events.announce(session, JobFinished(job_id))
    build.tally = None
    finish_build(session, build, result)


def end_job(session: Session, job: Job, result: Result) -> None:
    """Only for an unfinished job whose build is locked; the other jobs go on."""
    before = tally.of_part(job)
    telling.tell_nodes_to_stop(session, [job.id])
    end_parts(session, [job.id], result)
    session.refresh(job)
    follow_job(session, job, before, has_ended=True)


def end_parts(session: Session, job_ids: Collection[UUID], result: Result) -> None:
    """In bulk. What is below is counted again should it ever be repeated."""
    # Thousands of them may be known to this session: the database says which of them were meant.
    by_answer = {"synchronize_session": "fetch"}
    now, nobody_counted = moment(session), {"tally": None}
    begun = select(JobStep.id).where(JobStep.job_id.in_(job_ids), JobStep.status != Status.FINISHED)
    begun = begun.where(JobStep.date_started.is_not(None)).order_by(JobStep.id)
    stopped = session.execute(begun).scalars().all() if result in TELLING_WHY else ()
    for table, mine, more in (
        (JobStep, JobStep.job_id.in_(job_ids), {}),
        (JobPhase, JobPhase.job_id.in_(job_ids), nobody_counted),
        (Job, Job.id.in_(job_ids), nobody_counted),
    ):
        unfinished = update(table).where(mine, table.status != Status.FINISHED)
        ended = unfinished.values(status=Status.FINISHED, result=result, date_finished=now, **more)
        session.execute(ended, execution_options=by_answer)
    for step_id in stopped:
        events.announce(session, StepFailed(step_id))


def finish_build(session: Session, build: Build, result: Result) -> None:
    """A verdict that does not come from below: cancelled, or nothing there to run."""
    finish(build, result, moment(session))
    tell_of(session, build, has_ended=True)


def reopen(session: Session, build: Build, phases: Sequence[JobPhase]) -> None:
    """Attempts were made that are queued: what they belong to goes on. The build is locked, and the
    phases are as they are now. All of them together, for there may be thousands.
    """
    mine = select(Job).where(Job.id.in_({phase.job_id for phase in phases})).order_by(Job.number)
    jobs = session.execute(mine.execution_options(populate_existing=True)).scalars().all()
    count_together(session, (phases, jobs, [build]), is_repeated=True)
    build.date_decided = None
    if build.overall_limit_s is not None:
        build.date_due = moment(session) + timedelta(seconds=build.overall_limit_s)
    forget_reasons(session, build, (BUILD_TIMEOUT, CANCELLED))
    forget_of_jobs(session, [job.id for job in jobs], (NEEDS_NOT_MET, CANCELLED, SUPERSEDED))
    skipped = go_on(session, build, jobs)
    # With nothing that goes on, this is the end of the build once more.
    tell_of(session, build, has_ended=take_over(build, skipped[-1] if skipped else None))


def count_together(session: Session, levels: Sequence[Sequence[Whole]], *, is_repeated: bool = False) -> None:
    """From below upwards, each level by one question and one statement."""
    for wholes in levels:
        session.flush()
        counting.count_all(session, wholes)
        for whole in wholes:
            if not whole.tally and is_repeated:
                # What a collecting step is to name comes back with it.
                whole.status, whole.result, whole.date_finished = Status.QUEUED, Result.UNKNOWN, None
            take_over(whole, None, is_repeated=is_repeated)


def go_on(session: Session, build: Build, jobs: Sequence[Job]) -> Sequence[Job]:
    """What a job needs may have been reopened with it, and releases it at its end. Returns those that
    cannot run any more.
    """
    waiting = needing.with_needs_of(session, jobs)
    start_jobs(session, build.id, [each.job for each in waiting if each.may_start])
    ended_badly = {job_id for each in waiting if not each.may_start for job_id in each.ended_badly}
    return skip_needing(session, build, ended_badly)


# --- upwards -----------------------------------------------------------------------------


def settle_upwards(session: Session, step: JobStep, before: str | None) -> None:
    """`before` is how the step was counted until now. What changed is counted above it before anything
    else is: whoever counts for the first time sees it already.
    """
    job, phase = step.job, fresh_phase(session, step.phase_id)
    of_phase, of_job = tally.of_part(phase), tally.of_part(job)
    count(session, phase, before, tally.of_part(step))
    has_phase_ended = take_over(phase, step)
    count(session, job, of_phase, tally.of_part(phase))
    if has_phase_ended:
        start_next_phase(session, phase, job)
    follow_job(session, job, of_job, has_ended=take_over(job, phase))


def follow_job(session: Session, job: Job, before: str | None, *, has_ended: bool) -> None:
    build = session.get_one(Build, job.build_id)
    count(session, build, before, tally.of_part(job))
    if has_ended:
        events.announce(session, JobFinished(job.id))
        if build.last_job_number > 1:
            release_needing(session, build, job)
    tell_of(session, build, has_ended=take_over(build, job))


def fresh_phase(session: Session, phase_id: UUID) -> JobPhase:
    """As it is under the lock: a page may have read it before."""
    locked: JobPhase | None = session.info.get(LOCKED_PHASE)
    if locked is not None and locked.id == phase_id:
        return locked
    session.flush()
    return session.get_one(JobPhase, phase_id, populate_existing=True)


def start_next_phase(session: Session, phase: JobPhase, job: Job) -> None:
    """Phases run one after the other; one that did not pass leaves nothing to do for the rest."""
    if job.tally is not None and sum(job.tally.values()) == 1:
        return
    session.flush()
    following = select(JobPhase).where(JobPhase.job_id == phase.job_id, JobPhase.order > phase.order)
    following = following.order_by(JobPhase.order).execution_options(populate_existing=True)
    goes_on = rules.lets_go_on(phase.result)
    for later in session.execute(following).scalars().all():
        if later.is_finished:
            # It was cancelled before its turn came.
            goes_on = goes_on and rules.lets_go_on(later.result)
        # One that was to be named by a collecting step and has nothing to do is passed over.
        elif goes_on and open_phase(session, later, job):
            return
        else:
            skip_phase(session, later, job)


def open_phase(session: Session, phase: JobPhase, job: Job) -> int:
    """Its steps may be taken now; how many there are."""
    before = tally.of_part(phase)
    waiting = update(JobStep).where(JobStep.phase_id == phase.id, JobStep.status == Status.QUEUED)
    opening = waiting.values(status=Status.PENDING_ALLOCATION, date_pending=moment(session))
    opened = session.execute(opening.returning(JobStep.id)).all()
    if opened:
        phase.tally = None if phase.tally is None else tally.opened(phase.tally)
        count(session, phase, None, None)
        take_over(phase, None)
        count(session, job, before, tally.of_part(phase))
        announce_steps(session, len(opened))
    return len(opened)


def skip_phase(session: Session, phase: JobPhase, job: Job) -> None:
    before, now = tally.of_part(phase), moment(session)
    waiting = update(JobStep).where(JobStep.phase_id == phase.id, JobStep.status == Status.QUEUED)
    session.execute(waiting.values(status=Status.FINISHED, result=Result.SKIPPED, date_finished=now))
    finish(phase, Result.SKIPPED, now)
    phase.tally = None
    count(session, job, before, tally.of_part(phase))


# --- jobs that need other jobs -------------------------------------------------------------


def release_needing(session: Session, build: Build, job: Job) -> None:
    """Of the jobs that wait for this one, those start that wait for nothing more; or none ever does."""
    if needs.may_run([job.result]):
        start_jobs(session, build.id, [each.job for each in needing.of(session, job) if each.may_start])
    else:
        skip_needing(session, build, [job.id])


def skip_needing(session: Session, build: Build, ended_badly: Collection[UUID]) -> Sequence[Job]:
    """All that wait for these, and all that wait for those, by statement: there may be thousands. Their
    build is settled by the caller.
    """
    doomed = needing.doomed_by(session, ended_badly) if ended_badly else []
    if not doomed:
        return []
    mine = [each.job_id for each in doomed]
    end_parts(session, mine, Result.SKIPPED)
    involved = select(Job).where(Job.id.in_({*mine, *ended_badly}))
    jobs = {job.id: job for job in session.execute(involved).scalars()}
    for job_id, results in needing.came_to(session, mine).items():
        jobs[job_id].result = rules.result_of_skipped(results)
    count_each(session, build, ((each.counted_as, tally.of_part(jobs[each.job_id])) for each in doomed))
    explain_jobs(session, build.id, {each.job_id: each.why(jobs) for each in doomed})
    for job_id in mine:
        events.announce(session, JobFinished(job_id))
    return [jobs[job_id] for job_id in mine]


def start_jobs(session: Session, build_id: UUID, jobs: Sequence[Job]) -> None:
    """Each from its first phase that has not ended; their build is settled by the caller."""
    if not jobs:
        return
    before = [tally.of_part(job) for job in jobs]
    session.flush()
    unended = select(JobPhase.id).where(JobPhase.status != Status.FINISHED)
    unended = unended.where(JobPhase.job_id.in_([job.id for job in jobs]))
    first = unended.ext(distinct_on(JobPhase.job_id)).order_by(JobPhase.job_id, JobPhase.order)
    waiting = update(JobStep).where(JobStep.phase_id.in_(first), JobStep.status == Status.QUEUED)
    opening = waiting.values(status=Status.PENDING_ALLOCATION, date_pending=moment(session))
    opened = session.execute(opening.returning(JobStep.phase_id)).scalars().all()
    phases = select(JobPhase).where(JobPhase.id.in_(set(opened))).execution_options(populate_existing=True)
    count_together(session, (session.execute(phases).scalars().all(), jobs))
    build = session.get_one(Build, build_id)
    count_each(session, build, zip(before, map(tally.of_part, jobs), strict=True))
    announce_steps(session, len(opened))


def take_over(whole: Whole, part: Part | None, *, is_repeated: bool = False) -> bool:
    """Gives a whole what it has come to by its parts, of which this one changed; True when it ends."""
    if not whole.tally:
        return False
    status, was_finished = rules.aggregate_status(tally.statuses(whole.tally)), whole.is_finished
    if was_finished and status == Status.FINISHED:
        return False
    rules.check_move_of_whole(whole.status, status, is_repeated=is_repeated)
    note_times(whole, part)
    rule, results = rule_of(whole), tally.results(whole.tally)
    whole.status = status
    if status == Status.FINISHED:
        whole.result = rules.judge(results, rule)
        return True
    # What is known of the end of its parts is kept only until it is not the end any more.
    whole.result, whole.date_finished = rules.foresee(results, rule), None
    return False


def note_times(whole: Whole, part: Part | None) -> None:
    """From its first start to its last end; the first attempt may have been replaced since."""
    if part is None:
        return
    starts = [each for each in (whole.date_started, part.date_started) if each is not None]
    whole.date_started = min(starts, default=None)
    whole.date_finished = part.date_finished


def rule_of(whole: Whole) -> ResultRule:
    return whole.result_rule if isinstance(whole, Build) else ResultRule.ALL


def finish(whole: Whole, result: Result, at: datetime) -> None:
    rules.check_move_of_whole(whole.status, Status.FINISHED, is_repeated=False)
    whole.status = Status.FINISHED
    whole.result = result
    whole.date_finished = at


# --- telling ----------------------------------------------------------------------------


def tell_of(session: Session, build: Build, *, has_ended: bool) -> None:
    if build.result == Result.FAILED and build.date_failing is None:
        build.date_failing = moment(session)
        telling.announce_failing(session, build)
    if has_ended:
        telling.announce_end(session, build, moment(session))
    rows.write_changes(session, *telling.topics(build))


def announce_steps(session: Session, number: int) -> None:
    """Puts what waits for an agent into the queue, and wakes as many agents as there are steps."""
    if number:
        lanes.enter(session)
