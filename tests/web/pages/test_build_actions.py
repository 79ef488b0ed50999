"""Asking for builds in the browser, asking again, and cancelling."""

from pathlib import Path

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session
from starlette.testclient import TestClient
from tests import factories
from tests.web.conftest import answered
from tests.web.pages.filling import fill_in, only_form, send

from changes.base.errors import Unavailable
from changes.builds import ask
from changes.builds.models import Build
from changes.builds.rules import Cause, Result, Status
from changes.people import tokens, users
from changes.people.rules import Scope
from changes.projects.models import Patch, Project
from changes.projects.rules import ProjectStatus, RepositoryStatus
from changes.web.auth import COOKIE, proof_for

DIFF = "--- a/greeting\r\n+++ b/greeting\r\n@@ -1 +1 @@\r\n-hello\r\n+good morning\r\n"
BUILD = "/projects/hello/build/"


@pytest.fixture
def project(session: Session, tmp_path: Path) -> Project:
    factories.a_git_repository(tmp_path / "source", {"greeting": "hello\n"}, "Say hello")
    repository = factories.a_repository(session, str(tmp_path / "source"))
    project = factories.a_project(session, "hello", repository)
    factories.a_plan(session, project, {"commands": ["make"]})
    return project


def newest(session: Session) -> Build:
    found = select(Build).order_by(Build.id.desc()).limit(1)
    return session.execute(found).unique().scalar_one()


def finished(session: Session, build: Build) -> Build:
    build.status, build.result = Status.FINISHED, Result.PASSED
    session.flush()
    return build


def test_without_a_word_the_head_is_built_by_hand(
    browser: TestClient, session: Session, project: Project
) -> None:
    answer = fill_in(browser, BUILD)

    build = newest(session)
    assert answer.headers["Location"] == "/projects/hello/builds/1/"
    assert (build.label, build.cause, build.source.patch_id) == ("Say hello", Cause.MANUAL, None)


def test_a_form_sent_twice_asks_for_one_build(
    browser: TestClient, session: Session, project: Project
) -> None:
    form = only_form(browser, BUILD, BUILD)

    answers = [send(browser, form, sha="main") for _ in range(2)]

    assert {answer.headers["Location"] for answer in answers} == {"/projects/hello/builds/1/"}
    session.refresh(project)
    assert project.last_build_number == 1


def test_a_pasted_diff_is_built_on_top_with_the_line_ends_of_a_diff(
    browser: TestClient, session: Session, project: Project
) -> None:
    fill_in(browser, BUILD, sha="main", patch=DIFF, label="Try a greeting")

    diff = session.execute(select(Patch.diff)).scalar_one()
    assert diff == DIFF.replace("\r\n", "\n").encode()
    assert newest(session).label == "Try a greeting"


def test_a_diff_from_a_file_stays_as_it_is(browser: TestClient, session: Session, project: Project) -> None:
    form = only_form(browser, BUILD, BUILD)

    browser.post(form.action, data=form.values, files={"file": ("my.diff", DIFF.encode())})

    assert session.execute(select(Patch.diff)).scalar_one() == DIFF.encode()


@pytest.mark.parametrize(
    ("typed", "field"),
    [({"sha": "no-such-branch"}, "sha"), ({"sha": "x" * 256}, "sha"), ({"patch": "just words"}, "patch")],
)
def test_what_cannot_be_built_is_said_beside_its_field(
    browser: TestClient, session: Session, project: Project, typed: dict[str, str], field: str
) -> None:
    answer = fill_in(browser, BUILD, **({"label": "typed and kept"} | typed))

    assert (answer.status_code, f'id="{field}-error"' in answer.text) == (400, True)
    assert 'value="typed and kept"' in answer.text
    assert session.execute(select(Build)).first() is None


def test_a_repository_that_is_away_keeps_the_form(
    browser: TestClient, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: object, **__: object) -> list[Build]:
        raise Unavailable("The repository cannot be read now.")

    monkeypatch.setattr(ask, "build_what_was_asked", away)

    answer = fill_in(browser, BUILD, sha="main")

    assert (answer.status_code, "cannot be read now" in answer.text) == (503, True)
    assert 'value="main"' in answer.text


def test_while_the_repository_is_fetched_first_no_request_waits_for_it(
    browser: TestClient, session: Session, project: Project
) -> None:
    form = only_form(browser, BUILD, BUILD)
    project.repository.status = RepositoryStatus.IMPORTING
    session.flush()

    page, sent = browser.get(BUILD), send(browser, form)

    assert "being fetched for the first time" in page.text
    assert page.headers["Refresh"] == "2"
    assert sent.status_code == 503
    assert session.execute(select(Build)).first() is None


def test_a_project_that_is_switched_off_is_not_built(
    browser: TestClient, session: Session, project: Project
) -> None:
    project.status = ProjectStatus.INACTIVE
    session.flush()

    assert "nothing of it is built" in answered(browser.get(BUILD)).text


def test_whoever_may_only_read_asks_for_nothing(client: TestClient, session: Session) -> None:
    factories.a_project(session, "hello")
    secret = tokens.create(session, "reader", Scope.READ).secret

    answer = client.get(BUILD, headers={**factories.as_caller(secret), "Accept": "text/html"})

    assert (answer.status_code, "needs the scope write" in answer.text) == (403, True)


def test_a_build_is_cancelled_after_a_question(browser: TestClient, session: Session) -> None:
    build = factories.a_build(session, factories.a_project(session, "hello"))
    where = f"/projects/hello/builds/{build.number}/"

    answer = fill_in(browser, f"{where}cancel/")

    session.refresh(build)
    assert answer.headers["Location"] == where
    assert build.result == Result.ABORTED


def test_a_build_that_ended_is_not_cancelled(browser: TestClient, session: Session) -> None:
    build = finished(session, factories.a_build(session, factories.a_project(session, "hello")))
    where = f"/projects/hello/builds/{build.number}/cancel/"

    page = answered(browser.get(where)).text
    proof = proof_for(browser.cookies[COOKIE])
    answer = browser.post(where, data={"proof": proof})

    assert "nothing to cancel" in page
    assert answer.status_code == 303
    assert build.result == Result.PASSED


def test_the_same_is_built_again_by_hand_and_once(browser: TestClient, session: Session) -> None:
    first = finished(session, factories.a_build(session, factories.a_project(session, "hello")))
    form = only_form(browser, f"/projects/hello/builds/{first.number}/", "/again/")

    answers = [send(browser, form) for _ in range(2)]

    made = newest(session)
    assert [answer.headers["Location"] for answer in answers] == ["/projects/hello/builds/2/"] * 2
    assert (made.number, made.source_id, made.cause) == (2, first.source_id, Cause.MANUAL)
    assert made.collection_id != first.collection_id


def test_a_running_build_offers_to_cancel_it_and_a_reader_is_offered_nothing(
    browser: TestClient, session: Session
) -> None:
    build = factories.a_build(session, factories.a_project(session, "hello"))
    where = f"/projects/hello/builds/{build.number}/"
    secret = tokens.create(session, "reader", Scope.READ).secret

    mine = answered(browser.get(where)).text
    browser.cookies.clear()
    theirs = answered(browser.get(where, headers=factories.as_caller(secret))).text

    assert f'href="{where}cancel/"' in mine
    assert "cancel/" not in theirs


def test_people_who_may_build_need_not_administer(browser: TestClient, session: Session) -> None:
    factories.a_project(session, "hello")
    ravi = users.create(session, "ravi@example.com")
    browser.cookies.set(COOKIE, users.open_session(session, ravi.id))

    assert browser.get(BUILD).status_code == 200
