"""Things to test with: each is whole and valid, and says only what the test is about.

Three standing people: Olga administers, Ravi may read, Sam may nothing.
"""

import subprocess
from collections.abc import Mapping, Sequence
from itertools import count
from pathlib import Path
from typing import Any

from sqlalchemy.orm import Session

from changes.base import clock, ids
from changes.builds.create import NewBuild, create_build
from changes.builds.models import Build, Job, JobPhase, JobStep, Node
from changes.builds.recipes import DEFAULT_IMPLEMENTATION
from changes.builds.rules import Status
from changes.people import secrets, tokens, users
from changes.people.models import Author, User
from changes.people.rules import Scope
from changes.projects import revisions
from changes.projects.models import Plan, Project, Repository, Revision, Source, Step
from changes.projects.rules import PlanStatus, RepositoryBackend, RepositoryStatus

numbers = count(1)
A_SHA = "a" * 40


def olga(session: Session) -> User:
    return users.create(session, f"olga{next(numbers)}@example.com", is_admin=True)


def a_token(session: Session, scope: Scope = Scope.ADMIN) -> str:
    return tokens.create(session, f"token {next(numbers)}", scope).secret


def as_caller(secret: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {secret}"}


def an_author(session: Session) -> Author:
    number = next(numbers)
    return users.author(session, f"Ann {number}", f"ann{number}@example.com")


def a_repository(
    session: Session, url: str = "", backend: RepositoryBackend = RepositoryBackend.GIT
) -> Repository:
    repository = Repository(
        id=ids.new(),
        url=url or f"https://example.com/{next(numbers)}.git",
        backend=backend,
        status=RepositoryStatus.ACTIVE,
    )
    session.add(repository)
    session.flush()
    return repository


def a_project(session: Session, slug: str = "", repository: Repository | None = None) -> Project:
    slug = slug or f"project-{next(numbers)}"
    repository = repository or a_repository(session)
    project = Project(id=ids.new(), slug=slug, name=slug.title(), repository_id=repository.id)
    session.add(project)
    session.flush()
    session.refresh(project)
    return project


def a_plan(
    session: Session, project: Project, *steps: Mapping[str, Any], label: str = "", active: bool = True
) -> Plan:
    """Each step is the data of one; without any, the plan has none."""
    plan = Plan(
        id=ids.new(),
        project_id=project.id,
        label=label or f"plan {next(numbers)}",
        status=PlanStatus.ACTIVE if active else PlanStatus.INACTIVE,
    )
    session.add(plan)
    session.flush()
    for order, data in enumerate(steps):
        session.add(
            Step(plan_id=plan.id, implementation=DEFAULT_IMPLEMENTATION, data=dict(data), order=order)
        )
    session.flush()
    session.refresh(plan)
    return plan


def a_source(
    session: Session, project: Project, *, sha: str = A_SHA, config: str = "", patch: bytes | None = None
) -> Source:
    key = (project.repository_id, sha)
    revision = session.get(Revision, key)
    if revision is None:
        revision = Revision(
            repository_id=project.repository_id,
            sha=sha,
            message="Mend the frobnicator\n\nIt was broken.",
            author_id=an_author(session).id,
            config=config,
            date_created=clock.now(),
        )
        session.add(revision)
        session.flush()
    saved = revisions.save_patch(session, revision, patch) if patch is not None else None
    source = revisions.source_of(session, revision, saved)
    session.refresh(source)
    return source


def a_build(
    session: Session, project: Project | None = None, *, plans: int = 1, commands: Sequence[str] = ("true",)
) -> Build:
    """Queued, with one step per plan, as a request would make it."""
    project = project or a_project(session)
    for _ in range(plans):
        a_plan(session, project, {"commands": list(commands)})
    source = a_source(session, project)
    asked = NewBuild(
        source=source,
        collection_id=ids.new(),
        label="A build",
        target=source.revision_sha[:12],
        message="",
        author=None,
    )
    return create_build(session, project, asked)


def a_node(session: Session, name: str = "") -> Node:
    node = Node(
        id=ids.new(),
        label=name or f"node-{next(numbers)}",
        slots=2,
        labels={},
        token_digest=secrets.digest(ids.new().hex),
    )
    session.add(node)
    session.flush()
    return node


def steps_of(session: Session, build: Build) -> list[JobStep]:
    """In the order they were made, replaced ones too."""
    found = session.query(JobStep).join(Job).filter(Job.build_id == build.id).order_by(JobStep.id)
    return list(found)


def phases_of(session: Session, build: Build) -> list[JobPhase]:
    return list(session.query(JobPhase).join(Job).filter(Job.build_id == build.id).order_by(JobPhase.id))


def give_to(session: Session, step: JobStep, node: Node) -> JobStep:
    """As if the node had asked for it just now."""
    step.node_id = node.id
    step.status = Status.ALLOCATED
    step.last_heartbeat = clock.now()
    session.flush()
    return step


def a_git_repository(folder: Path, files: Mapping[str, str], message: str = "The first commit") -> str:
    """A real repository with one commit; returns its sha."""
    folder.mkdir(parents=True, exist_ok=True)
    git(folder, "init", "-q", "-b", "main")
    return commit(folder, files, message)


def commit(folder: Path, files: Mapping[str, str], message: str) -> str:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    git(folder, "add", "--all")
    git(folder, "-c", "user.name=Ann", "-c", "user.email=ann@example.com", "commit", "-q", "-m", message)
    return git(folder, "rev-parse", "HEAD").strip()


def git(folder: Path, *arguments: str) -> str:
    return subprocess.run(
        ["git", "-C", str(folder), *arguments], check=True, capture_output=True, text=True, timeout=120
    ).stdout
