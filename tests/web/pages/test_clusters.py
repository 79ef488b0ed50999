"""Clusters as pages, and what the machinery lost."""

from collections.abc import Callable

import pytest
from sqlalchemy.orm import Session
from starlette.testclient import TestClient
from tests.builds import queues
from tests.builds.test_infra_failures import a_lost_step
from tests.web.conftest import answered

from changes.builds import machines
from changes.builds.queue_queries import Cluster
from changes.builds.reasons import AGENT_STOPPED


def of(name: str) -> str:
    return f"/clusters/{Cluster(name, []).id.hex}/"


def test_without_clusters_the_page_says_how_to_make_one(browser: TestClient) -> None:
    assert "No machine is in a cluster" in browser.get("/clusters/").text


def test_clusters_are_listed_with_free_slots_and_what_waits(browser: TestClient, session: Session) -> None:
    queues.a_node(session, labels={"cluster": "linux,gpu"}, slots=3)
    queues.a_queue(session, "p", 2, cluster="arm")

    page = browser.get("/clusters/").text

    assert page.count("3 of 3") == 2
    assert f'href="{of("arm")}"' in page
    assert "nobody to do it" in page


def test_a_cluster_shows_its_machines_what_waits_and_what_was_lost(
    browser: TestClient, session: Session
) -> None:
    node = queues.a_node(session, label="forge-1", labels={"cluster": "linux"})
    a_lost_step(session, node)
    machines.drain(session, queues.a_node(session, label="forge-2", labels={"cluster": "linux"}), "new disk")
    queues.a_queue(session, "waits", 2, cluster="linux")
    queues.a_node(session, label="elsewhere", labels={"cluster": "mac"})

    page = browser.get(of("linux")).text

    assert ("forge-1" in page, "elsewhere" in page) == (True, False)
    assert "drained (new disk)" in page
    assert ">Waits</a>" in page
    assert "agent lost" in page


def test_a_cluster_that_only_steps_ask_for_has_a_page(browser: TestClient, session: Session) -> None:
    queues.a_queue(session, "p", cluster="arm")

    assert "No machine belongs to it" in browser.get(of("arm")).text
    assert browser.get(of("nowhere")).status_code == 404


def test_a_hostile_name_of_a_cluster_is_only_text(browser: TestClient, session: Session) -> None:
    name = "<script>alert(1)</script>/../x"
    queues.a_node(session, labels={"cluster": name})
    queues.a_queue(session, "p", cluster=name)

    pages = [browser.get(where).text for where in ("/clusters/", of(name), "/queue/", "/nodes/")]

    assert [page for page in pages if "<script>alert" in page] == []


def test_more_machines_ask_no_more_questions(session: Session, questions: Callable[[str], int]) -> None:
    queues.a_node(session, labels={"cluster": "linux"})
    few = questions(of("linux"))
    for _ in range(3):
        a_lost_step(session, queues.a_node(session, labels={"cluster": "linux"}))

    assert questions(of("linux")) == few <= 6


# --- what was lost --------------------------------------------------------------------------


def test_when_nothing_was_lost_the_page_says_so(browser: TestClient) -> None:
    assert "Nothing was lost" in browser.get("/infra/").text


def test_losses_are_counted_and_the_newest_explained(browser: TestClient, session: Session) -> None:
    node = queues.a_node(session, label="forge-1")
    step = a_lost_step(session, node)

    page = browser.get("/infra/").text

    assert f'href="/steps/{step.id.hex}/"' in page
    assert "The agent forge-1 was not heard of for 60 seconds" in page
    assert "made again" in page


def test_losses_are_narrowed(browser: TestClient, session: Session) -> None:
    one, two = queues.a_node(session, label="one"), queues.a_node(session, label="two")
    first, second = a_lost_step(session, one), a_lost_step(session, two, AGENT_STOPPED)

    of_one = browser.get(f"/infra/?node={one.id.hex}").text
    of_reason = browser.get("/infra/?reason=agent_stopped").text

    assert (first.id.hex in of_one, second.id.hex in of_one) == (True, False)
    assert (first.id.hex in of_reason, second.id.hex in of_reason) == (False, True)


@pytest.mark.parametrize("query", ["hours=7", "hours=all", "node=x", "after=x"])
def test_a_question_that_makes_no_sense_is_refused_in_words(browser: TestClient, query: str) -> None:
    assert answered(browser.get(f"/infra/?{query}")).status_code == 400


def test_more_losses_ask_no_more_questions(session: Session, questions: Callable[[str], int]) -> None:
    node = queues.a_node(session)
    a_lost_step(session, node)
    few = questions("/infra/")
    for _ in range(3):
        a_lost_step(session, queues.a_node(session))

    assert questions("/infra/") == few <= 6
