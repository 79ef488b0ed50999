"""The queue, its lines, and limits that plans share, as pages."""

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session
from starlette.testclient import TestClient
from tests import factories
from tests.builds import queues
from tests.web.conftest import answered
from tests.web.pages.filling import fill_in, only_form, send

from changes.base import ids
from changes.builds import groups
from changes.builds.models import JobStep
from changes.builds.queue_models import ConcurrencyGroup
from changes.builds.queue_rules import NodeState
from changes.people import users
from changes.web.auth import COOKIE, proof_for


def test_an_empty_queue_says_so(browser: TestClient) -> None:
    assert "Nothing waits" in browser.get("/queue/").text


def test_what_waits_is_shown_with_why_and_a_way_to_it(browser: TestClient, session: Session) -> None:
    project = queues.a_queue(session, "greedy", 3, cluster="arm", cpus=4)
    queues.a_node(session)
    session.flush()
    (lane,) = queues.lanes_of(session, project)
    first = session.execute(select(JobStep.id).order_by(JobStep.id).limit(1)).scalar_one()

    page = browser.get("/queue/").text

    assert "No machine could ever run this: none offers cluster arm." in page
    assert f'href="/steps/{first.hex}/"' in page
    assert f'href="/queue/lanes/{lane.id.hex}/"' in page
    assert ("4 cpus" in page, "cluster: arm" in page) == (True, True)


@pytest.mark.parametrize(
    ("has", "needs", "leads_to"),
    [
        ({"state": NodeState.DRAINED}, {}, "/nodes/?query="),
        ({"date_last_seen": None}, {}, "/nodes/"),
        ({}, {"cluster": "arm"}, "/projects/p/plans/"),
        ({}, {"options": {"queue.limit": "0"}}, "/projects/p/settings/"),
    ],
)
def test_what_somebody_can_do_about_it_is_one_link_away(
    browser: TestClient, session: Session, has: dict[str, Any], needs: dict[str, Any], leads_to: str
) -> None:
    queues.a_queue(session, "p", **needs)
    queues.a_node(session, **has)

    page = browser.get("/queue/").text

    assert f'<a class="nowrap" href="{leads_to}' in page


def test_who_waits_for_a_group_is_led_to_its_limit(browser: TestClient, session: Session) -> None:
    groups.set_limit(session, "staging", 0)
    build = queues.ask_for(session, queues.a_project(session, "p"))
    queues.change(session, build, data={"concurrency_group": "staging"})
    queues.a_node(session)

    assert '<a class="nowrap" href="/queue/#groups">Raise the limit' in browser.get("/queue/").text


@pytest.mark.parametrize(
    ("query", "shown"),
    [
        ("project=two", {"two"}),
        ("cluster=arm", {"one"}),
        ("reason=never", {"one"}),
        ("reason=next", {"two"}),
        ("reason=limit", set()),
        ("reason=nonsense", set()),
        ("project=%00%3Cscript%3E", set()),
    ],
)
def test_the_queue_is_narrowed(browser: TestClient, session: Session, query: str, shown: set[str]) -> None:
    queues.a_queue(session, "one", cluster="arm")
    queues.a_queue(session, "two")
    queues.a_node(session)

    answer = answered(browser.get(f"/queue/?{query}"))

    if answer.status_code == 200:
        lines = answer.text.partition("Who holds the machines")[0]
        assert {slug for slug in ("one", "two") if f">{slug.title()}</a>" in lines} == shown
    assert "<script>" not in answer.text


def test_who_holds_the_machines_is_shown_against_limits(browser: TestClient, session: Session) -> None:
    project = queues.a_project(session, "limited", options={"queue.limit": "1"})
    queues.ask_for(session, project)
    queues.hand_out(session, queues.a_node(session))

    page = browser.get("/queue/").text

    assert 'href="/projects/limited/"' in page
    assert "at its limit" in page


def test_more_that_waits_asks_no_more_questions(session: Session, questions: Callable[[str], int]) -> None:
    queues.a_queue(session, "p0")
    queues.a_node(session)
    one = questions("/queue/")
    for number in range(1, 4):
        queues.a_queue(session, f"p{number}", 3, cluster=f"c{number}")

    assert questions("/queue/") == one <= 4


def test_a_line_shows_its_steps_in_order_page_by_page(browser: TestClient, session: Session) -> None:
    project = queues.a_queue(session, "p", 60)
    session.flush()
    (lane,) = queues.lanes_of(session, project)
    steps = list(session.execute(select(JobStep.id).order_by(JobStep.id)).scalars())
    here = f"/queue/lanes/{lane.id.hex}/"

    first = browser.get(here).text
    second = browser.get(f"{here}?after={steps[49].hex}").text
    back = browser.get(f"{here}?before={steps[50].hex}").text

    assert f"/steps/{steps[0].hex}/" in first
    assert f"after={steps[49].hex}" in first
    assert f"/steps/{steps[50].hex}/" in second
    assert f"/steps/{steps[49].hex}/" not in second
    assert f"/steps/{steps[0].hex}/" in back


def test_a_line_in_which_nothing_waits_any_more_says_so(browser: TestClient, session: Session) -> None:
    project = queues.a_queue(session, "p")
    queues.hand_out(session, queues.a_node(session))
    (lane,) = queues.lanes_of(session, project)

    page = answered(browser.get(f"/queue/lanes/{lane.id.hex}/"))

    assert "Nothing waits here any more" in page.text
    assert browser.get(f"/queue/lanes/{ids.new().hex}/").status_code == 404


def test_more_steps_of_a_line_ask_no_more_questions(
    session: Session, questions: Callable[[str], int]
) -> None:
    project = queues.a_queue(session, "p", 3)
    queues.a_node(session)
    (lane,) = queues.lanes_of(session, project)
    few = questions(f"/queue/lanes/{lane.id.hex}/")
    queues.more_of(session, session.query(JobStep).limit(1).one(), 20)

    assert questions(f"/queue/lanes/{lane.id.hex}/") == few <= 8


def test_administrators_limit_a_group_and_lift_the_limit(browser: TestClient, session: Session) -> None:
    form = only_form(browser, "/queue/", "/queue/groups/")

    answer = send(browser, form, name="staging", limit="2")
    lifted = fill_in(browser, "/queue/", "/queue/groups/remove/")

    assert answer.headers["Location"] == "/queue/#groups"
    assert lifted.status_code == 303
    assert session.execute(select(ConcurrencyGroup)).first() is None


@pytest.mark.parametrize("limit", ["", "-1", "many", "99999", "٣"])
def test_a_limit_that_is_no_number_is_told_beside_its_field(browser: TestClient, limit: str) -> None:
    form = only_form(browser, "/queue/", "/queue/groups/")

    answer = send(browser, form, name="staging", limit=limit)

    assert (answer.status_code, 'id="limit-error"' in answer.text) == (400, True)
    assert 'value="staging"' in answer.text


def test_others_see_the_limits_and_set_none(browser: TestClient, session: Session) -> None:
    groups.set_limit(session, "staging", 1)
    ravi = users.create(session, "ravi@example.com")
    browser.cookies.set(COOKIE, users.open_session(session, ravi.id))

    page = browser.get("/queue/").text
    proof = {"proof": proof_for(browser.cookies[COOKIE])}
    answer = browser.post("/queue/groups/", data={**proof, "name": "staging", "limit": "9"})

    assert ("staging" in page, "/queue/groups/" in page) == (True, False)
    assert answer.status_code == 403


def test_a_step_that_waits_says_why_on_its_page(browser: TestClient, session: Session) -> None:
    build = queues.ask_for(session, queues.a_project(session, "p", cluster="arm"))
    queues.a_node(session)
    (step,) = factories.steps_of(session, build)

    page = browser.get(f"/steps/{step.id.hex}/").text

    assert "none offers cluster arm" in page
    assert "Its line in the queue" in page
