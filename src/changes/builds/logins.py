"""What an agent needs to enter the repositories of a step it holds."""

from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from changes.base.errors import NotFound
from changes.builds.models import Build, Job, JobStep
from changes.builds.rules import Status
from changes.projects import credentials
from changes.projects.models import Project, Repository, RepositoryCredential
from changes.protocol import Login
from changes.vcs.interface import Credentials


def for_step(session: Session, node_id: UUID, step_id: UUID) -> list[Login]:
    """Of its own repository, and of others it checks out beside it if those are shared.

    Whoever writes a plan may name any address there, so an address alone opens nothing. What a
    stranger changed gets none: a submodule of his could send them anywhere on that server.
    """
    step, own, is_trusted = held(session, node_id, step_id)
    if not is_trusted:
        return []
    beside = [each["url"] for each in step.data.get("other_repos", []) if isinstance(each, dict)]
    found = [own, *shared(session, beside, but=own)]
    opened = [(each, credentials.opened(session, each)) for each in found]
    return [login(each, entrance) for each, entrance in opened if entrance is not None]


def held(session: Session, node_id: UUID, step_id: UUID) -> tuple[JobStep, Repository, bool]:
    mine = (
        select(JobStep, Repository, Build.is_trusted)
        .join(Job, Job.id == JobStep.job_id)
        .join(Build, Build.id == Job.build_id)
        .join(Project, Project.id == Build.project_id)
        .join(Repository, Repository.id == Project.repository_id)
        .where(JobStep.id == step_id, JobStep.node_id == node_id, JobStep.status != Status.FINISHED)
    )
    found = session.execute(mine).unique().one_or_none()
    if found is None:
        raise NotFound("This step is not yours, or is over.")
    return found[0], found[1], found[2]


def shared(session: Session, urls: list[str], *, but: Repository) -> list[Repository]:
    if not urls:
        return []
    named = (
        select(Repository)
        .join(RepositoryCredential, RepositoryCredential.repository_id == Repository.id)
        .where(Repository.url.in_(urls), RepositoryCredential.is_shared, Repository.id != but.id)
    )
    return list(session.execute(named).scalars())


def login(repository: Repository, entrance: Credentials) -> Login:
    return Login(
        url=repository.url,
        username=entrance.username,
        password=entrance.password,
        ssh_key=entrance.ssh_key,
        known_hosts=entrance.known_hosts,
    )
