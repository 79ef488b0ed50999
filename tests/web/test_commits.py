"""/projects/<id>/commits/, its sources, and the builds of a source."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update
from sqlalchemy.orm import Session
from starlette.testclient import TestClient
from tests import factories
from tests.finished import an_ended_build
from tests.web.conftest import API, answered

from changes.base import clock
from changes.projects import revisions
from changes.projects.models import Project, Revision, Source

HERE = "/projects/web/"
A_DIFF = b"diff --git a/a b/a\n--- a/a\n+++ b/a\n@@ -1 +1 @@\n-1\n+2\n"


@pytest.fixture
def shas(tmp_path: Path) -> list[str]:
    """Oldest first."""
    first = factories.a_git_repository(tmp_path / "code", {"a": "1\n"})
    return [first, *(factories.commit(tmp_path / "code", {"a": text}, f"To {text}") for text in "23")]


@pytest.fixture
def project(session: Session, tmp_path: Path, shas: list[str]) -> Project:
    """Two of its three commits are known here."""
    project = factories.a_project(session, "web", factories.a_repository(session, str(tmp_path / "code")))
    for sha in shas[1:]:
        revisions.find(session, project.repository, sha)
    return project


def told(client: TestClient, path: str) -> Any:
    answer = answered(client.get(f"{API}{path}"))
    assert answer.status_code == 200, answer.text
    return answer.json()


def shas_in(rows: list[dict[str, Any]]) -> list[str]:
    return [row["sha"] for row in rows]


def test_commits_come_latest_first_with_the_newest_build_or_all(
    reader: TestClient, session: Session, project: Project, shas: list[str]
) -> None:
    for hours, sha in enumerate(shas[1:], start=1):
        made = clock.now() + timedelta(hours=hours)
        session.execute(update(Revision).where(Revision.sha == sha).values(date_committed=made))
    source = factories.a_source(session, project, sha=shas[2])
    older, newer = (an_ended_build(session, project, source=source) for _ in range(2))

    found, with_all = told(reader, f"{HERE}commits/"), told(reader, f"{HERE}commits/?all_builds=1")

    assert shas_in(found)[:2] == [shas[2], shas[1]]
    assert [found[0]["build"]["id"], found[1]["build"]] == [newer.id.hex, None]
    assert [each["id"] for each in with_all[0]["builds"]] == [newer.id.hex, older.id.hex]


def test_commits_come_in_pages(reader: TestClient, project: Project) -> None:
    first = answered(reader.get(f"{API}{HERE}commits/?per_page=1"))

    assert len(first.json()) == 1
    assert 'rel="next"' in first.headers["Link"]
    assert shas_in(told(reader, f"{HERE}commits/?per_page=1&page=2")) != shas_in(first.json())


def test_what_a_commit_stands_on_is_told_as_the_repository_has_it(
    reader: TestClient, project: Project, shas: list[str]
) -> None:
    found = told(reader, f"{HERE}commits/?parent={shas[1]}")

    # The first one is not stored here.
    assert shas_in(found) == [shas[1], shas[0]]
    assert found[1]["message"].strip() == "The first commit"
    assert shas_in(told(reader, f"{HERE}commits/?parent=main&per_page=1&page=2")) == [shas[1]]


@pytest.mark.parametrize(
    "query", ["parent=nothing", "parent=--all", "parent=a..b", "parent=main&branch=main"]
)
def test_a_parent_that_is_none_is_refused(reader: TestClient, project: Project, query: str) -> None:
    assert reader.get(f"{API}{HERE}commits/?{query}").status_code == 400


def test_a_commit_is_found_by_its_beginning(reader: TestClient, project: Project, shas: list[str]) -> None:
    found = told(reader, f"{HERE}commits/{shas[1][:8]}/")

    assert (found["sha"], found["repository"]["url"]) == (shas[1], project.repository.url)


@pytest.mark.parametrize("sha", ["abcd", "a", "%25%25%25%25", "ffffffff"])
def test_a_beginning_of_none_or_several_is_not_found(
    reader: TestClient, session: Session, project: Project, sha: str
) -> None:
    for end in "12":
        key = {"repository_id": project.repository_id, "sha": f"abcd{end}".ljust(40, "0")}
        session.add(Revision(**key, message="x"))
    session.flush()

    assert reader.get(f"{API}{HERE}commits/{sha}/").status_code == 404


def test_builds_of_a_commit_are_those_without_a_patch(
    reader: TestClient, session: Session, project: Project, shas: list[str]
) -> None:
    plain, patched = (
        factories.a_source(session, project, sha=shas[1], patch=patch) for patch in (None, A_DIFF)
    )
    build = an_ended_build(session, project, source=plain)
    an_ended_build(session, project, source=patched)

    assert [each["id"] for each in told(reader, f"{HERE}commits/{shas[1]}/builds/")] == [build.id.hex]


@pytest.fixture
def patched(session: Session, project: Project, shas: list[str]) -> Source:
    return factories.a_source(session, project, sha=shas[1], patch=A_DIFF)


def test_a_source_is_shown_with_its_diff(
    reader: TestClient, session: Session, project: Project, patched: Source, shas: list[str]
) -> None:
    commit = factories.a_source(session, project, sha=shas[1])

    found = [told(reader, f"{HERE}sources/{each.id.hex}/") for each in (patched, commit)]

    assert [each["isCommit"] for each in found] == [False, True]
    assert found[0]["diff"] == A_DIFF.decode()
    assert "+2" in found[1]["diff"]


def test_the_plain_diff_of_a_source_is_nobodys_page(reader: TestClient, patched: Source) -> None:
    answer = answered(reader.get(f"{API}/sources/{patched.id.hex}/diff/"))

    assert answer.content == A_DIFF
    assert answer.headers["Content-Type"].startswith("text/plain")
    assert "sandbox" in answer.headers["Content-Security-Policy"]


def test_a_source_of_another_repository_is_not_the_projects(
    reader: TestClient, session: Session, patched: Source
) -> None:
    factories.a_project(session, "other")

    for end in ("", "builds/"):
        assert reader.get(f"{API}/projects/other/sources/{patched.id.hex}/{end}").status_code == 404


def test_builds_of_a_source_are_found_by_it_or_by_its_commit(
    reader: TestClient, session: Session, project: Project, shas: list[str]
) -> None:
    source = factories.a_source(session, project, sha=shas[1])
    build = an_ended_build(session, project, source=source)
    ways = [f"source_id={source.id.hex}", f"revision_sha={shas[1]}&repo_id={project.repository_id.hex}"]

    found = [told(reader, f"/sources_builds/?{way}") for way in ways]

    assert [[each["id"] for each in builds] for builds in found] == [[build.id.hex]] * 2
    assert found[0][0]["jobs"] == []
    assert told(reader, f"{HERE}sources/{source.id.hex}/builds/")[0]["id"] == build.id.hex
    assert told(reader, f"/sources_builds/?{ways[0]}&tag=nothing") == []


@pytest.mark.parametrize(("query", "status"), [("", 400), ("revision_sha=a", 400), ("source_id=x", 400)])
def test_a_source_that_is_not_said_is_refused(
    reader: TestClient, project: Project, query: str, status: int
) -> None:
    assert reader.get(f"{API}/sources_builds/?{query}").status_code == status


def test_a_repository_tells_its_projects(reader: TestClient, project: Project) -> None:
    found = told(reader, f"/repositories/{project.repository_id.hex}/projects/")

    assert [each["slug"] for each in found] == ["web"]
