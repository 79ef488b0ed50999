"""The artifact store of the original's agents: what is put there becomes logs and artifacts of the step."""

import re
from collections.abc import Callable
from concurrent.futures import Future
from datetime import datetime
from typing import Any
from uuid import UUID

import httpx
import pytest
from tests.web.conftest import Live, answered, refused
from tests.web.old_wire import OldAgent, OldScheduler, a_scheduler, a_waiting_step

from changes.base import storage
from changes.base.settings import Settings
from changes.base.task import Task
from changes.builds.models import JobStep
from changes.builds.rules import Result, Status
from changes.results import collect
from changes.results.models import Artifact
from changes.results.original_store import buckets

JUNIT = b'<testsuite><testcase classname="a" name="works" time="0.5"/></testsuite>'
NO_DATE = "0001-01-01T00:00:00Z"


@pytest.fixture
def scheduler(live: Live) -> OldScheduler:
    return a_scheduler(live)


@pytest.fixture
def agent(live: Live, scheduler: OldScheduler) -> OldAgent:
    """With a bucket, before its first report."""
    a_waiting_step(live)
    agent = scheduler.take()
    assert agent.open_bucket().status_code == 200
    return agent


def kept(live: Live) -> dict[str, bytes]:
    with live.database.transaction() as session:
        found = session.query(Artifact).order_by(Artifact.name).all()
    return {each.name: b"".join(storage.storage.get().read(each.key)) for each in found}


def log_of(live: Live, agent: OldAgent, name: str = "console") -> str:
    return live.get(f"/jobsteps/{agent.step_id}/logs/{name}/", raw=1).text


def state_of(live: Live, agent: OldAgent) -> tuple[Status, Result]:
    with live.database.transaction() as session:
        step = session.get_one(JobStep, UUID(agent.step_id))
        return step.status, step.result


# --- buckets -----------------------------------------------------------------------------


def test_a_bucket_is_opened_and_closed_once(live: Live, scheduler: OldScheduler) -> None:
    a_waiting_step(live)
    agent = scheduler.take()

    opened = agent.open_bucket()
    again = agent.open_bucket()
    closed = agent.close()
    closed_again = agent.close()

    bucket = opened.json()
    assert (bucket["id"], bucket["owner"], bucket["state"]) == (agent.step_id, "changes", 1)
    assert bucket["dateClosed"] == NO_DATE
    assert datetime.fromisoformat(bucket["dateCreated"]).tzinfo is not None
    assert refused(again, 400)["error"] == "Entity exists"
    assert (closed.status_code, closed.json()["state"]) == (200, 2)
    assert refused(closed_again, 400)["error"] == "Bucket is already closed"


@pytest.mark.parametrize(
    ("told", "words"),
    [({}, "Bucket ID not provided"), ({"id": "x"}, "Bucket Owner not provided"), ({"ID": 7}, "id")],
)
def test_a_bucket_needs_id_and_owner(agent: OldAgent, told: dict[str, Any], words: str) -> None:
    assert words in refused(agent.put("/buckets/", told), 400)["error"]


def test_keys_may_be_written_in_any_case(live: Live, scheduler: OldScheduler) -> None:
    a_waiting_step(live)
    agent = scheduler.take()

    assert agent.put("/buckets/", {"ID": agent.step_id, "Owner": "changes"}).status_code == 200


@pytest.mark.parametrize("bucket", ["x", "..", "0" * 32])
def test_there_are_buckets_of_steps_only(agent: OldAgent, bucket: str) -> None:
    assert agent.put("/buckets/", {"id": bucket, "owner": "changes"}).status_code == 404


# --- files -------------------------------------------------------------------------------


def test_a_file_becomes_an_artifact_of_the_step(live: Live, agent: OldAgent) -> None:
    made = agent.announce(name="junit.xml", size=len(JUNIT), relativePath="out/junit.xml", chunked=False)
    sent = agent.send("junit.xml", JUNIT)

    told = made.json()
    assert (told["name"], told["relativePath"], told["state"]) == ("junit.xml", "out/junit.xml", 4)
    assert (told["size"], told["bucketId"], type(told["id"])) == (len(JUNIT), agent.step_id, int)
    assert (sent.status_code, sent.json()["state"]) == (200, 6)
    assert kept(live) == {"out/junit.xml": JUNIT}
    assert agent.read("/artifacts/junit.xml/content").content == JUNIT


def test_a_name_that_is_taken_gets_another(live: Live, agent: OldAgent) -> None:
    agent.upload("a.txt", b"one", "x/a.txt")
    other_folder = agent.upload("a.txt", b"two", "y/a.txt")
    same_path = agent.upload("a.txt", b"three", "x/a.txt")

    assert re.fullmatch(r"a\.txt\.dup\.[a-z0-9]{5}", other_folder["name"])
    first, dup, second = kept(live)
    assert (first, second) == ("x/a.txt", "y/a.txt")
    assert re.fullmatch(r"x/a\.txt\.dup\.[a-z0-9]{5}", dup)
    assert same_path["relativePath"] == "x/a.txt"
    assert sorted(kept(live).values()) == [b"one", b"three", b"two"]


def test_files_that_are_announced_at_once_have_names_of_their_own(
    agent: OldAgent, together: Callable[..., Future[Any]]
) -> None:
    asked = [together(agent.announce, name="a", size=1) for _ in range(6)]

    assert len({each.result().json()["name"] for each in asked}) == 6


def test_only_the_size_that_was_announced_is_taken(live: Live, agent: OldAgent) -> None:
    agent.announce(name="a", size=3)

    refused(agent.send("a", b"four"), 400)
    refused(agent.send("a", b"2b"), 400)

    assert agent.send("a", b"abc").status_code == 200
    refused(agent.send("a", b"abc"), 400)
    assert kept(live) == {"a": b"abc"}


def test_a_file_that_is_too_large_is_refused(agent: OldAgent, settings: Settings) -> None:
    object.__setattr__(settings, "max_artifact_bytes", 10)

    refused(agent.announce(name="a", size=11), 413)


@pytest.mark.parametrize(
    "told",
    [
        {"name": "a"},
        {"name": "a", "size": 0},
        {"name": "a", "size": -1},
        {"name": "a", "size": "x"},
        {"name": "a", "size": 2**70},
        {"size": 1},
        {"name": "..", "size": 1},
        {"name": "a/b", "size": 1},
        {"name": "x" * 256, "size": 1},
        {"name": "a", "size": 1, "relativePath": "../a"},
        {"name": "a", "size": 1, "relativePath": "x/../../a"},
        {"name": "a", "size": 1, "relativePath": "/etc/passwd"},
        {"name": "a", "size": 1, "relativePath": "."},
        {"name": "a", "size": 1, "relativePath": "x" * 1020},
        {"name": "a", "size": 1, "deadlineMins": -1},
        {"name": "a" * 65, "chunked": True},
    ],
)
def test_odd_announcements_are_refused(live: Live, agent: OldAgent, told: dict[str, Any]) -> None:
    refused(agent.announce(**told), 400)

    assert agent.read("/artifacts/").json() == []


def test_odd_names_of_files_arrive(live: Live, agent: OldAgent) -> None:
    agent.announce(name="\u00e9 ?#.xml", size=1, relativePath="a b/\u00e9 ?#.xml")

    answer = agent.send("%C3%A9%20%3F%23.xml", b"x")

    assert answer.status_code == 200, answer.text
    assert kept(live) == {"a b/\u00e9 ?#.xml": b"x"}


def test_a_closed_bucket_takes_nothing(agent: OldAgent) -> None:
    agent.announce(name="a", size=1)
    agent.close()

    refused(agent.announce(name="b", size=1), 400)
    refused(agent.send("a", b"x"), 400)

    (artifact,) = agent.read("/artifacts/").json()
    assert artifact["state"] == 8


def test_a_bucket_is_not_endless(agent: OldAgent, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(buckets, "ARTIFACTS_MAX", 1)

    assert agent.announce(name="a", size=1).status_code == 200
    refused(agent.announce(name="b", size=1), 400)


# --- logs --------------------------------------------------------------------------------


@pytest.fixture
def console(agent: OldAgent) -> OldAgent:
    made = agent.announce(name="console", chunked=True).json()
    assert (made["state"], made["size"], made["name"]) == (2, 0, "console")
    return agent


def test_a_log_grows_piece_by_piece(live: Live, console: OldAgent) -> None:
    sizes = [
        console.append("console", at, data).json()["size"] for at, data in ((0, b"one\n"), (4, b"two\n"))
    ]

    assert sizes == [4, 8]
    assert log_of(live, console) == "one\ntwo\n"


def test_the_last_piece_again_is_success(live: Live, console: OldAgent) -> None:
    console.append("console", 0, b"one\n")
    console.append("console", 4, b"two\n")

    again = console.append("console", 4, b"two\n")

    assert again.status_code == 200
    assert log_of(live, console) == "one\ntwo\n"


@pytest.mark.parametrize(("offset", "data"), [(0, b"xxx\n"), (2, b"e\nand"), (9, b"gap"), (4, b"two\nthree")])
def test_other_pieces_in_a_place_are_refused(live: Live, console: OldAgent, offset: int, data: bytes) -> None:
    console.append("console", 0, b"one\n")
    console.append("console", 4, b"two\n")

    assert refused(console.append("console", offset, data), 400)["error"].startswith(
        "Overlapping ranges detected"
    )
    assert log_of(live, console) == "one\ntwo\n"


@pytest.mark.parametrize(
    "piece",
    [
        {"size": 2, "bytes": "eA==", "byteoffset": 0},
        {"size": 0, "bytes": "", "byteoffset": 0},
        {"bytes": "*", "byteoffset": 0},
        {"bytes": "eA==", "byteoffset": -1},
        {"bytes": "eA==", "byteoffset": "x"},
        {"bytes": 7},
        [],
    ],
)
def test_odd_pieces_are_refused(live: Live, console: OldAgent, piece: Any) -> None:
    refused(console.put(f"{console.bucket}/artifacts/console", piece), 400)


def test_a_piece_may_be_plain_text(live: Live, console: OldAgent) -> None:
    console.put(f"{console.bucket}/artifacts/console", {"content": "caf\u00e9", "byteoffset": 0})

    assert log_of(live, console) == "caf\u00e9"


def test_the_address_of_the_step_does_not_stand_in_its_log(live: Live, console: OldAgent) -> None:
    secret = console.store.split("/")[2]

    console.append("console", 0, f"POST {console.store}/buckets/\n".encode())

    assert secret not in log_of(live, console)
    assert len(log_of(live, console)) == len(f"POST {console.store}/buckets/\n")


def test_a_log_is_read_in_chunks_without_half_characters(console: OldAgent) -> None:
    console.append("console", 0, "h\u00e9llo".encode()[:2])

    growing = console.read("/artifacts/console/chunked").json()
    console.append("console", 2, "h\u00e9llo".encode()[2:])
    console.close()
    first = console.read("/artifacts/console/chunked?limit=3").json()
    rest = console.read(f"/artifacts/console/chunked?offset={first['nextOffset']}").json()
    beyond = console.read("/artifacts/console/chunked?offset=99").json()

    assert (growing["chunks"][0]["text"], growing["nextOffset"], growing["eof"]) == ("h", 1, False)
    assert (first["chunks"][0]["text"], first["eof"]) == ("h\u00e9", False)
    assert (rest["chunks"][0]["text"], rest["eof"], rest["nextOffset"]) == ("llo", True, 6)
    assert beyond == {"chunks": [], "eof": True, "nextOffset": 6}


def test_a_log_is_closed_by_itself(console: OldAgent) -> None:
    console.append("console", 0, b"x")

    answers = [console.put(f"{console.bucket}/artifacts/console/close", {}) for _ in range(2)]

    assert [(answer.status_code, answer.json()) for answer in answers] == [(200, {})] * 2
    refused(console.append("console", 1, b"y"), 400)


def test_pieces_that_arrive_while_the_step_moves_to_its_host_are_kept(
    live: Live, console: OldAgent, together: Callable[..., Future[Any]]
) -> None:
    def append_all() -> list[int]:
        return [console.append("console", at, b"x").status_code for at in range(20)]

    appended = together(append_all)
    console.begin()

    assert appended.result() == [200] * 20
    assert log_of(live, console) == "x" * 20


# --- the end -----------------------------------------------------------------------------


def test_a_step_waits_for_the_end_of_its_log(live: Live, console: OldAgent) -> None:
    console.begin()
    console.run_all()
    console.end("passed")
    waiting = state_of(live, console)
    late = console.append("console", 0, b"the last line\n")

    console.close()
    collect.collect_step(UUID(console.step_id))

    assert waiting == (Status.COLLECTING_RESULTS, Result.PASSED)
    assert late.status_code == 200
    assert state_of(live, console) == (Status.FINISHED, Result.PASSED)
    assert log_of(live, console) == "the last line\n"


def test_closing_brings_the_reading_forward(live: Live, console: OldAgent) -> None:
    console.begin()
    console.run_all()
    console.end("passed")
    with live.database.transaction() as session:
        before = session.query(Task).one().due_at

    console.close()

    with live.database.transaction() as session:
        assert session.query(Task).one().due_at < before


def test_a_bucket_that_nobody_closes_does_not_hold_the_step(live: Live, console: OldAgent) -> None:
    console.begin()
    console.run_all()
    console.end("passed")

    collect.collect_step(UUID(console.step_id))

    assert state_of(live, console) == (Status.FINISHED, Result.PASSED)
    refused(console.append("console", 0, b"too late"), 410)


def test_reports_are_read_as_those_of_our_own_agents(live: Live, agent: OldAgent) -> None:
    agent.begin()
    agent.upload("junit.xml", JUNIT, "a/junit.xml")
    agent.upload("junit.xml", JUNIT, "a/junit.xml")
    agent.run_all()
    agent.end("passed")
    agent.close()

    collect.collect_step(UUID(agent.step_id))

    build = live.get(f"/jobsteps/{agent.step_id}/").json()["build"]["id"]
    assert live.get(f"/builds/{build}/").json()["stats"]["test_count"] == 1
    assert state_of(live, agent) == (Status.FINISHED, Result.PASSED)


# --- reading -------------------------------------------------------------------------------


def ask_for(agent: OldAgent, path: str, span: str) -> httpx.Response:
    where = f"{agent.store}{agent.bucket}/artifacts/{path}/content"
    return answered(agent.http.get(where, headers={"Range": span}))


@pytest.mark.parametrize(
    ("span", "status", "content", "told"),
    [
        ("bytes=0-3", 206, b"0123", "bytes 0-3/10"),
        ("bytes=7-", 206, b"789", "bytes 7-9/10"),
        ("bytes=7-99", 206, b"789", "bytes 7-9/10"),
        ("bytes=-2", 206, b"89", "bytes 8-9/10"),
        ("bytes=-99", 206, b"0123456789", "bytes 0-9/10"),
        ("bytes=10-", 416, b"", "bytes */10"),
        ("bytes=-0", 416, b"", "bytes */10"),
        ("bytes=5-2", 200, b"0123456789", None),
        ("bytes=0-1,4-5", 200, b"0123456789", None),
        ("bytes=-", 200, b"0123456789", None),
        ("lines=1-2", 200, b"0123456789", None),
    ],
)
def test_a_part_is_read_of_a_file_and_of_a_log(
    console: OldAgent, span: str, status: int, content: bytes, told: str | None
) -> None:
    console.upload("a.bin", b"0123456789", "out/a.bin")
    console.append("console", 0, b"0123")
    console.append("console", 4, b"456789")

    answers = [ask_for(console, name, span) for name in ("a.bin", "console")]

    assert [(each.status_code, each.content) for each in answers] == [(status, content)] * 2
    assert [each.headers.get("Content-Range") for each in answers] == [told] * 2


def test_what_is_read_is_saved_under_the_last_part_of_its_path(console: OldAgent) -> None:
    console.upload("a.xml", b"first", "one/a.xml")
    second = console.upload("a.xml", b"second", "two/a.xml")
    console.append("console", 0, b"growing")

    file = console.read(f"/artifacts/{second['name']}/content")
    log = console.read("/artifacts/console/content")

    assert file.content == b"second"
    assert file.headers["Content-Disposition"].endswith("''a.xml")
    assert (log.content, log.headers["ETag"]) == (b"growing", '"7"')


def test_what_was_announced_only_cannot_be_read(console: OldAgent) -> None:
    console.announce(chunked=False, name="later.bin", size=3)

    refused(console.read("/artifacts/later.bin/content"), 404)


def test_buckets_are_listed_to_whom_they_belong(live: Live, agent: OldAgent, scheduler: OldScheduler) -> None:
    stranger = a_scheduler(live, "another")

    lists = [
        answered(live.http.get(f"{path}/buckets")).json() for path in (f"{scheduler.path}/store", agent.store)
    ]

    assert [[each["id"] for each in found] for found in lists] == [[agent.step_id]] * 2
    assert answered(live.http.get(f"{stranger.path}/store/buckets/")).json() == []
