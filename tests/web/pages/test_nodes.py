"""The machines that run builds."""

from collections.abc import Callable
from datetime import timedelta

from sqlalchemy.orm import Session
from starlette.testclient import TestClient
from tests.factories import a_build, a_node, give_to
from tests.web.conftest import first_step

from changes.base import clock


def test_without_machines_the_page_says_how_to_get_one(browser: TestClient) -> None:
    assert "changes agent-token" in browser.get("/nodes/").text


def test_a_machine_shows_how_many_steps_it_holds(browser: TestClient, session: Session) -> None:
    node = a_node(session, "builder-7")
    node.date_last_seen = clock.now()
    give_to(session, first_step(session, a_build(session)), node)

    page = browser.get("/nodes/").text

    assert "builder-7" in page
    assert "1 of 2" in page
    assert "away" not in page


def test_a_silent_machine_is_away(browser: TestClient, session: Session) -> None:
    a_node(session).date_last_seen = clock.now() - timedelta(hours=1)
    session.flush()

    assert "away" in browser.get("/nodes/").text


def test_more_machines_ask_no_more_questions(session: Session, questions: Callable[[str], int]) -> None:
    a_node(session)
    one = questions("/nodes/")
    a_node(session)

    assert questions("/nodes/") == one


def test_a_hostile_name_is_only_text(browser: TestClient, session: Session) -> None:
    a_node(session, "<script>alert(1)</script>").labels = {"<script>x": "<script>y"}
    session.flush()

    page = browser.get("/nodes/").text

    assert "<script>alert" not in page
    assert "<script>x" not in page
