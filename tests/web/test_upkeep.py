"""Background tasks, infra failures, machines and figures of the system, through the API."""

from datetime import timedelta

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session
from starlette.testclient import TestClient
from tests import factories
from tests.base.test_task_health import a_task
from tests.builds import queues
from tests.builds.test_infra_failures import a_lost_step
from tests.web.conftest import API, refused

from changes.base import clock, ids
from changes.base.task import TaskState
from changes.builds.models import JobStep


def test_tasks_are_found_by_the_thing_they_work_on_and_by_having_failed(
    reader: TestClient, session: Session
) -> None:
    mine, dead = a_task(session), a_task(session, TaskState.FAILED)

    of_thing = reader.get(f"{API}/tasks/?object_id={mine.child_id.hex}").json()
    failed = reader.get(f"{API}/tasks/?state=failed").json()

    assert [each["id"] for each in of_thing] == [mine.id.hex]
    assert [each["id"] for each in failed] == [dead.id.hex]
    refused(reader.get(f"{API}/tasks/?object_id=x"), 400)


def test_a_task_is_shown_with_all_below_it(reader: TestClient, session: Session) -> None:
    top = a_task(session)
    child = a_task(session, parent_id=top.id)
    below = a_task(session, parent_id=child.id)

    told = reader.get(f"{API}/tasks/{top.id.hex}/").json()

    assert told["children"][0]["id"] == child.id.hex
    assert told["children"][0]["children"][0]["id"] == below.id.hex
    refused(reader.get(f"{API}/tasks/{ids.new().hex}/"), 404)


def test_unfinished_tasks_are_counted_by_name_and_state(reader: TestClient, session: Session) -> None:
    for attempts in (1, 4):
        a_task(session, attempts=attempts)
    a_task(session, TaskState.FINISHED)

    told = reader.get(f"{API}/task_stats/").json()

    assert told["results.collect"]["waiting"]["count"] == 2
    assert told["results.collect"]["all"]["max_retries"] == 4
    assert told["all"]["all"]["count"] == 2


def test_a_dead_task_is_tried_again_or_forgotten(admin: TestClient, session: Session) -> None:
    one, other = a_task(session, TaskState.FAILED), a_task(session, TaskState.FAILED)

    tried = admin.post(f"{API}/tasks/{one.id.hex}/again/").json()
    forgotten = admin.delete(f"{API}/tasks/{other.id.hex}/")

    assert (tried["state"], forgotten.status_code) == ("waiting", 204)
    refused(admin.post(f"{API}/tasks/{one.id.hex}/again/"), 409)
    refused(admin.delete(f"{API}/tasks/{other.id.hex}/"), 404)


def test_losses_are_told_by_machine_and_reason(reader: TestClient, session: Session) -> None:
    step = a_lost_step(session, queues.a_node(session, label="forge-1"))

    told = reader.get(f"{API}/infra_failures/?node=forge-1").json()

    assert [(each["node"]["name"], each["count"]) for each in told["groups"]] == [("forge-1", 1)]
    assert told["recent"][0]["id"] == step.id.hex
    assert "not heard of" in told["recent"][0]["text"]
    refused(reader.get(f"{API}/infra_failures/?node=nobody"), 404)
    refused(reader.get(f"{API}/infra_failures/?hours=0"), 400)


def test_the_last_day_is_counted_by_status_and_result(reader: TestClient, session: Session) -> None:
    before = counted(reader)
    factories.a_build(session, plans=2)

    after = counted(reader)

    assert [now - then for now, then in zip(after, before, strict=True)] == [1, 2]


def counted(reader: TestClient) -> list[int]:
    told = reader.get(f"{API}/systemstats/").json()
    assert {each["name"] for each in told["resultCounts"]} >= {"passed", "infra_failed"}
    waiting = next(each for each in told["statusCounts"] if each["name"] == "pending_allocation")
    builds = sum(each["numBuilds"] for each in told["statusCounts"])
    return [builds, waiting["numJobSteps"]]


def test_machines_are_listed_by_state_and_by_when_they_were_seen(
    reader: TestClient, session: Session
) -> None:
    queues.a_node(session, label="old", date_last_seen=clock.now() - timedelta(days=3))
    queues.a_node(session, label="new")

    def names(query: str) -> list[str]:
        return [each["name"] for each in reader.get(f"{API}/nodes/?{query}").json()]

    assert (names("since=1"), names("state=away"), names("query=e")) == (["new"], ["old"], ["new"])
    refused(reader.get(f"{API}/nodes/?state=asleep"), 400)


def test_a_machine_is_taken_off_line_and_back_as_the_original_had_it(
    admin: TestClient, session: Session
) -> None:
    where = f"{API}/nodes/{queues.a_node(session).id.hex}/status/"

    told = [admin.get(where).json()]
    told += [admin.post(f"{where}?toggle=1").json() for _ in range(2)]

    assert told == [{"offline": False}, {"offline": True}, {"offline": False}]


@pytest.mark.parametrize("name", ["forge/1", "a b", "ä#?"])
def test_a_machine_and_a_group_of_any_name_are_found(admin: TestClient, session: Session, name: str) -> None:
    queues.a_node(session, label=name)
    admin.post(f"{API}/queue/groups/", json={"name": name, "limit": 1})
    quoted = name.replace("/", "%2F").replace(" ", "%20").replace("#", "%23").replace("?", "%3F")

    assert admin.get(f"{API}/nodes/hostname/{quoted}/").json()["name"] == name
    assert admin.delete(f"{API}/queue/groups/{quoted}/").status_code == 204


def test_the_queue_says_of_each_lane_why_it_waits_and_is_narrowed(
    reader: TestClient, session: Session
) -> None:
    queues.a_queue(session, "one", cluster="arm")
    queues.a_queue(session, "two")
    queues.a_node(session)

    told = reader.get(f"{API}/queue/?project=one").json()

    (lane,) = told["lanes"]
    assert (lane["project"], lane["block"], told["laneCount"]) == ("one", "never", 2)
    assert "none offers cluster arm" in lane["text"]


def test_the_steps_of_a_lane_are_told_in_order(reader: TestClient, session: Session) -> None:
    project = queues.a_queue(session, "p", 3)
    (lane,) = queues.lanes_of(session, project)
    steps = list(session.execute(select(JobStep.id).order_by(JobStep.id)).scalars())

    told = reader.get(f"{API}/queue/lanes/{lane.id.hex}/steps/").json()

    assert [each["id"] for each in told] == [step.hex for step in steps]
    refused(reader.get(f"{API}/queue/lanes/{ids.new().hex}/steps/"), 404)
