"""Parts of a build done again, stopped, and put earlier or later, at a click."""

from collections.abc import Callable

import pytest
from sqlalchemy.orm import Session
from starlette.testclient import TestClient
from tests import factories
from tests.builds import agents
from tests.web.conftest import answered, job_of
from tests.web.pages.filling import fill_in, forms, only_form, send

from changes.base import ids
from changes.builds.models import Build
from changes.builds.rules import Priority, Result, Status
from changes.people import tokens
from changes.people.rules import Scope
from changes.web.auth import COOKIE, proof_for

HERE = "/projects/hello/builds/1/"


@pytest.fixture
def build(session: Session) -> Build:
    return factories.a_build(session, factories.a_project(session, "hello"), plans=2)


def end(session: Session, build: Build, *codes: int) -> None:
    for step, code in zip(factories.steps_of(session, build), codes, strict=False):
        agents.end(session, factories.give_to(session, step, factories.a_node(session)), code=code)
    session.flush()


def test_only_what_failed_is_done_again_and_once(browser: TestClient, session: Session, build: Build) -> None:
    end(session, build, 0, 1)
    form = only_form(browser, HERE, "/failed/")

    answers = [send(browser, form) for _ in range(2)]

    session.refresh(build)
    assert [answer.headers["Location"] for answer in answers] == [HERE, HERE]
    assert (build.is_finished, len(factories.steps_of(session, build))) == (False, 3)


def test_what_all_passed_offers_nothing_to_repeat(
    browser: TestClient, session: Session, build: Build
) -> None:
    end(session, build, 0, 0)

    page = browser.get(HERE).text

    assert forms(page, "/failed/") == []
    assert len(forms(page, "/again/")) == 3


def test_while_it_runs_what_failed_already_is_offered(
    browser: TestClient, session: Session, build: Build
) -> None:
    end(session, build, 1)

    page = browser.get(HERE).text

    assert len(forms(page, "/failed/")) == 1
    assert f'href="{HERE}cancel/"' in page


def test_a_repetition_of_nothing_is_refused_in_words(
    browser: TestClient, session: Session, build: Build
) -> None:
    end(session, build, 0, 0)

    answer = answered(browser.post(f"{HERE}failed/", data={"proof": proof_for(browser.cookies[COOKIE])}))

    assert (answer.status_code, "nothing to do again" in answer.text) == (409, True)


def test_all_of_it_is_done_again_after_a_question(
    browser: TestClient, session: Session, build: Build
) -> None:
    end(session, build, 0, 0)

    answer = fill_in(browser, f"{HERE}restart/")

    assert answer.headers["Location"] == HERE
    assert len(factories.steps_of(session, build)) == 4


@pytest.mark.parametrize("name", ["high", "low", "default"])
def test_a_build_that_waits_is_put_earlier_or_later(
    browser: TestClient, session: Session, build: Build, name: str
) -> None:
    form = only_form(browser, HERE, "/priority/")

    answer = send(browser, form, priority=name)

    session.refresh(build)
    assert (answer.headers["Location"], build.priority) == (HERE, Priority[name.upper()])
    assert {step.priority for step in factories.steps_of(session, build)} == {Priority[name.upper()]}


def test_a_priority_nobody_knows_is_refused(browser: TestClient, build: Build) -> None:
    form = only_form(browser, HERE, "/priority/")

    assert send(browser, form, priority="highest").status_code == 400


def test_a_job_is_cancelled_after_a_question_and_the_other_goes_on(
    browser: TestClient, session: Session, build: Build
) -> None:
    job = job_of(session, build)
    where = f"/jobs/{job.id.hex}/cancel/"
    assert where in browser.get(HERE).text

    answer = fill_in(browser, where)

    session.refresh(job)
    session.refresh(build)
    assert (answer.headers["Location"], job.result, build.is_finished) == (HERE, Result.ABORTED, False)


def test_a_job_that_ended_is_done_again(browser: TestClient, session: Session, build: Build) -> None:
    end(session, build, 0)
    job = next(step.job for step in factories.steps_of(session, build) if step.status == Status.FINISHED)

    answer = fill_in(browser, HERE, f"/jobs/{job.id.hex}/again/")

    session.refresh(job)
    assert (answer.headers["Location"], job.is_finished) == (HERE, False)


def test_a_step_is_cancelled_from_its_page(browser: TestClient, session: Session, build: Build) -> None:
    step = factories.steps_of(session, build)[0]
    where = f"/steps/{step.id.hex}/"
    assert f'href="{where}cancel/"' in browser.get(where).text

    answer = fill_in(browser, f"{where}cancel/")

    session.refresh(step)
    assert (answer.headers["Location"], step.result) == (where, Result.ABORTED)
    assert "cancel/" not in browser.get(where).text


@pytest.mark.parametrize("where", ["/jobs/{id}/cancel/", "/steps/{id}/cancel/"])
def test_what_is_not_there_is_not_cancelled(browser: TestClient, where: str) -> None:
    assert answered(browser.get(where.format(id=ids.new().hex))).status_code == 404


def test_a_reader_is_offered_nothing_of_it(client: TestClient, session: Session, build: Build) -> None:
    secret = tokens.create(session, "reader", Scope.READ).secret
    headers = {**factories.as_caller(secret), "Accept": "text/html"}
    step = factories.steps_of(session, build)[0]

    pages = [answered(client.get(where, headers=headers)).text for where in (HERE, f"/steps/{step.id.hex}/")]

    assert [word for word in ("cancel/", "priority/", "again/") for page in pages if word in page] == []


def test_a_build_that_waits_and_is_red_at_once_asks_no_more_than_a_page_may(
    session: Session, build: Build, questions: Callable[[str], int]
) -> None:
    end(session, build, 1)
    session.refresh(build)
    assert not build.is_finished

    assert questions(HERE) <= 10
