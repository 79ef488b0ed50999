"""What administrators do with a machine on its page."""

import pytest
from sqlalchemy.orm import Session
from starlette.testclient import TestClient
from tests import factories
from tests.builds import queues
from tests.builds.test_infra_failures import a_lost_step
from tests.web.conftest import answered
from tests.web.pages.filling import fill_in

from changes.base import clock, ids
from changes.builds.models import Node
from changes.builds.queue_rules import NodeState
from changes.people import users
from changes.web.auth import COOKIE, proof_for


@pytest.fixture
def node(session: Session) -> Node:
    return queues.a_node(session, label="forge-1", cpus=8, memory_mb=4096, labels={"cluster": "linux"})


def where(node: Node) -> str:
    return f"/nodes/{node.id.hex}/"


def test_it_is_drained_with_a_reason_that_everybody_reads(
    browser: TestClient, session: Session, node: Node
) -> None:
    answer = fill_in(browser, f"{where(node)}drain/", reason="new <disk>")

    page = browser.get(where(node)).text
    assert answer.headers["Location"] == where(node)
    assert (node.state, node.state_reason) == (NodeState.DRAINED, "new <disk>")
    assert "new &lt;disk&gt;" in page
    assert "Let it work again" in page


def test_it_is_disabled_and_its_steps_are_done_elsewhere(
    browser: TestClient, session: Session, node: Node
) -> None:
    build = factories.a_build(session)
    (step,) = factories.steps_of(session, build)
    factories.give_to(session, step, node)

    fill_in(browser, f"{where(node)}disable/")

    session.refresh(step)
    assert node.state == NodeState.DISABLED
    assert step.replacement_id is not None


def test_it_is_trusted_again(browser: TestClient, session: Session, node: Node) -> None:
    node.quarantined_until, node.quarantines = clock.now(), 3
    session.flush()
    assert "one step to try" in browser.get(where(node)).text

    fill_in(browser, where(node), "/enable/")

    fresh = session.get_one(Node, node.id)
    assert (fresh.quarantined_until, fresh.quarantines) == (None, 0)


def test_its_key_is_revoked_after_a_question(browser: TestClient, session: Session, node: Node) -> None:
    fill_in(browser, f"{where(node)}revoke/")

    assert node.token_digest is None
    assert "Its key was revoked" in browser.get(where(node)).text


def test_another_key_is_asked_for_after_a_question(browser: TestClient, session: Session, node: Node) -> None:
    fill_in(browser, f"{where(node)}replace-key/")

    page = browser.get(where(node)).text
    assert (node.is_token_due, node.token_digest is not None) == (True, True)
    assert "as soon as its agent says who it is" in page
    assert "replace-key/" not in page


def test_a_key_that_was_revoked_is_not_replaced(browser: TestClient, session: Session, node: Node) -> None:
    fill_in(browser, f"{where(node)}revoke/")

    page = browser.get(where(node)).text
    proof = {"proof": proof_for(browser.cookies[COOKIE])}
    answer = answered(browser.post(f"{where(node)}replace-key/", data=proof))

    assert "replace-key/" not in page
    assert (answer.status_code, node.is_token_due) == (409, False)


def test_it_shows_what_it_offers_and_what_it_lost(browser: TestClient, session: Session, node: Node) -> None:
    a_lost_step(session, node)

    page = browser.get(where(node)).text

    assert ("4,096 MB" in page, "cluster: linux" in page) == (True, True)
    assert "agent lost" in page


@pytest.mark.parametrize("how", ["explode", "enable", "nodes"])
def test_there_is_no_page_for_anything_else(browser: TestClient, node: Node, how: str) -> None:
    assert answered(browser.get(f"{where(node)}{how}/")).status_code == 404


def test_a_machine_that_is_not_there_is_not_drained(browser: TestClient) -> None:
    assert answered(browser.get(f"/nodes/{ids.new().hex}/drain/")).status_code == 404


def test_others_are_offered_nothing_and_refused(browser: TestClient, session: Session, node: Node) -> None:
    ravi = users.create(session, "ravi@example.com")
    browser.cookies.set(COOKIE, users.open_session(session, ravi.id))
    proof = {"proof": proof_for(browser.cookies[COOKIE])}

    page = browser.get(where(node)).text
    answers = [
        browser.post(f"{where(node)}{how}/", data=proof)
        for how in ("drain", "enable", "revoke", "replace-key")
    ]

    assert "drain/" not in page
    assert [answer.status_code for answer in answers] == [403, 403, 403, 403]
    assert node.state == NodeState.ACTIVE


def test_machines_are_narrowed_on_their_page(browser: TestClient, session: Session, node: Node) -> None:
    queues.a_node(session, label="mac-1", date_last_seen=None)

    by_name, by_state = browser.get("/nodes/?query=FORGE").text, browser.get("/nodes/?state=away").text
    nobody = browser.get("/nodes/?cluster=none").text

    assert ("forge-1" in by_name, "mac-1" in by_name) == (True, False)
    assert ("forge-1" in by_state, "mac-1" in by_state) == (False, True)
    assert "No machine is like that" in nobody
