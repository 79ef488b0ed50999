"""Green commits told to a server that waits for them."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session
from tests import factories
from tests.fakes.green_server import GreenServer

from changes.base import process
from changes.base.events import Event
from changes.base.settings import Settings
from changes.builds.events import RevisionResultUpdated
from changes.builds.models import Build
from changes.builds.rules import Result
from changes.integrations.green_builds import notice
from changes.projects import options, revisions
from changes.projects.models import Project


@pytest.fixture
def server() -> Iterator[GreenServer]:
    with GreenServer() as server:
        yield server


@pytest.fixture
def build(session: Session, server: GreenServer, settings: Settings, tmp_path: Path) -> Build:
    told = {"green_build_url": server.url, "green_build_auth": "changes:secret"}
    process.settings.set(settings.model_copy(update=told))
    factories.a_git_repository(tmp_path / "code", {"a": "1\n"})
    project = factories.a_project(session, "web", factories.a_repository(session, str(tmp_path / "code")))
    revision = revisions.find(session, project.repository, "main")
    build = factories.a_build(session, project)
    build.source = revisions.source_of(session, revision, None)
    session.flush()
    return build


def is_worth(build: Build, result: Result) -> RevisionResultUpdated:
    return RevisionResultUpdated(build.project_id, build.source.revision_sha, build.id, result)


def choose(session: Session, project: Project, **said: str) -> None:
    options.change(session, project, {name.replace("__", ".").replace("_", "-"): said[name] for name in said})


def status(session: Session) -> list[str]:
    found = select(Event.data["status"].astext).where(Event.type == notice.EVENT)
    return list(session.execute(found).scalars())


def test_a_green_commit_is_told_once_in_the_words_of_the_original(
    session: Session, build: Build, server: GreenServer
) -> None:
    choose(session, build.project, green_build__project="the-web")
    revision = revisions.find(session, build.project.repository, "main")

    for _ in range(2):
        notice.tell(is_worth(build, Result.PASSED))

    assert server.heard == [
        {
            "project": "the-web",
            "id": f"1:{revision.sha}",
            "build_url": f"http://changes.test/projects/web/builds/{build.id.hex}/",
            "build_server": "changes",
            "author_name": revision.author.name if revision.author else "",
            "author_email": revision.author.email if revision.author else "",
            "commit_timestamp": str(notice.committed_s(revision)),
            "revision_message": revision.message,
        }
    ]
    assert status(session) == ["success"]


def test_what_is_not_green_is_not_told(session: Session, build: Build, server: GreenServer) -> None:
    notice.tell(is_worth(build, Result.FAILED))

    assert (server.heard, status(session)) == ([], [])


def test_a_server_that_is_away_is_told_later(session: Session, build: Build, server: GreenServer) -> None:
    server.is_away = True
    with pytest.raises(httpx.HTTPStatusError):
        notice.tell(is_worth(build, Result.PASSED))
    assert status(session) == ["fail"]

    server.is_away = False
    notice.tell(is_worth(build, Result.PASSED))

    assert (len(server.heard), status(session)) == (1, ["success"])


def test_a_server_that_knows_the_commit_is_content(
    session: Session, build: Build, server: GreenServer
) -> None:
    notice.tell(is_worth(build, Result.PASSED))
    notice.note(is_worth(build, Result.PASSED), "waiting")

    notice.tell(is_worth(build, Result.PASSED))

    assert (len(server.heard), status(session)) == (2, ["success"])


def test_a_wrong_password_is_a_failure_that_is_seen(
    session: Session, build: Build, server: GreenServer
) -> None:
    process.settings.set(process.settings.get().model_copy(update={"green_build_auth": "changes:wrong"}))

    with pytest.raises(httpx.HTTPStatusError):
        notice.tell(is_worth(build, Result.PASSED))

    assert (server.heard, status(session)) == ([], ["fail"])


def test_a_project_may_keep_its_green_commits_to_itself(
    session: Session, build: Build, server: GreenServer
) -> None:
    choose(session, build.project, green_build__notify="0")

    notice.tell(is_worth(build, Result.PASSED))

    assert server.heard == []


def test_only_branches_that_the_project_builds_are_told(
    session: Session, build: Build, server: GreenServer
) -> None:
    revisions.find(session, build.project.repository, "main").branches = ["topic"]
    choose(session, build.project, build__branch_names="main release-*")

    notice.tell(is_worth(build, Result.PASSED))

    assert server.heard == []


def test_without_an_address_nobody_is_told(session: Session, build: Build, server: GreenServer) -> None:
    process.settings.set(process.settings.get().model_copy(update={"green_build_url": None}))

    notice.tell(is_worth(build, Result.PASSED))

    assert (server.heard, status(session)) == ([], [])
