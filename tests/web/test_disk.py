"""A full disk, from the far side: nothing is handed out, nothing half-taken, and it ends by itself."""

import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

import pytest
from psycopg.errors import DiskFull
from sqlalchemy.exc import OperationalError
from starlette.requests import Request
from starlette.testclient import TestClient
from tests.web.conftest import API, DEADLINE_S, Agent, Live, answered, refused

from changes.base import storage
from changes.base.db import Session
from changes.base.room import Place
from changes.results import disk, disk_use
from changes.web import errors

GB = 10**9


def watch(live: Live, free_bytes: int) -> None:
    with live.database.transaction() as session:
        disk.watch(session, [Place("/srv/changes", 100 * GB, free_bytes, 2 * GB)], quota_bytes=0)


def wait_until(seen: Callable[[], bool]) -> None:
    ends_at = time.monotonic() + DEADLINE_S
    while not seen() and time.monotonic() < ends_at:
        time.sleep(0.02)
    assert seen()


def test_an_agent_that_waits_gets_its_step_as_soon_as_there_is_room(
    live: Live, agent: Agent, together: Callable[..., Future[Any]]
) -> None:
    live.build()
    watch(live, GB)
    assert agent.next() == []
    held = together(agent.next, wait_s=60)

    watch(live, 50 * GB)

    assert len(held.result(timeout=DEADLINE_S)) == 1


def test_administrators_see_the_pause_above_every_page(live: Live) -> None:
    watch(live, GB)

    wait_until(lambda: bool(live.app.state.disk_word))
    as_admin = live.http.get("/queue/", headers=live.admin).text
    watch(live, 50 * GB)
    wait_until(lambda: not live.app.state.disk_word)

    assert "No step is handed out: only 1.0 GB are free on the disk of /srv/changes" in as_admin
    assert "Nothing is handed out, paused" in as_admin
    assert "No step is handed out" not in live.http.get("/queue/", headers=live.admin).text


@pytest.mark.parametrize("send", ["whole", "batch"])
def test_what_cannot_be_stored_is_refused_in_words_and_taken_later(
    live: Live, agent: Agent, send: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    live.build()
    step_id = agent.next()[0]["id"]
    digest = "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881"
    batch = {"files": [{"path": "a", "sha256": digest, "content": "eA=="}]}

    def put() -> Any:
        if send == "batch":
            return agent.post(f"steps/{step_id}/artifacts/", batch)
        return agent.put(step_id, "a", b"x")

    monkeypatch.setattr(storage, "LEFT_MIN_BYTES", 2**62)
    full = put()
    monkeypatch.undo()
    later = put()

    assert "is full" in refused(full, 507)["error"]
    assert full.headers["Retry-After"] == "30"
    assert later.status_code == 200


def test_a_database_without_room_says_so() -> None:
    request = Request({"type": "http", "method": "POST", "path": "/api/0/builds/", "headers": []})

    answer = errors.answer_database_away(request, OperationalError("insert", {}, DiskFull("no space")))

    assert answer.status_code == 507
    assert b"The disk of the database is full." in bytes(answer.body)


def test_the_api_tells_where_the_bytes_are(admin: TestClient, session: Session) -> None:
    disk_use.measure(session)
    disk.watch(session, [Place("/srv", 100 * GB, GB, 2 * GB)], quota_bytes=0)

    told = answered(admin.get(f"{API}/disk/")).json()

    assert told["isPaused"] is True
    assert told["why"].startswith("only 1.0 GB are free")
    assert told["places"][0]["free_min_bytes"] == 2 * GB
    assert {"artifacts", "logs"} <= {each["kind"] for each in told["kinds"]}
    assert len(told["days"]) == 1
