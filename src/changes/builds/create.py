"""From a request to rows that agents can take: everything in the caller's one transaction."""

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, event, func, inspect, select
from sqlalchemy.orm import Session
from sqlalchemy.orm.attributes import set_committed_value

from changes.base import db, ids
from changes.base.errors import Invalid
from changes.base.rows import Beside, insert_with_new
from changes.builds import (
    build_terms,
    lanes,
    needs,
    new_steps,
    other_repos,
    planned,
    reasons,
    settle,
    snapshot_use,
    superseded,
    tally,
    telling,
    wishes,
)
from changes.builds.collected import PHASES
from changes.builds.models import Build, Job, JobNeed, JobPhase, JobPlan, JobStep
from changes.builds.new_steps import NewStep
from changes.builds.planned import PlannedJob, ReadStep
from changes.builds.queue_rules import is_automatic
from changes.builds.reasons import Reason
from changes.builds.rules import Cause, Priority, Result, ResultRule, Status, aggregate_status
from changes.builds.snapshot_models import JobSnapshot
from changes.builds.snapshot_use import SnapshotAsked
from changes.builds.wishes import Unfulfillable, Wishes
from changes.people.models import Author
from changes.projects import config
from changes.projects.models import Project, Source
from changes.projects.rules import is_local

LABEL_MAX = 128
ASKED_BY_MAX = 255
DEFAULT_TIMEOUT_MIN = 60
COLLECTING = "Collect {what}"
NEXT_NUMBER = """
update project set last_build_number = last_build_number + 1 where id = %(project_id)s
returning last_build_number
"""
COUNTED_BESIDE = f"counted as ({NEXT_NUMBER})".replace("%(project_id)s", "%s")
COUNTED = "(select last_build_number from counted)"


@dataclass(frozen=True)
class NewBuild:
    """What makes a build this build, whichever project it is for."""

    source: Source
    collection_id: UUID
    label: str
    target: str
    message: str
    author: Author | None
    # The address of a person, or the name of a token.
    asked_by: str = ""
    # False for what somebody without rights on the project wrote.
    is_trusted: bool = True
    cause: Cause = Cause.UNKNOWN
    tags: list[str] = field(default_factory=list)
    priority: Priority = Priority.DEFAULT
    timeout_min: int = DEFAULT_TIMEOUT_MIN
    snapshot: SnapshotAsked = snapshot_use.CURRENT
    wishes: Wishes = wishes.NONE
    # Why nothing can be run, where that is known before.
    problem: str = ""
    # This transaction locks nothing after it: it may keep the project, in which builds are counted, to its
    # end without anybody waiting in a circle.
    is_last: bool = False


@dataclass(frozen=True)
class Rows:
    """What hangs on a new build, to be written table by table."""

    # The limit of steps that set none.
    timeout_min: int
    jobs: list[Job] = field(default_factory=list)
    job_plans: list[dict[str, Any]] = field(default_factory=list)
    images: list[dict[str, Any]] = field(default_factory=list)
    phases: list[dict[str, Any]] = field(default_factory=list)
    steps: list[NewStep] = field(default_factory=list)


def create_build(session: Session, project: Project, asked: NewBuild) -> Build:
    try:
        plans = plans_of(session, project, asked)
        why_none = Reason(reasons.NO_PLANS, {"file": config.FILE_NAME})
    except Unfulfillable:
        raise
    except Invalid as error:
        plans, why_none = [], Reason(reasons.INVALID_CONFIG, {"message": error.message})
    superseding = [plan.plan.id for plan in plans if plan.terms.cancels_superseded]
    if superseding:
        superseded.take_turns(session, project)
    is_numbered_later = asked.is_last and not superseding
    number = None if is_numbered_later else next_build_number(session, project)
    build = new_build(session, project, asked, plans, number=number)
    if plans:
        # Locked before anything of ours can be waited for: nobody is to wait in a circle.
        older = superseded.lock_older(session, build, superseding)
        create_jobs(session, build, plans, timeout_min=asked.timeout_min)
        superseded.drop(session, older)
    else:
        refuse_build(session, build, why_none)
    return build


def plans_of(session: Session, project: Project, asked: NewBuild) -> list[PlannedJob]:
    """As they are now, as far as they were asked for."""
    if asked.problem:
        raise Invalid(asked.problem)
    plans = wishes.fulfilled(planned.jobs_of(session, project, asked.source), asked.wishes)
    return snapshot_use.with_images(session, plans, asked.snapshot)


def create_planned(
    session: Session, project: Project, asked: NewBuild, plans: list[PlannedJob]
) -> tuple[Build, list[Job]]:
    """Of plans that somebody has prepared; there is at least one."""
    number = next_build_number(session, project)
    build = new_build(session, project, asked, plans, number=number)
    return build, create_jobs(session, build, plans, timeout_min=asked.timeout_min)


def new_build(
    session: Session, project: Project, asked: NewBuild, plans: list[PlannedJob], *, number: int | None
) -> Build:
    """It is written with its jobs, and numbered then unless it was before."""
    said = build_terms.of_options(plans[0].project_options if plans else {})
    build = Build(
        id=ids.new(),
        project_id=project.id,
        collection_id=asked.collection_id,
        source_id=asked.source.id,
        author_id=asked.author.id if asked.author else None,
        asked_by=asked.asked_by[:ASKED_BY_MAX],
        is_trusted=asked.is_trusted,
        cause=asked.cause,
        is_automatic=is_automatic(asked.cause, asked.tags, asked.author.email if asked.author else None),
        priority=asked.priority,
        label=asked.label[:LABEL_MAX],
        target=asked.target[:LABEL_MAX],
        message=asked.message,
        tags=asked.tags,
        wishes=asked.wishes.kept(),
        status=Status.PENDING_ALLOCATION if plans else Status.QUEUED,
        result=Result.UNKNOWN,
        last_job_number=len(plans),
        # Said, so that setting them once more below is no change.
        date_started=None,
        date_finished=None,
        result_rule=said.result_rule,
        queue_limit_s=said.queue_limit_s,
        overall_limit_s=said.overall_limit_s,
    )
    if said.overall_limit_s is not None:
        build.date_due = func.now() + timedelta(seconds=said.overall_limit_s)
    if number is not None:
        build.number = number
    build.project, build.source, build.author = project, asked.source, asked.author
    session.add(build)
    return build


def next_build_number(session: Session, project: Project) -> int:
    """Counted in the project's row, so two requests at once get two numbers and none comes twice."""
    return db.count_at_once(session, NEXT_NUMBER, {"project_id": project.id})


def numbering(build: Build) -> list[Beside]:
    """By the statement that writes it, if it has no number yet."""
    if "number" in inspect(build).dict:
        return []
    return [Beside(Build, COUNTED_BESIDE, [build.project_id], {"number": COUNTED}, COUNTED)]


@event.listens_for(Build, "before_insert")
def number_at_last(_mapper: object, connection: Connection, build: Build) -> None:
    """One that is flushed before it is written with its jobs, as when something is asked meanwhile."""
    if "number" not in inspect(build).dict:
        counted = connection.exec_driver_sql(NEXT_NUMBER, {"project_id": build.project_id})
        build.number = counted.scalar_one()


def create_jobs(session: Session, build: Build, plans: list[PlannedJob], *, timeout_min: int) -> list[Job]:
    wrong = needs.problems({each.plan.label: each.terms.needs for each in plans})
    rows = Rows(timeout_min)
    for number, each in enumerate(plans, start=1):
        problem = wrong.get(each.plan.label)
        plan = each.refused_for(problem) if problem else each
        rows.jobs.append(create_job(session, build, plan, rows, number=number))
    settle.count_new_build(build, rows.jobs)
    write(session, build, rows)
    note_needs(session, plans, rows.jobs)
    # None of them has done anything, so what has ended cannot be run.
    settle.skip_needing(session, build, [job.id for job in rows.jobs if job.is_finished])
    settle.settle_new_build(session, build, rows.jobs)
    return rows.jobs


def write(session: Session, build: Build, rows: Rows) -> None:
    """What waits for an agent is in the queue then, and agents are woken by the commit."""
    (_, steps), commands = new_steps.rows_of_steps(build, rows.steps)
    entering = lanes.entering(build, steps)
    if entering is not None:
        db.flush_later(session)
    told = insert_with_new(
        session,
        (JobPlan, rows.job_plans),
        (JobSnapshot, rows.images),
        (JobPhase, rows.phases),
        (JobStep, steps),
        commands,
        topics=telling.topics(build),
        besides=[*numbering(build), *([entering] if entering is not None else [])],
    )
    if Build in told:
        set_committed_value(build, "number", told[Build])


def note_needs(session: Session, plans: list[PlannedJob], jobs: list[Job]) -> None:
    """A plan on the server and one in the repository may have one name; then both are needed."""
    by_label: dict[str, list[Job]] = {}
    for job in jobs:
        by_label.setdefault(job.label, []).append(job)
    rows = [
        {"job_id": job.id, "needs_id": needed.id}
        for plan, job in zip(plans, jobs, strict=True)
        if not job.is_finished
        for label in dict.fromkeys(plan.terms.needs)
        for needed in by_label.get(label, ())
    ]
    db.insert_rows(session, JobNeed, rows)


def refuse_build(session: Session, build: Build, why: Reason) -> None:
    settle.explain(session, build.id, why)
    settle.finish_build(session, build, Result.FAILED)


def create_job(session: Session, build: Build, plan: PlannedJob, rows: Rows, *, number: int) -> Job:
    """With its first step waiting for an agent, or finished already when there is nothing to run."""
    job = Job(
        id=ids.new(),
        number=number,
        build_id=build.id,
        project_id=build.project_id,
        label=plan.title or plan.plan.label,
        expected_ms=None if plan.title else plan.plan.avg_build_time_ms,
        is_optional=plan.terms.is_optional and build.result_rule == ResultRule.REQUIRED_ONLY,
        status=Status.QUEUED if plan.terms.needs else Status.PENDING_ALLOCATION,
        result=Result.UNKNOWN,
    )
    job.build = build
    session.add(job)
    rows.job_plans.append(
        {"job_id": job.id, "build_id": build.id, "plan_id": plan.plan.id, "data": plan.frozen()}
    )
    if plan.image_id is not None:
        rows.images.append({"job_id": job.id, "image_id": plan.image_id})
    try:
        steps = plan.read(default_min=rows.timeout_min)
        may_be_local = is_local(build.source.repository.url)
        for step in steps:
            other_repos.refuse_local(step.recipe.other_repos, may_be_local=may_be_local)
    except Invalid as error:
        refuse_job(session, job, Reason(reasons.INVALID_PLAN, {"plan": job.label, "message": error.message}))
        return job
    if any(step.recipe.is_dummy for step in steps):
        settle.finish_job_without_steps(session, job, Result.ABORTED)
    elif not any(step.recipe.commands_to_run for step in steps):
        refuse_job(session, job, Reason(reasons.PLAN_WITHOUT_STEPS, {"plan": job.label}))
    else:
        plan_phases(job, plan, steps, rows)
    return job


def refuse_job(session: Session, job: Job, why: Reason) -> None:
    settle.explain(session, job.build_id, why, job=job)
    settle.finish_job_without_steps(session, job, Result.FAILED)


def plan_phases(job: Job, plan: PlannedJob, steps: list[ReadStep], rows: Rows) -> None:
    """One phase per step of the plan, and behind one that collects another, for what it will name."""
    phases: list[dict[str, Any]] = []
    for place, step in enumerate(steps):
        # The first may start unless its job waits for another; the rest wait for the one before.
        status = job.status if place == 0 else Status.QUEUED
        phase_id, expands_into = ids.new(), ids.new()
        collector = step.recipe.collector
        label = step.recipe.label or job.label
        if collector is not None and not step.recipe.label:
            label = COLLECTING.format(
                what=collector.type.name.lower().removeprefix("collect_").replace("_", " ")
            )
        one_step: dict[str, object] = {"tally": {tally.key(status, Result.UNKNOWN): 1}}
        phases.append(row_of_phase(job, phase_id, label, len(phases), status) | one_step)
        data = {**step.data_for(plan.terms, is_last=place == len(steps) - 1), **plan.beside}
        if collector is not None:
            then = PHASES[collector.type]
            phases.append(row_of_phase(job, expands_into, then, len(phases), Status.QUEUED))
            data |= {"collector": collector.type.name.lower(), "expands_into": expands_into.hex}
        rows.steps.append(
            NewStep(
                job_id=job.id,
                phase_id=phase_id,
                label=label,
                status=status,
                timeout_s=step.limit_min * 60,
                commands=step.recipe.commands_to_run,
                cluster=step.recipe.cluster,
                data=data,
            )
        )
    job.status = aggregate_status([phase["status"] for phase in phases])
    job.tally = tally.of_groups((phase["status"], Result.UNKNOWN, False, 1) for phase in phases)
    rows.phases.extend(phases)


def row_of_phase(job: Job, phase_id: UUID, label: str, order: int, status: Status) -> dict[str, Any]:
    """Its steps are counted when they are known: of those that a collecting step names, later."""
    told = {"id": phase_id, "job_id": job.id, "label": label, "order": order, "status": status}
    return {**told, "data": {}, "tally": None}


def newest_of_commit(session: Session, project: Project, source: Source) -> Build | None:
    """For "make sure it is built": the newest build of this very source, whatever became of it."""
    mine = select(Build).where(Build.project_id == project.id, Build.source_id == source.id)
    return session.execute(mine.order_by(Build.id.desc()).limit(1)).unique().scalar_one_or_none()
