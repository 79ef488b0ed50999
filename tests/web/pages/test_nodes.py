"""The machines that run builds."""

import re
from collections.abc import Callable
from datetime import timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session
from starlette.testclient import TestClient
from tests import work
from tests.builds import queues
from tests.factories import a_build, a_node, a_project, give_to
from tests.finished import end_step
from tests.web.conftest import first_step

from changes.base import clock, ids
from changes.builds.models import Node
from changes.builds.rules import Result


def test_without_machines_the_page_says_how_to_get_one(browser: TestClient) -> None:
    assert "changes agent-token" in browser.get("/nodes/").text


def test_a_machine_shows_how_many_steps_it_holds(browser: TestClient, session: Session) -> None:
    node = a_node(session, "builder-7")
    node.date_last_seen = clock.now()
    give_to(session, first_step(session, a_build(session)), node)

    page = browser.get("/nodes/").text

    assert "builder-7" in page
    assert "1 of 2" in page
    assert ">away<" not in page


def test_a_silent_machine_is_away(browser: TestClient, session: Session) -> None:
    a_node(session).date_last_seen = clock.now() - timedelta(hours=1)
    session.flush()

    assert ">away<" in browser.get("/nodes/").text


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


def test_a_machine_tells_how_much_of_its_time_it_worked(browser: TestClient, session: Session) -> None:
    project = work.a_project(session, "server")
    work.count(session, [work.an_ended_build(session, project)])
    node = session.execute(select(Node)).scalar_one()
    node.date_created = clock.now() - timedelta(seconds=work.STEP_S)

    page = browser.get(f"/nodes/{node.id.hex}/").text

    # Two slots, one of which worked since the machine is known.
    assert "30 s, 50 % of its slots&#39; time" in page
    assert 'aria-label="Time of work of each day"' in page


def test_a_machine_shows_what_it_runs_and_what_it_ran(browser: TestClient, session: Session) -> None:
    node = a_node(session, "builder-7")
    node.date_last_seen = clock.now()
    now, before = (first_step(session, a_build(session, a_project(session, slug))) for slug in ("one", "two"))
    for step in (now, before):
        give_to(session, step, node)
    end_step(session, before, Result.FAILED)

    page = browser.get(f"/nodes/{node.id.hex}/").text
    runs_now, _, ran = page.partition("Steps it worked on")

    assert f"/steps/{now.id.hex}/" in runs_now
    assert f"/steps/{before.id.hex}/" not in runs_now
    assert f"/steps/{before.id.hex}/" in ran
    assert "/projects/two/builds/1/" in ran
    assert "1 of 2" in page


def test_a_machine_shows_what_waits_for_what_it_could_run(browser: TestClient, session: Session) -> None:
    node = queues.a_node(session, labels={"cluster": "macos"}, date_last_seen=clock.now() - timedelta(days=2))
    queues.a_queue(session, "ios", 3, cluster="macos")
    queues.a_queue(session, "web", 1, cluster="linux")

    page = browser.get(f"/nodes/{node.id.hex}/").text

    assert "3 steps that it could run wait: start its agent" in page
    assert re.findall(r"data-item>(\w+)</a>[^/]*cluster: macos", page) == ["Ios"]
    assert "cluster: linux" not in page


def test_a_machine_that_never_worked_says_so(browser: TestClient, session: Session) -> None:
    page = browser.get(f"/nodes/{a_node(session).id.hex}/").text

    assert "It has not worked yet" in page
    assert "was not heard of yet" in page


def test_a_machine_without_its_key_says_so(browser: TestClient, session: Session) -> None:
    node = a_node(session)
    node.token_digest = None
    session.flush()

    assert "Its key was revoked" in browser.get(f"/nodes/{node.id.hex}/").text


def test_a_machine_that_does_not_exist_is_a_page_that_says_so(browser: TestClient) -> None:
    assert browser.get(f"/nodes/{ids.new().hex}/").status_code == 404


def test_more_steps_of_a_machine_ask_no_more_questions(
    session: Session, questions: Callable[[str], int]
) -> None:
    node = a_node(session)
    where = f"/nodes/{node.id.hex}/"
    give_to(session, first_step(session, a_build(session)), node)
    one = questions(where)
    for _ in range(3):
        give_to(session, first_step(session, a_build(session)), session.get_one(Node, node.id))

    assert questions(where) == one <= 8


def test_a_machine_whose_key_two_agents_use_says_so(browser: TestClient, session: Session) -> None:
    node = a_node(session)
    node.date_twin_heard = clock.now()
    session.flush()

    page = browser.get(f"/nodes/{node.id.hex}/").text

    assert "Two agents say that they are this machine" in page


def test_a_machine_that_takes_no_steps_says_why(browser: TestClient, session: Session) -> None:
    node = a_node(session)
    node.problem = "The disk has 3 MB left."
    session.flush()

    page = browser.get(f"/nodes/{node.id.hex}/").text

    assert "It takes no steps for now: The disk has 3 MB left." in page
    assert "Key made" in page
