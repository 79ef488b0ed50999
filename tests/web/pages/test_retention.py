"""How long runs of tests are kept, to look at; and the button that keeps a build."""

from datetime import UTC, datetime

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session
from starlette.testclient import TestClient
from tests import factories
from tests.builds import agents
from tests.web.conftest import API, answered
from tests.web.pages.filling import only_form, send

from changes.base.task import Task
from changes.builds.models import Build
from changes.projects import options
from changes.results import partitions

HERE, PAGE = "/admin/retention/", "/projects/hello/builds/1/"
OLD = datetime(2021, 3, 1, tzinfo=UTC)


@pytest.fixture
def build(session: Session) -> Build:
    """One that passed."""
    build = factories.a_build(session, factories.a_project(session, "hello"))
    for step in factories.steps_of(session, build):
        agents.end(session, factories.give_to(session, step, factories.a_node(session)), code=0)
    session.flush()
    return build


def test_a_build_is_pinned_and_unpinned_at_a_click(
    browser: TestClient, session: Session, build: Build
) -> None:
    send(browser, only_form(browser, PAGE, "/pin/"))
    session.refresh(build)
    was_pinned = build.date_pinned is not None

    send(browser, only_form(browser, PAGE, "/unpin/"))

    session.refresh(build)
    assert (was_pinned, build.date_pinned) == (True, None)


def test_the_page_tells_what_would_go_and_what_stays(
    browser: TestClient, session: Session, build: Build, writer: TestClient
) -> None:
    partitions.make(session, OLD, OLD)
    options.change(session, build.project, {options.TESTS_KEEP_MONTHS: "0"})
    answered(writer.post(f"{API}/builds/{build.id.hex}/pin/"))

    page = browser.get(HERE).text

    assert "March 2021" in page
    assert "for ever" in page
    assert "Hello #1" in page


def test_the_page_has_it_done_at_a_click(browser: TestClient, session: Session) -> None:
    partitions.make(session, OLD, OLD)

    send(browser, only_form(browser, HERE, HERE))

    asked = session.execute(select(Task.name)).scalars().all()
    assert asked.count("results.clean_away_now") == 1
