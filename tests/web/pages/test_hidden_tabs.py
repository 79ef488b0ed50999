"""Projects without tests or coverage say so, and have no tabs for them."""

import re

import pytest
from sqlalchemy.orm import Session
from starlette.testclient import TestClient
from tests.factories import a_project
from tests.finished import an_ended_build

from changes.projects import options
from changes.projects.models import Project

OF_PROJECT, OF_BUILD = "/projects/server/", "/projects/server/builds/1/"


@pytest.fixture
def project(session: Session) -> Project:
    project = a_project(session, "server")
    an_ended_build(session, project)
    return project


def tabs(browser: TestClient, path: str) -> set[str]:
    page = browser.get(path).text
    [row] = re.findall(r'<nav class="tabs".*?</nav>', page, re.DOTALL)[:1]
    return set(re.findall(rf'href="{path}(\w+)/"', row))


@pytest.mark.parametrize("tab", ["tests", "coverage"])
def test_a_tab_that_nobody_wants_is_gone_from_the_project_and_its_builds(
    browser: TestClient, session: Session, project: Project, tab: str
) -> None:
    before = [tabs(browser, path) for path in (OF_PROJECT, OF_BUILD)]

    options.change(session, project, {f"ui.show-{tab}": "0"})
    session.expire_all()

    assert [tabs(browser, path) for path in (OF_PROJECT, OF_BUILD)] == [each - {tab} for each in before]


def test_who_opens_its_address_sees_the_page_and_where_he_is(
    browser: TestClient, session: Session, project: Project
) -> None:
    options.change(session, project, {"ui.show-tests": "0"})
    session.expire_all()

    page = browser.get(f"{OF_PROJECT}tests/")

    assert page.status_code == 200
    assert f'href="{OF_PROJECT}tests/"' in page.text
