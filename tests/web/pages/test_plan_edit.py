"""Plans and their steps, made and changed in the browser."""

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session
from starlette.testclient import TestClient
from tests import factories
from tests.web.conftest import answered
from tests.web.pages.filling import fill_in, only_form, send

from changes.builds.models import Command, JobPlan
from changes.people import users
from changes.projects import queries
from changes.projects.models import Plan, Project, Step
from changes.projects.rules import PlanStatus
from changes.web.auth import COOKIE, proof_for

NEW = "/projects/hello/plans/new/"


@pytest.fixture
def project(session: Session) -> Project:
    return factories.a_project(session, "hello")


@pytest.fixture
def plan(session: Session, project: Project) -> Plan:
    return factories.a_plan(session, project, {"commands": ["make test"]}, label="tests")


def steps_of(session: Session, plan: Plan) -> list[Step]:
    found = select(Step).where(Step.plan_id == plan.id).order_by(Step.order)
    return list(session.execute(found.execution_options(populate_existing=True)).scalars())


def scripts(session: Session, plan: Plan) -> list[str]:
    return [step.data["commands"][0] for step in steps_of(session, plan)]


def test_a_plan_is_made_whole_and_runs_at_once(
    browser: TestClient, session: Session, project: Project
) -> None:
    typed = {
        "name": "tests",
        "commands": "cd server\r\nmake test\r\n\r\n\r\nmake lint\r\n",
        "artifacts": "dist/*.whl\r\njunit.xml",
        "timeout": "20",
        "env": "LEVEL=high\r\nEMPTY=",
        "path": "server",
    }

    answer = fill_in(browser, NEW, **typed)

    made = session.execute(select(Plan)).unique().scalar_one()
    assert answer.headers["Location"] == f"/plans/{made.id.hex}/"
    assert (made.label, made.status) == ("tests", PlanStatus.ACTIVE)
    assert steps_of(session, made)[0].data == {
        "commands": ["cd server\nmake test", "make lint"],
        "artifacts": ["dist/*.whl", "junit.xml"],
        "timeout": 20,
        "env": {"LEVEL": "high", "EMPTY": ""},
        "path": "server",
    }


def test_a_plan_sent_twice_is_made_once(browser: TestClient, session: Session, project: Project) -> None:
    form = only_form(browser, NEW, NEW)

    answers = [send(browser, form, name="tests", commands="make") for _ in range(2)]

    (made,) = session.execute(select(Plan)).unique().scalars()
    assert {answer.headers["Location"] for answer in answers} == {f"/plans/{made.id.hex}/"}


def test_every_field_that_is_wrong_says_so_at_once(
    browser: TestClient, session: Session, project: Project
) -> None:
    answer = fill_in(
        browser, NEW, name=" ", commands=" \n", timeout="soon", env="no equals", path="../elsewhere"
    )

    assert answer.status_code == 400
    for field in ("name", "commands", "timeout", "env", "path"):
        assert f'id="{field}-error"' in answer.text
    assert 'value="soon"' in answer.text
    assert "no equals</textarea>" in answer.text
    assert session.execute(select(Plan)).first() is None


def test_a_name_that_is_taken_is_said_beside_it(browser: TestClient, plan: Plan) -> None:
    answer = fill_in(browser, NEW, name="tests", commands="make")

    assert "The project has a plan tests already." in answer.text.partition('id="name-error"')[2]


def test_the_plans_of_the_repository_are_told_beside_a_new_one(
    browser: TestClient, session: Session, project: Project
) -> None:
    factories.a_source(session, project, config="plans: [{name: a, commands: [make]}]")

    assert "this one runs beside them" in answered(browser.get(NEW)).text


def test_a_plan_is_renamed(browser: TestClient, plan: Plan) -> None:
    fill_in(browser, f"/plans/{plan.id.hex}/edit/", name="all tests")

    assert plan.label == "all tests"


def test_a_plan_is_not_left_without_a_name(browser: TestClient, plan: Plan) -> None:
    answer = fill_in(browser, f"/plans/{plan.id.hex}/edit/", name=" ")

    assert (answer.status_code, 'id="name-error"' in answer.text) == (400, True)
    assert plan.label == "tests"


def test_a_plan_is_switched_off_and_on_again(browser: TestClient, session: Session, plan: Plan) -> None:
    edit = f"/plans/{plan.id.hex}/edit/"

    fill_in(browser, edit, "/status/")
    off = plan.status
    fill_in(browser, edit, "/status/")

    assert (off, plan.status) == (PlanStatus.INACTIVE, PlanStatus.ACTIVE)


def test_a_plan_that_never_ran_goes_for_good(browser: TestClient, session: Session, plan: Plan) -> None:
    answer = fill_in(browser, f"/plans/{plan.id.hex}/delete/")

    assert answer.headers["Location"] == "/projects/hello/plans/"
    assert session.execute(select(Plan)).first() is None


def test_a_plan_that_ran_stays(browser: TestClient, session: Session) -> None:
    factories.a_build(session)
    plan = session.execute(select(Plan)).unique().scalar_one()
    delete = f"/plans/{plan.id.hex}/delete/"

    page = answered(browser.get(delete)).text
    proof = proof_for(browser.cookies[COOKIE])
    answer = browser.post(delete, data={"proof": proof})

    assert "It ran 1 time" in page
    assert answer.status_code == 409
    assert session.execute(select(JobPlan)).first() is not None


# --- steps --------------------------------------------------------------------------------


def test_a_step_is_shown_as_fields_and_changed(browser: TestClient, session: Session, plan: Plan) -> None:
    step = steps_of(session, plan)[0]
    step.data = {"commands": ["make test"], "cluster": "large", "timeout": 5}
    session.flush()
    path = f"/plans/{plan.id.hex}/steps/{step.id.hex}/"
    form = only_form(browser, path, path)

    send(browser, form, commands="make check", timeout="")

    assert (form.values["commands"], form.values["timeout"]) == ("make test", "5")
    assert steps_of(session, plan)[0].data == {"commands": ["make check"], "cluster": "large"}


def test_what_runs_already_is_not_touched(browser: TestClient, session: Session) -> None:
    factories.a_build(session, commands=("make test",))
    plan = session.execute(select(Plan)).unique().scalar_one()
    (step,) = steps_of(session, plan)

    fill_in(browser, f"/plans/{plan.id.hex}/steps/{step.id.hex}/", commands="make check")

    assert session.execute(select(Command.script)).scalars().all() == ["make test"]
    assert scripts(session, plan) == ["make check"]


def test_a_step_that_fields_cannot_say_is_edited_as_json(
    browser: TestClient, session: Session, plan: Plan
) -> None:
    (step,) = steps_of(session, plan)
    step.data = {"commands": [{"script": "make test", "label": "Tests"}]}
    session.flush()

    fill_in(
        browser, f"/plans/{plan.id.hex}/steps/{step.id.hex}/", data='{"commands": [{"script": "make all"}]}'
    )

    assert steps_of(session, plan)[0].data == {"commands": [{"script": "make all"}]}


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ("{", "This is not JSON"),
        ("[]", "This must be a JSON object"),
        ('{"comands": []}', "unknown field &#39;comands&#39;"),
    ],
)
def test_json_that_is_wrong_is_said_beside_it(
    browser: TestClient, session: Session, plan: Plan, data: str, words: str
) -> None:
    (step,) = steps_of(session, plan)
    path = f"/plans/{plan.id.hex}/steps/{step.id.hex}/"

    answer = send(browser, only_form(browser, f"{path}?form=json", path), data=data)

    assert answer.status_code == 400
    assert words in answer.text.partition('id="data-error"')[2]


@pytest.mark.parametrize("form", ["fields", "json"])
def test_the_option_of_a_step_is_set_beside_what_it_does_and_taken_back(
    browser: TestClient, session: Session, plan: Plan, form: str
) -> None:
    (step,) = steps_of(session, plan)
    path = f"/plans/{plan.id.hex}/steps/{step.id.hex}/"
    limit = "build.timeout"

    send(browser, only_form(browser, f"{path}?form={form}", path), **{limit: "20"})
    set_to = queries.options_of_items(session, [step.id])[step.id]
    again = only_form(browser, f"{path}?form={form}", path)
    send(browser, again, **{limit: " "})

    assert (set_to, again.values[limit]) == ({limit: "20"}, "20")
    assert queries.options_of_items(session, [step.id])[step.id] == {}
    assert scripts(session, plan) == ["make test"]


def test_a_new_step_may_have_an_option_and_one_that_is_wrong_is_said_beside_it(
    browser: TestClient, session: Session, plan: Plan
) -> None:
    path, limit = f"/plans/{plan.id.hex}/steps/new/", "build.timeout"

    refused = fill_in(browser, path, commands="make deploy", **{limit: "soon"})
    before = len(steps_of(session, plan))
    fill_in(browser, path, commands="make deploy", **{limit: "30"})

    assert (refused.status_code, before) == (400, 1)
    assert "a whole number of minutes" in refused.text.partition(f'id="{limit}-error"')[2]
    assert 'value="soon"' in refused.text
    session.expire_all()
    made = steps_of(session, plan)[-1]
    assert queries.options_of_items(session, [made.id])[made.id] == {limit: "30"}


def test_a_second_step_runs_after_the_first_and_may_be_moved(
    browser: TestClient, session: Session, plan: Plan
) -> None:
    fill_in(browser, f"/plans/{plan.id.hex}/steps/new/", commands="make deploy")
    session.expire_all()
    _, second = steps_of(session, plan)
    before = scripts(session, plan)
    proof = proof_for(browser.cookies[COOKIE])

    for up in ("yes", "yes"):
        browser.post(f"/plans/{plan.id.hex}/steps/{second.id.hex}/move/", data={"proof": proof, "up": up})

    assert before == ["make test", "make deploy"]
    assert scripts(session, plan) == ["make deploy", "make test"]


def test_a_step_is_deleted_after_a_question(browser: TestClient, session: Session, plan: Plan) -> None:
    (step,) = steps_of(session, plan)

    fill_in(browser, f"/plans/{plan.id.hex}/steps/{step.id.hex}/delete/")

    assert steps_of(session, plan) == []


def test_the_steps_of_a_repository_are_not_edited_here(
    browser: TestClient, session: Session, plan: Plan
) -> None:
    plan.in_repository = True
    session.flush()

    answer = browser.get(f"/plans/{plan.id.hex}/steps/new/")

    assert (answer.status_code, "stand in its repository" in answer.text) == (400, True)


def test_a_step_of_another_plan_is_not_found_here(
    browser: TestClient, session: Session, project: Project, plan: Plan
) -> None:
    other = factories.a_plan(session, project, {"commands": ["make"]})

    answer = browser.get(f"/plans/{plan.id.hex}/steps/{other.steps[0].id.hex}/")

    assert answer.status_code == 404


def test_whoever_does_not_administer_the_project_changes_no_plan(
    browser: TestClient, session: Session, plan: Plan
) -> None:
    ravi = users.create(session, "ravi@example.com")
    cookie = users.open_session(session, ravi.id)
    browser.cookies.set(COOKIE, cookie)

    answers = [
        browser.get(NEW),
        browser.get(f"/plans/{plan.id.hex}/edit/"),
        browser.post(f"/plans/{plan.id.hex}/delete/", data={"proof": proof_for(cookie)}),
    ]

    assert [answer.status_code for answer in answers] == [403] * 3
    assert "administer the project hello" in answers[0].text


def test_a_pattern_of_slugs_opens_the_plans_of_its_projects(
    browser: TestClient, session: Session, plan: Plan
) -> None:
    ravi = users.create(session, "ravi@example.com")
    ravi.project_permissions = ["hel*"]
    browser.cookies.set(COOKIE, users.open_session(session, ravi.id))

    assert browser.get(NEW).status_code == 200
