"""Pages of changes and of their versions, with what people say of them."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session
from starlette.testclient import TestClient
from tests import factories, finished

from changes.base import ids
from changes.builds import create
from changes.builds.create import NewBuild
from changes.builds.models import Build
from changes.builds.rules import Result
from changes.projects import changes, heads, hooks, patches, revisions
from changes.projects.changes import NewChange
from changes.projects.models import Change, Comment, Project, Source
from changes.projects.sync_rules import Move

A_DIFF = b"diff --git a/a b/a\n--- a/a\n+++ b/a\n@@ -1 +1 @@\n-1\n+<script>alert(1)</script>\n"
QUESTIONS_MAX = 10


@pytest.fixture
def project(session: Session, tmp_path: Path) -> Project:
    factories.a_git_repository(tmp_path / "code", {"a": "1\n"})
    project = factories.a_project(session, "web", factories.a_repository(session, str(tmp_path / "code")))
    factories.a_plan(session, project, {"commands": ["true"]})
    return project


@pytest.fixture
def change(session: Session, project: Project) -> Change:
    """With two versions, each built once."""
    author = factories.an_author(session)
    change = changes.create(
        session, project.repository, NewChange(title="Mend <it>", key="D12", author=author)
    )
    add_version(session, project, change, A_DIFF)
    add_version(session, project, change, A_DIFF.replace(b"alert", b"warn"))
    return change


def add_version(session: Session, project: Project, change: Change, diff: bytes) -> Source:
    revision = revisions.find(session, project.repository, "main")
    source = revisions.source_of(session, revision, patches.save(session, revision, diff))
    session.refresh(source)
    changes.add_version(session, change, source)
    asked = NewBuild(source, ids.new(), label="b", target="D12", message="", author=None)
    create.create_build(session, project, asked)
    return source


def proof_in(text: str) -> str:
    found = re.search(r'name="proof" value="([^"]+)"', text) or re.search(
        r'value="([^"]+)" name="proof"', text
    )
    assert found is not None
    return found[1]


def test_the_list_shows_what_fits_and_only_that(browser: TestClient, change: Change) -> None:
    shown = browser.get("/changes/?state=open&query=mend&kind=diff&project=web")
    empty = browser.get("/changes/?state=landed")

    assert "Mend &lt;it&gt;" in shown.text
    assert "No change is like that" in empty.text


def test_the_life_of_a_change_is_told_in_order(browser: TestClient, change: Change) -> None:
    text = browser.get(f"/changes/{change.id.hex}/").text

    told = [text.index(f">{what}<") for what in ("Version 1", "Version 2")]
    assert told == sorted(told)
    assert text.count("life-build") == 2
    assert f"/changes/{change.id.hex}/diff/1/2/" in text


def test_how_a_change_went_is_told_in_numbers(browser: TestClient, session: Session, change: Change) -> None:
    first, second = session.execute(select(Build).order_by(Build.id)).unique().scalars()
    finished.end(session, first, Result.FAILED, seconds=60)
    finished.end(session, second, Result.PASSED, seconds=60)

    text = browser.get(f"/changes/{change.id.hex}/").text

    assert "2 ended, 50 % passed" in text
    assert "2 min together" in text
    assert "First green after" in text
    assert "Landed after" not in text


def test_what_is_different_between_versions_is_shown_escaped(browser: TestClient, change: Change) -> None:
    text = browser.get(f"/changes/{change.id.hex}/diff/1/2/").text

    assert "&lt;script&gt;warn(1)" in text
    assert "<script>warn" not in text


def test_a_version_that_is_not_there_is_not_found(browser: TestClient, change: Change) -> None:
    assert browser.get(f"/changes/{change.id.hex}/diff/1/9/").status_code == 404


def test_a_comment_on_a_line_is_shown_as_it_was_written(
    browser: TestClient, session: Session, change: Change
) -> None:
    source = session.execute(select(Source).where(Source.number == 1)).unique().scalar_one()
    here = f"/sources/{source.id.hex}/"
    values = {"text": "<b>why</b>", "path": "a", "line": "1", "proof": proof_in(browser.get(here).text)}

    answer = browser.post(f"{here}comments/", data=values)

    assert answer.status_code == 303
    assert "&lt;b&gt;why&lt;/b&gt;" in browser.get(here).text


@pytest.mark.parametrize(
    "values", [{"text": " "}, {"text": "x", "line": "1"}, {"text": "x", "path": "a", "line": "-1"}]
)
def test_a_comment_that_makes_no_sense_is_asked_again(
    browser: TestClient, session: Session, change: Change, values: dict[str, str]
) -> None:
    source = session.execute(select(Source).where(Source.number == 1)).unique().scalar_one()
    here = f"/sources/{source.id.hex}/"

    answer = browser.post(f"{here}comments/", data={**values, "proof": proof_in(browser.get(here).text)})

    assert answer.status_code == 400
    assert session.execute(select(Comment)).first() is None


def test_a_change_is_commented_and_given_up_on_its_page(
    browser: TestClient, session: Session, change: Change
) -> None:
    here = f"/changes/{change.id.hex}/"
    proof = proof_in(browser.get(here).text)

    browser.post(f"{here}comments/", data={"text": "Not now", "proof": proof})
    browser.post(f"{here}abandon/", data={"proof": proof})

    text = browser.get(here).text
    assert "Not now" in text
    assert "Given up" in text


def test_pages_ask_a_bounded_number_of_questions(
    questions: Callable[[str], int], session: Session, project: Project, change: Change
) -> None:
    paths = ["/changes/", f"/changes/{change.id.hex}/"]
    few = [questions(path) for path in paths]
    change = session.get_one(Change, change.id)
    project = session.get_one(Project, project.id)
    for number in range(5):
        add_version(session, project, change, A_DIFF.replace(b"1", str(number).encode()))

    assert [questions(path) for path in paths] == few
    assert max(few) <= QUESTIONS_MAX


def test_a_repository_shows_its_branches_and_its_webhook_to_administrators(
    browser: TestClient, session: Session, project: Project
) -> None:
    repository = project.repository
    repository.default_branch = "main"
    heads.keep(session, repository.id, [Move("main", None, "a" * 40), Move("old", None, "b" * 40)], [])

    text = browser.get(f"/repositories/{repository.id.hex}/").text

    assert hooks.address_of(repository) in text
    assert text.index(">main<") < text.index(">old<")


def test_a_repository_is_looked_at_when_somebody_asks(
    browser: TestClient, session: Session, project: Project
) -> None:
    here = f"/repositories/{project.repository_id.hex}/"

    answer = browser.post(f"{here}sync/", data={"proof": proof_in(browser.get(here).text)})

    assert answer.status_code == 303
