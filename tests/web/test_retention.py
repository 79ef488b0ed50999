"""What is kept of tests, by the API."""

from datetime import UTC, datetime

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session
from starlette.testclient import TestClient
from tests import factories
from tests.builds import agents
from tests.web.conftest import API, answered

from changes.base.task import Task
from changes.builds.models import Build
from changes.results import partitions

OLD = datetime(2021, 3, 1, tzinfo=UTC)


@pytest.fixture
def build(session: Session) -> Build:
    """One that passed."""
    build = factories.a_build(session, factories.a_project(session, "hello"))
    for step in factories.steps_of(session, build):
        agents.end(session, factories.give_to(session, step, factories.a_node(session)), code=0)
    session.flush()
    return build


def tasks(session: Session) -> list[str]:
    return [name for name in session.execute(select(Task.name)).scalars() if "clean_away" in name]


def test_a_build_is_pinned_by_whoever_asks_first(writer: TestClient, session: Session, build: Build) -> None:
    told = [answered(writer.post(f"{API}/builds/{build.id.hex}/pin/")).json() for _ in range(2)]

    assert told[0]["datePinned"] is not None
    assert told[0]["pinnedBy"]
    assert told[0]["datePinned"] == told[1]["datePinned"]


def test_a_build_that_is_unpinned_is_like_others(writer: TestClient, build: Build) -> None:
    answered(writer.post(f"{API}/builds/{build.id.hex}/pin/"))

    told = answered(writer.post(f"{API}/builds/{build.id.hex}/unpin/")).json()

    assert (told["datePinned"], told["pinnedBy"]) == (None, None)


def test_what_would_go_is_told_month_by_month(admin: TestClient, session: Session) -> None:
    partitions.make(session, OLD, OLD)

    told = answered(admin.get(f"{API}/retention/")).json()

    (month,) = [each for each in told["months"] if each["month"] == "2021-03"]
    assert (told["keepMonths"], month["way"], month["runsGone"]) == (24, "drop", 0)
    assert month["bytesBack"] == month["bytes"] > 0


def test_whoever_administers_may_have_it_done_now(admin: TestClient, session: Session) -> None:
    assert admin.post(f"{API}/retention/").status_code == 204

    assert tasks(session) == ["results.clean_away_now"]
