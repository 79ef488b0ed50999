from uuid import UUID

import pytest
from fastapi.testclient import TestClient
from sqlalchemy.orm import Session
from tests import factories

from changes.projects import create
from changes.projects.models import Plan

API = "/api/0"


@pytest.fixture
def plan(session: Session) -> Plan:
    return factories.a_plan(session, factories.a_project(session), {"commands": ["true"]})


def options_of(client: TestClient, what: str, item_id: UUID) -> dict[str, str]:
    found: dict[str, str] = client.get(f"{API}/{what}/{item_id.hex}/options/").json()
    return found


def test_options_that_nobody_set_have_their_defaults(admin: TestClient, plan: Plan) -> None:
    assert options_of(admin, "plans", plan.id)["build.expect-tests"] == "0"
    assert options_of(admin, "steps", plan.steps[0].id) == {"build.timeout": "0"}


def test_an_option_that_is_set_stays_when_others_are(admin: TestClient, plan: Plan) -> None:
    for given in ({"job.needs": "a\nb"}, {"job.retry-times": "2"}):
        answer = admin.post(f"{API}/plans/{plan.id.hex}/options/", data=given)
        assert answer.json() == {}

    options = options_of(admin, "plans", plan.id)
    assert (options["job.needs"], options["job.retry-times"]) == ("a\nb", "2")


def test_a_step_has_a_limit_of_its_own(admin: TestClient, plan: Plan) -> None:
    step_id = plan.steps[0].id

    admin.post(f"{API}/steps/{step_id.hex}/options/", json={"build.timeout": "30"})

    assert options_of(admin, "steps", step_id) == {"build.timeout": "30"}


WRONG = [
    ({"build.timeout": "soon"}, "Timeout: a whole number of minutes"),
    ({"build.expect-tests": "yes"}, "Expects tests: one of 0, 1."),
    ({"job.retry-times": "11"}, "Retries: a whole number from 0 to 10."),
    ({"job.retry-patterns": "fine\n("}, "the pattern '(' is no regular expression"),
]


@pytest.mark.parametrize(("given", "expected"), WRONG)
def test_a_wrong_value_is_refused_by_the_name_of_its_option(
    admin: TestClient, plan: Plan, given: dict[str, str], expected: str
) -> None:
    answer = admin.post(f"{API}/plans/{plan.id.hex}/options/", json=given)

    assert answer.status_code == 400
    assert expected in answer.json()["error"]
    assert answer.json()["problems"] == list(given)


def test_a_plan_in_its_repository_takes_no_options(admin: TestClient, session: Session) -> None:
    plan = create.plan_in_repository(session, factories.a_project(session), "tests")

    answer = admin.post(f"{API}/plans/{plan.id.hex}/options/", json={"job.optional": "1"})

    assert answer.status_code == 400


def test_what_a_step_may_be_is_told_with_all_a_form_needs(admin: TestClient) -> None:
    found = {each["id"]: each for each in admin.get(f"{API}/implementations/").json()}

    fields = found["changes.buildsteps.lxc.LXCBuildStep"]["fields"]
    assert {"name": "timeout", "label": "Timeout", "kind": "number", "default": 0}.items() <= {
        key: value for each in fields if each["name"] == "timeout" for key, value in each.items()
    }.items()
