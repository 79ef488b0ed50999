"""Reads of repositories, projects and plans."""

import functools
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from uuid import UUID

import msgspec
from sqlalchemy import Select, bindparam, func, or_, select
from sqlalchemy.orm import Session, joinedload, lazyload, selectinload
from sqlalchemy.orm.attributes import set_committed_value

from changes.base import questions
from changes.base.errors import NotFound
from changes.base.paging import Page, Part, part
from changes.base.questions import Question
from changes.projects.models import (
    ItemOption,
    Patch,
    Plan,
    Project,
    ProjectOption,
    Repository,
    Revision,
    Step,
)
from changes.projects.rules import PlanStatus, ProjectStatus

# Asked for every build: the active plans of a project with their steps, and every option of all of them.
# 1 is active.
PLANS_AND_OPTIONS = """
with mine as materialized (
    select id from plan
    where project_id = (select id from project where slug = %(slug)s) and status = 1 and not in_repository
)
select {names}, (
    select json_agg(json_build_array(item_id, name, value))::text from (
        select project_id as item_id, name, value from project_option
        where project_id = (select id from project where slug = %(slug)s)
        union all
        select item_id, name, value from item_option where item_id in (
            select id from mine union all select step.id from step where step.plan_id in (select id from mine)
        )
    ) said
)
from mine join plan on plan.id = mine.id left join step on step.plan_id = mine.id
order by plan.label, step."order"
"""


def project(session: Session, slug_or_id: str) -> Project:
    found = project_or_none(session, slug_or_id)
    if found is None:
        raise NotFound(f"There is no project {slug_or_id!r}.", ["project"])
    return found


def project_or_none(session: Session, slug_or_id: str) -> Project | None:
    by_slug = session.execute(of_slug(), {"slug": slug_or_id}).scalar_one_or_none()
    if by_slug is not None:
        return by_slug
    try:
        return session.get(Project, UUID(slug_or_id))
    except ValueError:
        return None


@functools.cache
def of_slug() -> Select[Project]:
    """Made once, like the others here that are asked for every build."""
    return select(Project).where(Project.slug == bindparam("slug"))


def by_ids(session: Session, project_ids: Collection[UUID]) -> dict[UUID, Project]:
    found = session.execute(select(Project).where(Project.id.in_(project_ids))).scalars()
    return {project.id: project for project in found}


def projects(
    session: Session,
    page: Page,
    *,
    query: str = "",
    status: ProjectStatus | None = None,
    repository: Repository | None = None,
) -> Part[Project]:
    found = select(Project).order_by(Project.name, Project.id)
    if repository is not None:
        found = found.where(Project.repository_id == repository.id)
    if query:
        in_name = Project.name.icontains(query, autoescape=True)
        found = found.where(or_(in_name, Project.slug.icontains(query, autoescape=True)))
    if status is not None:
        found = found.where(Project.status == status)
    return part(session, found, page)


def repositories(session: Session, page: Page, *, query: str = "") -> Part[Repository]:
    found = select(Repository).order_by(Repository.url)
    if query:
        found = found.where(Repository.url.icontains(query, autoescape=True))
    return part(session, found, page)


def plans(session: Session, page: Page, project: Project, *, status: PlanStatus | None = None) -> Part[Plan]:
    found = select(Plan).where(Plan.project_id == project.id).order_by(Plan.label, Plan.id)
    if status is not None:
        found = found.where(Plan.status == status)
    return part(session, found.options(selectinload(Plan.steps)), page)


def repository(session: Session, repository_id: UUID) -> Repository:
    found = session.get(Repository, repository_id)
    if found is None:
        raise NotFound("There is no such repository.")
    return found


def repository_by_url(session: Session, url: str) -> Repository | None:
    return session.execute(select(Repository).where(Repository.url == url)).scalar_one_or_none()


def active_projects_of(session: Session, repository: Repository) -> list[Project]:
    mine = select(Project).where(
        Project.repository_id == repository.id, Project.status == ProjectStatus.ACTIVE
    )
    return list(session.execute(mine.order_by(Project.slug)).scalars())


def plan(session: Session, plan_id: UUID) -> Plan:
    found = session.get(Plan, plan_id, options=[selectinload(Plan.steps)])
    if found is None:
        raise NotFound("There is no such plan.")
    return found


def active_plans(session: Session, project: Project) -> list[Plan]:
    """Without what a plan is usually shown with."""
    found = session.execute(active_plans_of_project(), {"project_id": project.id})
    return list(found.unique().scalars())


@functools.cache
def active_plans_of_project() -> Select[Plan]:
    mine = select(Plan).where(
        Plan.project_id == bindparam("project_id"),
        Plan.status == PlanStatus.ACTIVE,
        Plan.in_repository.is_(False),
    )
    return mine.options(lazyload(Plan.project), joinedload(Plan.steps)).order_by(Plan.label)


@dataclass(frozen=True)
class PlansSaid:
    """The active plans of a project, and every option that acts on them."""

    plans: list[Plan]
    of_project: dict[str, str]
    # Of plans and steps, by their ids.
    of_items: Mapping[UUID, dict[str, str]]


def plans_with_options(session: Session, project: Project) -> PlansSaid:
    """By one question, as it is asked for every build."""
    session.flush()
    asked = plans_with_options_asked(project.slug)
    found = questions.ask(session, asked.statement, asked.values)
    if not found:
        return PlansSaid([], options(session, project), {})
    steps: dict[Plan, list[Step]] = {}
    for row in found:
        plan, step = questions.objects(session, row[:-1], Plan, Step)
        steps.setdefault(plan, []).extend([step] if step else [])
    for plan, of_plan in steps.items():
        set_committed_value(plan, "steps", of_plan)
    return plans_said(project, list(steps), found[0][-1])


def plans_with_options_asked(slug: str) -> Question:
    return Question(plans_and_options(), {"slug": slug})


@functools.cache
def plans_and_options() -> str:
    return PLANS_AND_OPTIONS.format(names=questions.names(Plan, Step))


def plans_said(project: Project, plans: list[Plan], told: str | None) -> PlansSaid:
    ids_of_items = [*(plan.id for plan in plans), *(step.id for plan in plans for step in plan.steps)]
    of_items: dict[UUID, dict[str, str]] = {item_id: {} for item_id in (project.id, *ids_of_items)}
    for item_id, name, value in msgspec.json.decode(told) if told else ():
        of_items[UUID(item_id)][name] = value
    return PlansSaid(plans, of_items.pop(project.id), of_items)


def step(session: Session, step_id: UUID) -> Step:
    found = session.get(Step, step_id)
    if found is None:
        raise NotFound("There is no such step.")
    return found


def options(session: Session, project: Project) -> dict[str, str]:
    mine = select(ProjectOption.name, ProjectOption.value).where(ProjectOption.project_id == project.id)
    return {row.name: row.value for row in session.execute(mine)}


def options_of_items(session: Session, item_ids: Collection[UUID]) -> dict[UUID, dict[str, str]]:
    """Of plans and their steps: by one question, however many there are."""
    options: dict[UUID, dict[str, str]] = {item_id: {} for item_id in item_ids}
    mine = select(ItemOption.item_id, ItemOption.name, ItemOption.value)
    for row in session.execute(mine.where(ItemOption.item_id.in_(item_ids))):
        options[row.item_id][row.name] = row.value
    return options


def patch(session: Session, patch_id: UUID) -> Patch:
    found = session.get(Patch, patch_id)
    if found is None:
        raise NotFound("There is no such patch.")
    return found


def plans_of_active_projects(session: Session, page: Page, *, query: str = "") -> Part[Plan]:
    found = select(Plan).join(Project, Project.id == Plan.project_id)
    if query:
        in_label = Plan.label.icontains(query, autoescape=True)
        found = found.where(or_(in_label, Project.name.icontains(query, autoescape=True)))
    found = found.where(Project.status == ProjectStatus.ACTIVE).order_by(Project.name, Plan.label, Plan.id)
    return part(session, found.options(selectinload(Plan.steps)), page)


def newest_revision(session: Session, repository: Repository) -> Revision | None:
    """Of those that somebody has looked at."""
    known = select(Revision).where(Revision.repository_id == repository.id, Revision.config.is_not(None))
    newest = known.order_by(
        func.coalesce(Revision.date_committed, Revision.date_created).desc(), Revision.sha
    ).limit(1)
    return session.execute(newest).unique().scalar_one_or_none()


def projects_of_repositories(session: Session, ids: Collection[UUID]) -> dict[UUID, list[Project]]:
    """Active ones and others, by name."""
    found: dict[UUID, list[Project]] = {repository_id: [] for repository_id in ids}
    mine = select(Project).where(Project.repository_id.in_(ids)).order_by(Project.name, Project.id)
    for project in session.execute(mine).scalars():
        found[project.repository_id].append(project)
    return found
