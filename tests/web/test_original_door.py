"""Who is let in by an address: nobody without one, and each only where it was made for."""

from uuid import uuid4

import pytest
import structlog
from fastapi.routing import APIRoute
from starlette.testclient import TestClient
from tests.web.conftest import Live, answered, refused
from tests.web.old_wire import OldAgent, OldScheduler, a_scheduler, a_waiting_step

from changes.base.settings import Settings
from changes.builds.original.models import KeyUse, OriginalKey
from changes.web.api import original, original_store

ROUTES = [
    (method, route.path)
    for part in (original, original_store)
    for route in part.api.routes
    if isinstance(route, APIRoute)
    for method in sorted(route.methods or ())
]
FORGED = [
    "chg_wrong",
    "-",
    "step_",
    f"step_{'a' * 32}_{'b' * 32}_{'c' * 64}",
    "%00",
    "x" * 5000,
]


def address(path: str, capability: str) -> str:
    filled = path.replace("{capability}", capability).replace("{bucket}", uuid4().hex).replace("{name}", "a")
    for name in ("step_id", "command_id", "image_id"):
        filled = filled.replace(f"{{{name}:uuid}}", uuid4().hex)
    return filled


@pytest.mark.parametrize("capability", FORGED)
def test_without_a_key_nothing_opens(client: TestClient, capability: str) -> None:
    statuses = {
        answered(
            client.request(method, address(path, capability), content=b"{}" if method == "POST" else None)
        ).status_code
        for method, path in ROUTES
    }

    assert len(ROUTES) > 25
    assert statuses <= {403, 404}
    assert 403 in statuses or capability == "%00"


def test_nothing_is_read_from_strangers(client: TestClient) -> None:
    answer = client.post("/original/chg_wrong/api/0/jobsteps/allocate/", content=b"x" * 2_000_000)

    assert answer.status_code == 403


@pytest.fixture
def taken(live: Live) -> tuple[OldScheduler, OldAgent]:
    scheduler = a_scheduler(live)
    a_waiting_step(live)
    return scheduler, scheduler.take()


def test_the_address_of_a_step_takes_no_steps(live: Live, taken: tuple[OldScheduler, OldAgent]) -> None:
    _, agent = taken
    step_id = a_waiting_step(live)
    as_scheduler = OldScheduler(live.http, agent.server.removesuffix("/api/0"))

    refused(as_scheduler.get("/jobsteps/allocate/"), 403)
    refused(as_scheduler.allocate(step_id), 403)
    refused(as_scheduler.post("/jobsteps/needs_abort/", {"jobstep_ids": [agent.step_id]}), 403)
    refused(as_scheduler.post(f"/jobsteps/{agent.step_id}/deallocate/", {}), 403)


def test_an_address_for_agents_runs_what_a_scheduler_took_and_takes_nothing(
    live: Live, taken: tuple[OldScheduler, OldAgent]
) -> None:
    _, agent = taken
    waiting = a_waiting_step(live)
    shared = a_scheduler(live, "shared", KeyUse.AGENT)
    with_it = OldAgent(live.http, agent.step_id, f"{shared.path}/api/0", f"{shared.path}/store")

    assert with_it.begin().status_code == 200
    assert with_it.open_bucket().status_code == 200
    refused(shared.allocate(waiting), 403)
    refused(shared.get("/jobsteps/allocate/"), 403)


def test_a_step_of_an_agent_of_ours_is_not_theirs(live: Live) -> None:
    a_waiting_step(live)
    (offer,) = live.agent().next()
    shared = a_scheduler(live, "shared", KeyUse.AGENT)

    answer = shared.post(f"/jobsteps/{offer['id']}/", {"status": "finished", "result": "passed"})

    refused(answer, 404)


def test_a_key_that_was_revoked_opens_nothing(live: Live, taken: tuple[OldScheduler, OldAgent]) -> None:
    scheduler, agent = taken
    with live.database.transaction() as session:
        key_id = session.query(OriginalKey).one().id

    told = answered(live.http.delete(f"/api/0/original-keys/{key_id.hex}/", headers=live.admin)).json()

    assert told["dateRevoked"] is not None
    refused(scheduler.get("/jobsteps/allocate/"), 403)
    refused(agent.heartbeat(), 403)
    refused(agent.open_bucket(), 403)
    assert live.get("/nodes/hostname/mesos/").json()["isRevoked"] is True


def test_an_address_of_a_step_is_signed_by_this_server(
    live: Live, taken: tuple[OldScheduler, OldAgent], settings: Settings
) -> None:
    _, agent = taken
    object.__setattr__(settings, "secret_key", "another key of sixteen characters or more")

    refused(agent.heartbeat(), 403)


def test_the_address_is_told_once_and_kept_as_a_digest(live: Live) -> None:
    made = live.post("/original-keys/", name="mesos").json()

    secret = made["url"].rpartition("/")[2]
    (listed,) = live.get("/original-keys/").json()
    assert made["url"] == f"http://changes.test/original/{secret}"
    assert "url" not in listed
    assert (listed["name"], listed["use"], listed["dateLastUsed"]) == ("mesos", "allocate", None)
    with live.database.transaction() as session:
        assert secret not in session.query(OriginalKey.digest).scalar()
    assert OldScheduler(live.http, f"/original/{secret}").waiting() == []
    assert live.get("/original-keys/").json()[0]["dateLastUsed"] is not None


@pytest.mark.parametrize("name", ["", " ", "x" * 101, "a\nb"])
def test_a_key_has_a_name(live: Live, name: str) -> None:
    refused(live.post("/original-keys/", name=name), 400)


def test_an_address_is_not_in_the_log(live: Live, taken: tuple[OldScheduler, OldAgent]) -> None:
    scheduler, agent = taken
    paths = [scheduler.path, agent.server.removesuffix("/api/0")]

    with structlog.testing.capture_logs() as lines:
        for path in paths:
            live.http.get(f"{path}/api/0/jobsteps/{agent.step_id}/")
            live.http.get(f"{path}/no/such/thing")

    assert [line["path"].startswith("/original/.../") for line in lines] == [True] * 4
    assert not [path for path in paths if path.rpartition("/")[2] in str(lines)]
