"""/queue/, why things wait, machines and clusters, through the API."""

from collections.abc import Callable
from concurrent.futures import Future
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy.orm import Session
from starlette.testclient import TestClient
from tests import factories
from tests.builds import queues
from tests.builds.test_infra_failures import a_lost_step
from tests.web.conftest import API, Live, refused, wait_until

from changes.base import clock, ids
from changes.builds.reasons import AGENT_LOST, AGENT_STOPPED


def test_the_queue_is_shown_by_lane(reader: TestClient, session: Session) -> None:
    queues.a_queue(session, "p", 3, cluster="linux", cpus=2)

    told = reader.get(f"{API}/queue/").json()

    (lane,) = [each for each in told["lanes"] if each["project"] == "p"]
    assert (lane["waiting"], lane["cluster"], lane["cpus"], lane["priority"]) == (3, "linux", 2, "default")
    assert told["steps"]["pending_allocation"] >= 3
    assert told["priorities"][0]["waiting"] >= 3


def test_a_step_says_why_it_waits(reader: TestClient, session: Session) -> None:
    build = queues.ask_for(session, queues.a_project(session, "p", cluster="nowhere"))
    queues.a_node(session)
    (step,) = factories.steps_of(session, build)

    told = reader.get(f"{API}/jobsteps/{step.id.hex}/waiting/").json()

    assert told["block"] == "never"
    assert told["missing"] == ["cluster nowhere"]
    assert reader.get(f"{API}/builds/{build.id.hex}/waiting/").json() == [told]


def test_a_step_that_waits_for_no_agent_says_nothing(reader: TestClient, session: Session) -> None:
    build = factories.a_build(session)
    (step,) = factories.steps_of(session, build)
    factories.give_to(session, step, factories.a_node(session))

    assert reader.get(f"{API}/jobsteps/{step.id.hex}/waiting/").json() is None
    assert reader.get(f"{API}/builds/{build.id.hex}/waiting/").json() == []


@pytest.mark.parametrize("path", ["jobsteps/{id}/waiting/", "builds/{id}/waiting/"])
def test_what_is_not_there_does_not_wait(reader: TestClient, path: str) -> None:
    refused(reader.get(f"{API}/{path.format(id=ids.new().hex)}"), 404)


def test_a_priority_is_changed_while_a_build_waits(writer: TestClient, session: Session) -> None:
    build = factories.a_build(session)

    told = writer.post(f"{API}/builds/{build.id.hex}/priority/", json={"priority": "high"}).json()

    assert told["priority"] == "high"
    refused(writer.post(f"{API}/builds/{build.id.hex}/priority/", json={"priority": "higher"}), 400)


def test_the_limit_of_a_group_is_set_shown_and_lifted(admin: TestClient) -> None:
    admin.post(f"{API}/queue/groups/", json={"name": "db", "limit": 2})
    changed = admin.post(f"{API}/queue/groups/", json={"name": "db", "limit": 3}).json()

    assert changed == [{"name": "db", "limit": 3, "held": 0}]
    assert admin.delete(f"{API}/queue/groups/db/").status_code == 204
    assert admin.get(f"{API}/queue/groups/").json() == []


def test_a_machine_is_drained_disabled_and_enabled(admin: TestClient, session: Session) -> None:
    node = queues.a_node(session, label="n1")
    where = f"{API}/nodes/{node.id.hex}"

    drained = admin.post(f"{where}/drain/", json={"reason": "new disk"}).json()
    disabled = admin.post(f"{where}/disable/").json()
    enabled = admin.post(f"{where}/enable/").json()

    assert (drained["state"], drained["stateReason"]) == ("drained", "new disk")
    assert (disabled["state"], enabled["state"]) == ("disabled", "active")


def test_a_machine_is_found_by_its_name_with_clusters_and_losses(
    reader: TestClient, session: Session
) -> None:
    queues.a_node(session, label="n1", labels={"cluster": "linux,gpu"}, cpus=4)

    told = reader.get(f"{API}/nodes/hostname/n1/").json()

    assert [each["name"] for each in told["clusters"]] == ["gpu", "linux"]
    assert (told["cpus"], told["isLive"], told["losses"], told["infraFailures"]) == (4, True, [], 0)


def test_what_came_back_from_a_stopped_agent_is_no_loss_of_its_machine(
    reader: TestClient, session: Session
) -> None:
    node = queues.a_node(session, label="n1")
    for why in (AGENT_LOST, AGENT_STOPPED, AGENT_STOPPED):
        a_lost_step(session, node, why)

    assert reader.get(f"{API}/nodes/hostname/n1/").json()["infraFailures"] == 1


def test_a_machine_says_that_it_is_in_quarantine(reader: TestClient, session: Session) -> None:
    until = clock.now() + timedelta(minutes=5)
    node = queues.a_node(session, quarantined_until=until, quarantines=2)

    told = reader.get(f"{API}/nodes/{node.id.hex}/").json()["quarantine"]

    assert (told["isOnTrial"], told["times"]) == (False, 2)


def test_a_machine_lists_the_jobs_it_worked_on(reader: TestClient, session: Session) -> None:
    node, build = queues.a_node(session), factories.a_build(session)
    (step,) = factories.steps_of(session, build)
    factories.give_to(session, step, node)

    told = reader.get(f"{API}/nodes/{node.id.hex}/jobs/").json()

    assert [each["id"] for each in told] == [step.job_id.hex]


def test_clusters_are_what_machines_say_they_belong_to(reader: TestClient, session: Session) -> None:
    queues.a_node(session, label="n1", labels={"cluster": "c-linux"})
    queues.a_node(session, label="n2", labels={"cluster": "c-linux"})

    (told,) = [each for each in reader.get(f"{API}/clusters/").json() if each["name"] == "c-linux"]

    assert told["numNodes"] == 2
    assert reader.get(f"{API}/clusters/{told['id']}/").json() == told
    members = reader.get(f"{API}/clusters/c-linux/nodes/").json()
    assert [each["name"] for each in members] == ["n1", "n2"]


def test_jobs_that_the_machinery_failed_are_listed(reader: TestClient) -> None:
    assert reader.get(f"{API}/admin_dash/infra_fail_jobs/").json() == {"recent": []}


def test_raising_a_limit_wakes_an_agent_that_waits(live: Live, together: Callable[..., Future[Any]]) -> None:
    with live.database.transaction() as session:
        queues.a_queue(session, "p", options={"queue.limit": "0"})
    held = together(live.agent().next, wait_s=20)
    wait_until(lambda: len(live.app.state.room) == 1)

    live.post("/projects/p/options/", **{"queue.limit": "1"})

    assert len(held.result()) == 1


def test_the_end_of_a_step_wakes_an_agent_that_waits_for_its_limit(
    live: Live, together: Callable[..., Future[Any]]
) -> None:
    with live.database.transaction() as session:
        queues.a_queue(session, "p", 2, options={"queue.limit": "1"})
    first, second = live.agent("first"), live.agent("second")
    (offer,) = first.next()
    held = together(second.next, wait_s=20)
    wait_until(lambda: len(live.app.state.room) == 1)

    first.finish(offer)

    assert len(held.result()) == 1


def test_a_drained_machine_is_let_go_and_gets_nothing(
    live: Live, together: Callable[..., Future[Any]]
) -> None:
    agent = live.agent()
    held = together(agent.next, wait_s=20)
    wait_until(lambda: len(live.app.state.room) == 1)

    live.post(f"/nodes/{UUID(agent.node_id).hex}/drain/")
    live.build()

    assert held.result() == []
    assert agent.next() == []
