"""Whom to ask about a test that failed: whom its report names, or else whom the plan names."""

import re

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session
from starlette.testclient import TestClient
from tests import factories
from tests.finished import a_test, report
from tests.web.conftest import answered, first_step

from changes.builds.models import JobPlan
from changes.results import testdays

HERE = "/projects/server/builds/1/"
NAMED, NOBODYS = "owned by payments", "ask the web team, zoe@example.com"


@pytest.fixture(autouse=True)
def failed(session: Session) -> None:
    build = factories.a_build(session, factories.a_project(session, "server"))
    plan = session.execute(select(JobPlan).where(JobPlan.build_id == build.id)).scalar_one()
    plan.data = {**plan.data, "terms": {"owners": ["the web team", "zoe@example.com"]}}
    tests = [a_test("app.nobodys", "failed"), a_test("app.named", "failed", owner="payments")]
    report(session, first_step(session, build), tests)
    testdays.sum_up(session)


@pytest.mark.parametrize("address", [HERE, "/projects/server/tests/"])
def test_failing_tests_say_whom_to_ask(browser: TestClient, address: str) -> None:
    page = answered(browser.get(address)).text

    assert (page.count(NAMED), page.count(NOBODYS)) == (1, 1)


def test_a_run_says_whom_its_plan_names(browser: TestClient) -> None:
    listed = browser.get(f"{HERE}tests/").text
    run = re.findall(rf'href="({HERE}tests/[0-9a-f]{{32}}/)"', listed)[0]

    assert "the web team, zoe@example.com" in answered(browser.get(run)).text


def test_the_list_of_a_builds_tests_names_them_all(browser: TestClient) -> None:
    page = answered(browser.get(f"{HERE}tests/")).text

    assert "<td>payments</td>" in page
    assert "<td>the web team, zoe@example.com</td>" in page
