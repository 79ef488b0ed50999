"""New repositories, projects, plans and steps."""

from typing import Any

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from changes.base import bell, ids, jobs
from changes.base.errors import Conflict, Invalid
from changes.projects import rules, tasks
from changes.projects.models import Plan, Project, Repository, Step
from changes.projects.rules import ORDER_MAX, PlanStatus, RepositoryBackend, RepositoryStatus
from changes.vcs import names
from changes.vcs.errors import BadName

NAME_MAX = 64
PLAN_NAME_MAX = 128
URL_MAX = 200


def create_repository(
    session: Session, url: str, backend: RepositoryBackend, *, may_be_local: bool = False
) -> Repository:
    """Known at once; its content is read by a task, which says whether that worked.

    A path of this machine is only for a server that nobody else reaches, with its agent beside it.
    """
    check_url(url, backend, may_be_local=may_be_local)
    if session.execute(select(Repository.id).where(Repository.url == url)).first() is not None:
        raise Conflict(f"Repository with url {url} already exists.", ["url"])
    importing = backend != RepositoryBackend.UNKNOWN
    repository = Repository(
        id=ids.new(),
        url=url,
        backend=backend,
        status=RepositoryStatus.IMPORTING if importing else RepositoryStatus.ACTIVE,
    )
    session.add(repository)
    session.flush()
    if importing:
        jobs.enqueue(session, tasks.import_repository, repository.id)
    return repository


def check_url(url: str, backend: RepositoryBackend, *, may_be_local: bool) -> None:
    if not url or len(url) > URL_MAX:
        raise Invalid(f"A repository needs a url of at most {URL_MAX} characters.", ["url"])
    if backend == RepositoryBackend.UNKNOWN:
        return
    try:
        names.check_url(url, allows_scp_style=backend == RepositoryBackend.GIT)
        _, credentials = names.split_credentials(url)
    except BadName as error:
        raise Invalid(f"{error}", ["url"]) from None
    if credentials is not None and credentials.password:
        raise Invalid("A password does not belong into the url, where everybody would see it.", ["url"])
    if rules.is_local(url) and not may_be_local:
        raise Invalid("A path is a repository only while the server listens on this machine alone.", ["url"])


def create_project(session: Session, name: str, repository: Repository, *, slug: str = "") -> Project:
    name = checked_name(name)
    slug = slug or name.lower().replace(" ", "-")
    check_slug(session, slug)
    project = Project(id=ids.new(), name=name, slug=slug, repository_id=repository.id)
    session.add(project)
    session.flush()
    bell.tell(session, f"project:{project.id.hex}")
    return project


def checked_name(name: str) -> str:
    name = name.strip()
    if not name or len(name) > NAME_MAX:
        raise Invalid(f"A project needs a name of at most {NAME_MAX} characters.", ["name"])
    return name


def check_slug(session: Session, slug: str) -> None:
    problem = rules.slug_problem(slug)
    if problem is not None:
        raise Invalid(problem, ["slug"])
    if session.execute(select(Project.id).where(Project.slug == slug)).first() is not None:
        raise Conflict(f"Project with slug {slug} already exists.", ["slug"])


def create_plan(session: Session, project: Project, label: str) -> Plan:
    """New plans are inactive, so that nothing runs half described."""
    label = checked_label(label)
    same = select(Plan.id).where(
        Plan.project_id == project.id, Plan.label == label, Plan.in_repository.is_(False)
    )
    if session.execute(same).first() is not None:
        raise Conflict(f"The project has a plan {label} already.", ["name"])
    plan = Plan(id=ids.new(), project_id=project.id, label=label, status=PlanStatus.INACTIVE)
    session.add(plan)
    session.flush()
    return plan


def checked_label(label: str) -> str:
    label = label.strip()
    if not label or len(label) > PLAN_NAME_MAX:
        raise Invalid(f"A plan needs a name of at most {PLAN_NAME_MAX} characters.", ["name"])
    return label


def create_step(session: Session, plan: Plan, implementation: str, data: dict[str, Any], order: int) -> Step:
    """The caller has checked that the implementation accepts the data."""
    if not 0 <= order <= ORDER_MAX:
        raise Invalid(f"order must be a number from 0 to {ORDER_MAX}", ["order"])
    same = select(Step.id).where(Step.plan_id == plan.id, Step.order == order)
    if session.execute(same).first() is not None:
        raise Conflict(f"The plan has a step with order {order} already.", ["order"])
    step = Step(id=ids.new(), plan_id=plan.id, implementation=implementation, data=data, order=order)
    session.add(step)
    session.flush()
    return step


def plan_in_repository(session: Session, project: Project, label: str) -> Plan:
    """The row that gives jobs of a plan in `.changes.yml` a common history. Two builds may ask at once."""
    mine = select(Plan).where(
        Plan.project_id == project.id, Plan.label == label, Plan.in_repository.is_(True)
    )
    found = session.execute(mine).scalar_one_or_none()
    if found is not None:
        return found
    told = {"project_id": project.id, "label": label, "status": PlanStatus.ACTIVE, "in_repository": True}
    session.execute(insert(Plan).values(told).on_conflict_do_nothing())
    return session.execute(mine).scalar_one()
