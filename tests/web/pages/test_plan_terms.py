"""The options of a plan as a form."""

import pytest
from sqlalchemy.orm import Session
from starlette.testclient import TestClient
from tests import factories
from tests.web.conftest import answered
from tests.web.pages.filling import fill_in, only_form

from changes.builds import terms
from changes.people import users
from changes.projects import plan_options, queries
from changes.projects.models import Plan
from changes.projects.plan_options import OF_PLANS
from changes.web.auth import COOKIE, proof_for

ALL = {
    "job.needs": "lint\r\ntypes",
    "job.optional": "1",
    "job.group": "staging",
    "job.retry-times": "2",
    "job.retry-increment": "30",
    "job.retry-patterns": "timed out\r\nreset by peer",
    "job.cancel-superseded": "1",
    "build.expect-tests": "1",
    "build.timeout": "20",
}


@pytest.fixture
def plan(session: Session) -> Plan:
    return factories.a_plan(session, factories.a_project(session, "hello"), {"commands": ["true"]})


def stored(session: Session, plan: Plan) -> dict[str, str]:
    return queries.options_of_items(session, [plan.id])[plan.id]


def edit(plan: Plan) -> tuple[str, str]:
    return f"/plans/{plan.id.hex}/edit/", f"/plans/{plan.id.hex}/options/"


def test_every_option_of_a_plan_has_a_field(browser: TestClient, plan: Plan) -> None:
    form = only_form(browser, *edit(plan))

    assert set(OF_PLANS) <= form.names
    assert set(ALL) <= set(OF_PLANS)


def test_what_is_typed_is_what_its_jobs_are_made_by(
    browser: TestClient, session: Session, plan: Plan
) -> None:
    answer = fill_in(browser, *edit(plan), **ALL)

    meant = terms.of_options(stored(session, plan))
    assert answer.headers["Location"] == f"/plans/{plan.id.hex}/"
    assert (meant.needs, meant.is_optional, meant.group) == (("lint", "types"), True, "staging")
    assert meant.retry == terms.Retry(2, 30, ("timed out", "reset by peer"))
    assert (meant.cancels_superseded, meant.expects_tests, meant.timeout_min) == (True, True, 20)


def test_a_form_sent_as_it_is_changes_nothing(browser: TestClient, session: Session, plan: Plan) -> None:
    plan_options.change(session, plan.id, OF_PLANS, {"job.group": "staging"})

    fill_in(browser, *edit(plan))

    assert stored(session, plan) == {"job.group": "staging"}


def test_a_field_that_is_emptied_is_as_it_was_before(
    browser: TestClient, session: Session, plan: Plan
) -> None:
    plan_options.change(session, plan.id, OF_PLANS, {"job.group": "staging", "build.timeout": "5"})

    fill_in(browser, *edit(plan), **{"job.group": "", "build.timeout": " "})

    assert stored(session, plan) == {}


@pytest.mark.parametrize(
    ("name", "typed"),
    [
        ("job.retry-times", "11"),
        ("job.retry-times", "-1"),
        ("job.retry-increment", "soon"),
        ("job.retry-patterns", "fine\n(never closed"),
        ("job.optional", "perhaps"),
        ("job.group", "g" * 129),
        ("build.timeout", "10081"),
    ],
)
def test_what_is_wrong_is_said_beside_its_field(
    browser: TestClient, session: Session, plan: Plan, name: str, typed: str
) -> None:
    answer = fill_in(browser, *edit(plan), **{name: typed, "job.needs": "typed and kept"})

    assert (answer.status_code, f'id="{name}-error"' in answer.text) == (400, True)
    assert "typed and kept" in answer.text
    assert stored(session, plan) == {}


def test_a_plan_in_its_repository_has_no_such_form(browser: TestClient, session: Session, plan: Plan) -> None:
    plan.in_repository = True
    session.flush()
    where, action = edit(plan)

    page = answered(browser.get(where)).text
    answer = answered(browser.post(action, data={"proof": proof_for(browser.cookies[COOKIE])}))

    assert action not in page
    assert answer.status_code == 400


def test_whoever_may_not_administer_the_project_changes_nothing(
    browser: TestClient, session: Session, plan: Plan
) -> None:
    ravi = users.create(session, "ravi@example.com")
    browser.cookies.set(COOKIE, users.open_session(session, ravi.id))
    proof = {"proof": proof_for(browser.cookies[COOKIE])}

    answer = browser.post(edit(plan)[1], data={**proof, "job.optional": "1"})

    assert (answer.status_code, stored(session, plan)) == (403, {})
