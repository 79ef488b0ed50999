"""The page of a project's triggers, and what the form for a build says of plans and parameters."""

from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session
from starlette.testclient import TestClient
from tests import factories
from tests.web.pages.filling import fill_in

from changes.builds import hooks, schedules, triggers_commits
from changes.builds.models import Build
from changes.builds.schedules import Wanted
from changes.projects import mirrors, options
from changes.projects.events import RevisionsSeen
from changes.projects.models import Project

PAGE = "/projects/hello/triggers/"
CONFIG = """
plans:
  - {name: tests, parameters: [{name: LEVEL, choices: [quick, full]}], commands: [make test]}
  - {name: docs, triggers: {files: ["docs/*"]}, commands: [make docs]}
"""


@pytest.fixture
def project(session: Session, tmp_path: Path) -> Project:
    factories.a_git_repository(tmp_path / "source", {"a": "1", ".changes.yml": CONFIG})
    return factories.a_project(session, "hello", factories.a_repository(session, str(tmp_path / "source")))


def a_decided_commit(project: Project, folder: Path, text: str) -> str:
    sha = factories.commit(folder, {"a": text}, f"Number {text} <script>alert(1)</script>")
    mirrors.of(project.repository).update()
    triggers_commits.consider_revisions(
        RevisionsSeen(project.repository_id, "main", (sha,), is_first_import=False)
    )
    return sha


def test_it_says_what_was_built_what_was_not_and_why(
    browser: TestClient, session: Session, project: Project, tmp_path: Path
) -> None:
    built = a_decided_commit(project, tmp_path / "source", "2")
    options.change(session, project, {options.BRANCHES: "release-*"})
    skipped = a_decided_commit(project, tmp_path / "source", "3")

    page, only = browser.get(PAGE).text, browser.get(f"{PAGE}?only=skipped").text

    assert "A new commit on main." in page
    assert "Without the plan docs: No file changed that it asks for, only a." in page
    assert "No branch that has it (main) is one that this project builds (release-*)." in page
    assert (built[:12] in only, skipped[:12] in only) == (False, True)


def test_the_page_of_a_commit_says_it_too(browser: TestClient, project: Project, tmp_path: Path) -> None:
    sha = a_decided_commit(project, tmp_path / "source", "2")

    page = browser.get(f"/projects/hello/commits/{sha}/").text

    assert "A new commit on main." in page
    assert "<script>alert" not in page


def test_a_project_of_which_nothing_was_decided_says_so(browser: TestClient, project: Project) -> None:
    assert "Nothing was decided yet" in browser.get(PAGE).text


def test_a_schedule_is_planned_and_removed(browser: TestClient, session: Session, project: Project) -> None:
    said = {"name": "nightly", "cron": "0 2 * * *", "zone": "Europe/Berlin", "only_if_changed": "yes"}
    fill_in(browser, PAGE, f"{PAGE}schedules/", **said)
    page = browser.get(PAGE).text
    (kept,) = schedules.of(session, project)

    fill_in(browser, PAGE, f"{PAGE}schedules/remove/")

    assert kept.only_if_changed
    assert "Europe/Berlin, only if something has changed" in page
    assert schedules.of(session, project) == []


def test_what_is_wrong_with_a_schedule_is_said_beside_its_field(
    browser: TestClient, session: Session, project: Project
) -> None:
    answer = fill_in(browser, PAGE, f"{PAGE}schedules/", name="x", cron="often", zone="UTC")

    assert answer.status_code == 400
    assert "A schedule has five fields" in answer.text
    assert 'value="often"' in answer.text
    assert schedules.of(session, project) == []


def test_the_secret_of_a_webhook_is_shown_once(
    browser: TestClient, session: Session, project: Project
) -> None:
    made = fill_in(browser, PAGE, f"{PAGE}hooks/", hook_name="publisher")
    again = browser.get(PAGE).text

    (hook,) = hooks.of(session, project)
    assert "shown this one time" in made.text
    assert "shown this one time" not in again
    assert f"http://changes.test/api/0/hooks/{hook.id.hex}/" in again


def test_a_build_of_some_plans_with_other_values_is_asked_for_by_the_form(
    browser: TestClient, session: Session, project: Project
) -> None:
    form = "/projects/hello/build/"
    mirrors.of(project.repository).update()

    wrong = fill_in(browser, form, form, plans="tests", values="LEVEL=ful")
    fill_in(browser, form, form, plans="tests", values="LEVEL = full")

    (build,) = session.execute(select(Build)).unique().scalars()
    assert "did you mean &#39;full&#39;?" in wrong.text
    assert build.wishes == {"plans": ["tests"], "parameters": {"LEVEL": "full"}}


def test_the_page_asks_no_more_however_much_was_decided(
    session: Session, project: Project, questions: Callable[[str], int], tmp_path: Path
) -> None:
    for text in ("2", "3", "4"):
        a_decided_commit(project, tmp_path / "source", text)
    schedules.create(session, project, Wanted("nightly", "@daily"))

    assert questions(PAGE) <= 8
