"""Where a project names its files (build.file-whitelist), lists of commits are of those that change them."""

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.orm import Session
from starlette.testclient import TestClient
from tests import factories
from tests.web.conftest import API, answered

from changes.projects import mirrors, options, revisions
from changes.projects.models import Project
from changes.results.models import Test as NamedTest

HERE = "/projects/web/commits/"
MESSAGES = ["The first commit", "Only the guide", "A fix", "Build with more"]


@pytest.fixture
def project(session: Session, tmp_path: Path) -> Project:
    """Its commits, oldest first, are MESSAGES; the repository was read, and it names `src/*`."""
    code = tmp_path / "code"
    shas = [factories.a_git_repository(code, {"src/a": "1\n", "guide": "1\n"})]
    for message, name in zip(MESSAGES[1:], ("guide", "src/deep/b", ".changes.yml"), strict=True):
        (code / name).parent.mkdir(parents=True, exist_ok=True)
        shas.append(factories.commit(code, {name: "2\n"}, message))
    project = factories.a_project(session, "web", factories.a_repository(session, str(code)))
    mirrors.of(project.repository).update()
    for sha in shas:
        revisions.find(session, project.repository, sha)
    options.change(session, project, {options.FILES: "src/*"})
    return project


def messages(client: TestClient, question: str = "") -> list[str]:
    answer = answered(client.get(f"{API}{HERE}{question}"))
    assert answer.status_code == 200, answer.text
    rows: list[dict[str, Any]] = answer.json()
    return sorted((row["message"].strip() for row in rows), key=MESSAGES.index)


def test_only_commits_that_change_its_files_or_how_it_is_built_are_listed(
    reader: TestClient, project: Project
) -> None:
    assert messages(reader) == ["The first commit", "A fix", "Build with more"]


def test_every_commit_is_listed_for_who_asks_so(reader: TestClient, project: Project) -> None:
    assert messages(reader, "?every_commit=1") == MESSAGES


def test_what_a_commit_stands_on_is_narrowed_too(reader: TestClient, project: Project) -> None:
    assert messages(reader, "?parent=main") == ["The first commit", "A fix", "Build with more"]
    assert messages(reader, "?parent=main&every_commit=1") == MESSAGES


def test_what_is_narrowed_comes_in_pages_too(reader: TestClient, project: Project) -> None:
    first = answered(reader.get(f"{API}{HERE}?per_page=2"))
    second = answered(reader.get(f"{API}{HERE}?per_page=2&page=2"))

    assert [len(first.json()), len(second.json())] == [2, 1]
    assert 'rel="next"' in first.headers["Link"]
    assert 'rel="next"' not in second.headers["Link"]


def test_a_history_of_a_test_has_no_line_for_other_commits(
    reader: TestClient, session: Session, project: Project
) -> None:
    session.add(NamedTest(project_id=project.id, name_sha="0" * 40, name="a.b"))
    session.flush()

    found = answered(reader.get(f"{API}/projects/web/tests/{'0' * 40}/history/?branch=main"))

    assert found.json() == [None, None, None]


def test_the_page_says_for_which_files_and_offers_all_commits(browser: TestClient, project: Project) -> None:
    narrowed, every = (browser.get(f"{HERE}{question}").text for question in ("", "?every_commit=1"))

    assert "Only the guide" not in narrowed
    assert "<code>src/*</code>" in narrowed
    assert '<option value="1">All</option>' in narrowed
    assert "Only the guide" in every


def test_where_no_commit_changes_its_files_the_page_says_so(
    browser: TestClient, session: Session, project: Project
) -> None:
    options.change(session, project, {options.FILES: "nowhere/*"})

    page = browser.get(f"{HERE}?query=guide").text

    assert "No commit is like that" in page
    assert "nowhere/*" in browser.get(HERE).text


def test_without_a_copy_of_the_repository_all_commits_are_listed_and_it_is_said(
    browser: TestClient, reader: TestClient, project: Project
) -> None:
    mirrors.of(project.repository).remove()

    assert messages(reader) == MESSAGES
    assert "no copy of the repository" in browser.get(HERE).text
