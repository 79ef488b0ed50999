"""From a request to rows that agents can take: everything in the caller's one transaction."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from sqlalchemy import insert, select, update
from sqlalchemy.orm import Session

from changes.base import ids
from changes.base.errors import Invalid
from changes.builds import reasons, recipes, settle
from changes.builds.models import Build, Command, Job, JobPhase, JobPlan, JobStep
from changes.builds.reasons import Reason
from changes.builds.recipes import DEFAULT_IMPLEMENTATION, TIMEOUT_MAX_MIN, Recipe
from changes.builds.rules import Cause, Priority, Result, Status, aggregate_status, runs_in_plain_step
from changes.people.models import Author
from changes.projects import config, queries
from changes.projects.create import plan_in_repository
from changes.projects.models import Plan, Project, Source

LABEL_MAX = 128
DEFAULT_TIMEOUT_MIN = 60
LONGEST_NUMBER = 10


@dataclass(frozen=True)
class NewBuild:
    """What makes a build this build, whichever project it is for."""

    source: Source
    collection_id: UUID
    label: str
    target: str
    message: str
    author: Author | None
    cause: Cause = Cause.UNKNOWN
    tags: list[str] = field(default_factory=list)
    priority: Priority = Priority.DEFAULT
    timeout_min: int = DEFAULT_TIMEOUT_MIN


@dataclass(frozen=True)
class PlannedJob:
    """One plan as it is now; what follows works on this copy, never on the plan."""

    plan: Plan
    steps: list[dict[str, Any]]
    options: dict[str, str] = field(default_factory=dict)


def create_build(session: Session, project: Project, asked: NewBuild) -> Build:
    # First, because it locks the project's row: two requests must not make the same plan.
    number = next_build_number(session, project)
    try:
        planned = plans_of(session, project, asked.source)
        why_none = Reason(reasons.NO_PLANS, {"file": config.FILE_NAME})
    except Invalid as error:
        planned, why_none = [], Reason(reasons.INVALID_CONFIG, {"message": error.message})
    build = insert_build(session, project, asked, numbers=(number, len(planned)))
    if planned:
        create_jobs(session, build, planned, timeout_min=asked.timeout_min)
    else:
        refuse_build(session, build, why_none)
    return build


def insert_build(session: Session, project: Project, asked: NewBuild, *, numbers: tuple[int, int]) -> Build:
    number, jobs = numbers
    build = Build(
        id=ids.new(),
        number=number,
        project_id=project.id,
        collection_id=asked.collection_id,
        source_id=asked.source.id,
        author_id=asked.author.id if asked.author else None,
        cause=asked.cause,
        priority=asked.priority,
        label=asked.label[:LABEL_MAX],
        target=asked.target[:LABEL_MAX],
        message=asked.message,
        tags=asked.tags,
        status=Status.PENDING_ALLOCATION if jobs else Status.QUEUED,
        result=Result.UNKNOWN,
        last_job_number=jobs,
    )
    build.project, build.source, build.author = project, asked.source, asked.author
    session.add(build)
    session.flush()
    return build


def next_build_number(session: Session, project: Project) -> int:
    """Counted in the project's row, so two requests at once get two numbers and none comes twice."""
    counted = (
        update(Project)
        .where(Project.id == project.id)
        .values(last_build_number=Project.last_build_number + 1)
    )
    return session.execute(counted.returning(Project.last_build_number)).scalar_one()


def create_jobs(session: Session, build: Build, planned: list[PlannedJob], *, timeout_min: int) -> None:
    jobs = [
        create_job(session, build, each, number=number, timeout_min=timeout_min)
        for number, each in enumerate(planned, start=1)
    ]
    settle.settle_new_build(session, build, jobs)
    settle.announce_steps(session, sum(not job.is_finished for job in jobs))


def refuse_build(session: Session, build: Build, why: Reason) -> None:
    settle.explain(session, build.id, why)
    settle.finish_build(session, build, Result.FAILED)


def plans_of(session: Session, project: Project, source: Source) -> list[PlannedJob]:
    """The project's own active plans, then those in the repository at this revision."""
    plans = queries.active_plans(session, project)
    ids_of_steps = [step.id for plan in plans for step in plan.steps]
    options = queries.options_of_items(session, [*(plan.id for plan in plans), *ids_of_steps])
    stored = [planned_from_rows(plan, options) for plan in plans]
    text = source.revision.config or ""
    if not text.strip():
        return stored
    return stored + [
        PlannedJob(
            plan=plan_in_repository(session, project, each.name),
            steps=[{"implementation": DEFAULT_IMPLEMENTATION, "data": each.data, "order": 0}],
        )
        for each in config.read(text)
    ]


def planned_from_rows(plan: Plan, options: Mapping[UUID, dict[str, str]]) -> PlannedJob:
    steps = [
        {
            "id": step.id.hex,
            "implementation": step.implementation,
            "data": step.data,
            "order": step.order,
            "options": options[step.id],
        }
        for step in plan.steps
    ]
    return PlannedJob(plan=plan, steps=steps, options=options[plan.id])


def create_job(session: Session, build: Build, planned: PlannedJob, *, number: int, timeout_min: int) -> Job:
    """With its first step waiting for an agent, or finished already when there is nothing to run."""
    job = Job(
        id=ids.new(),
        number=number,
        build_id=build.id,
        project_id=build.project_id,
        label=planned.plan.label,
        status=aggregate_status(phase_statuses(len(planned.steps))),
    )
    frozen = {"steps": planned.steps, "options": planned.options}
    session.add(job)
    session.flush()
    session.add(JobPlan(job_id=job.id, build_id=build.id, plan_id=planned.plan.id, data={"snapshot": frozen}))
    try:
        read = [recipes.read(step["implementation"], step["data"]) for step in planned.steps]
    except Invalid as error:
        refuse_job(session, job, Reason(reasons.INVALID_PLAN, {"plan": job.label, "message": error.message}))
        return job
    if not any(runs_in_plain_step(command.type) for recipe in read for command in recipe.commands):
        refuse_job(session, job, Reason(reasons.PLAN_WITHOUT_STEPS, {"plan": job.label}))
        return job
    limits = [limit_min(recipe, step, timeout_min) for recipe, step in zip(read, planned.steps, strict=True)]
    create_phases(session, build, job, list(zip(read, limits, strict=True)))
    return job


def phase_statuses(count: int) -> list[Status]:
    """The first may start, the others wait for the one before."""
    return [Status.PENDING_ALLOCATION, *[Status.QUEUED] * (count - 1)]


def limit_min(recipe: Recipe, step: dict[str, Any], default_min: int) -> int:
    """The recipe's own limit, else the step's option, else the server's default."""
    option = step.get("options", {}).get("build.timeout", "0")
    wanted_min = int(option) if option.isdecimal() and len(option) < LONGEST_NUMBER else 0
    return recipe.timeout_min or min(wanted_min, TIMEOUT_MAX_MIN) or default_min


def refuse_job(session: Session, job: Job, why: Reason) -> None:
    settle.explain(session, job.build_id, why, job=job)
    settle.finish_job_without_steps(session, job, Result.FAILED)


def create_phases(
    session: Session, build: Build, job: Job, recipes_in_order: list[tuple[Recipe, int]]
) -> None:
    """One phase per step of the plan. Inserted in bulk: nobody needs these rows as objects."""
    phases, steps, commands = [], [], []
    statuses = phase_statuses(len(recipes_in_order))
    for order, (status, (recipe, timeout_min)) in enumerate(zip(statuses, recipes_in_order, strict=True)):
        phase_id, step_id = ids.new(), ids.new()
        phases.append(
            {"id": phase_id, "job_id": job.id, "label": job.label, "order": order, "status": status}
        )
        steps.append(
            {
                "id": step_id,
                "job_id": job.id,
                "phase_id": phase_id,
                "project_id": build.project_id,
                "label": job.label,
                "status": status,
                "cluster": recipe.cluster,
                "priority": build.priority,
                "timeout_s": timeout_min * 60,
                "data": {**recipe.data, "checkout_folder": recipe.checkout_folder},
            }
        )
        commands += commands_of(step_id, recipe)
    session.execute(insert(JobPhase), phases)
    session.execute(insert(JobStep), steps)
    session.execute(insert(Command), commands)


def commands_of(step_id: UUID, recipe: Recipe) -> list[dict[str, Any]]:
    return [
        {
            "step_id": step_id,
            "label": command.label,
            "script": command.script,
            "cwd": command.cwd,
            "env": dict(command.env),
            "artifacts": command.artifacts,
            "order": order,
            "type": command.type,
        }
        for order, command in enumerate(recipe.commands)
        if runs_in_plain_step(command.type)
    ]


def newest_of_commit(session: Session, project: Project, source: Source) -> Build | None:
    """For "make sure it is built": the newest build of this very source, whatever became of it."""
    mine = select(Build).where(Build.project_id == project.id, Build.source_id == source.id)
    return session.execute(mine.order_by(Build.id.desc()).limit(1)).unique().scalar_one_or_none()
