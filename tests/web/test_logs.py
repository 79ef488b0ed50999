"""Logs by the API: by bytes and by lines, as text, while they grow, and what stands in them."""

from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

import pytest
from sqlalchemy import delete
from tests.web.conftest import API, Agent, Live, refused, wait_until

from changes.base import clock
from changes.results import log_packing
from changes.results.models import LogChunk, LogSource
from changes.web import log_streams

HOSTILE = b"<script>alert(1)</script>\x1b]0;title\x07\n"
TEXT = b"".join(b"line %d says %d\n" % (number, number * 7) for number in range(1, 51))


@pytest.fixture
def step(live: Live, agent: Agent) -> dict[str, Any]:
    live.build()
    return agent.next()[0]


@pytest.fixture(params=["growing", "packed"])
def said(
    request: pytest.FixtureRequest,
    live: Live,
    agent: Agent,
    step: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
) -> str:
    """Where fifty lines are, while the step runs and when it is over."""
    for at in range(0, len(TEXT), 100):
        agent.append(step["id"], at, TEXT[at : at + 100])
    if request.param == "packed":
        agent.finish(step)
        monkeypatch.setattr(log_packing, "LEFT_MAX_BYTES", 0)
        log_packing.pack_all()
        with live.database.transaction() as session:
            assert session.query(LogChunk).one().packed
    return f"/jobsteps/{step['id']}/logs/console/"


# --- by bytes ----------------------------------------------------------------------------


@pytest.fixture
def log(agent: Agent, step: dict[str, Any]) -> str:
    """Three pieces of four bytes."""
    for number in range(3):
        agent.append(step["id"], 4 * number, b"ab%d\n" % number)
    return f"/jobsteps/{step['id']}/logs/console/"


@pytest.mark.parametrize(
    ("query", "texts", "next_offset"),
    [
        ({"offset": 0}, ["ab0\n", "ab1\n", "ab2\n"], 12),
        ({"offset": 0, "limit": 4}, ["ab0\n"], 4),
        ({"offset": 4, "limit": 5}, ["ab1\n", "ab2\n"], 12),
        ({"offset": 12}, [], 12),
        ({"offset": 99}, [], 99),
        ({}, ["ab0\n", "ab1\n", "ab2\n"], 12),
        ({"limit": 4}, ["ab2\n"], 12),
        ({"offset": -1, "limit": 5}, ["ab1\n", "ab2\n"], 12),
        ({"offset": 2**62}, [], 2**62),
        ({"offset": 0, "limit": 2**40}, ["ab0\n", "ab1\n", "ab2\n"], 12),
    ],
)
def test_a_log_is_read_in_parts_or_from_its_end(
    live: Live, log: str, query: dict[str, int], texts: list[str], next_offset: int
) -> None:
    told = live.get(log, **query).json()

    assert [chunk["text"] for chunk in told["chunks"]] == texts
    assert told["nextOffset"] == next_offset


def test_a_part_of_a_log_says_what_it_is_of_as_the_original_did(
    live: Live, step: dict[str, Any], log: str
) -> None:
    told = live.get(log, offset=0).json()

    source, chunk = told["source"], told["chunks"][0]
    assert set(chunk) >= {"id", "source", "text", "offset", "size"}
    assert chunk["source"] == {"id": source["id"]}
    assert (source["step"]["id"], source["step"]["attempt"]) == (step["id"], 1)
    assert [phase["result"]["id"] for phase in source["step"]["phase"]] == ["unknown"]
    assert len({each["id"] for each in told["chunks"]}) == len(told["chunks"])


@pytest.mark.parametrize("offset", [2**62 + 1, 2**70, "x"])
def test_an_offset_that_cannot_be_is_refused(live: Live, log: str, offset: object) -> None:
    assert refused(live.get(log, offset=offset), 400)["problems"] == ["offset"]


def test_a_log_belongs_to_its_job(live: Live, step: dict[str, Any], log: str) -> None:
    source = live.get(log).json()["source"]
    job_id = step["env"]["CHANGES_JOB_ID"]
    other = live.build()
    other_job = live.get(f"/builds/{other.hex}/").json()["jobs"][0]["id"]

    assert len(live.get(f"/jobs/{job_id}/logs/{source['id']}/").json()["chunks"]) == 3
    refused(live.get(f"/jobs/{other_job}/logs/{source['id']}/"), 404)


def test_a_raw_log_is_the_bytes_and_never_a_page(live: Live, agent: Agent, step: dict[str, Any]) -> None:
    agent.append(step["id"], 0, HOSTILE + b"\xff\x00")

    raw = live.get(f"/jobsteps/{step['id']}/logs/console/", raw=1)

    assert raw.content == HOSTILE + b"\xff\x00"
    assert raw.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert raw.headers["X-Content-Type-Options"] == "nosniff"
    assert raw.headers["Content-Security-Policy"] == "default-src 'none'; sandbox"


def test_a_raw_log_starts_where_one_says(live: Live, log: str) -> None:
    assert live.get(log, raw=1, offset=6).text == "1\nab2\n"


def test_a_followed_log_goes_on_until_the_step_ends(
    live: Live, agent: Agent, step: dict[str, Any], log: str, together: Callable[..., Future[Any]]
) -> None:
    source_id = live.get(log).json()["source"]["id"]
    following = together(live.get, log, raw=1, follow=1)
    wait_until(lambda: live.is_waited_for(f"log:{source_id}"))

    agent.append(step["id"], 12, b"the end\n")
    agent.finish(step)

    assert following.result().text == "ab0\nab1\nab2\nthe end\n"


def test_following_a_log_that_is_over_ends_at_once(
    live: Live, agent: Agent, step: dict[str, Any], log: str
) -> None:
    agent.finish(step)

    assert live.get(log, raw=1, follow=1).text == "ab0\nab1\nab2\n"


def test_a_log_that_nobody_has_begun_is_followed_from_its_start(
    live: Live, agent: Agent, step: dict[str, Any], together: Callable[..., Future[Any]]
) -> None:
    following = together(live.get, f"/jobsteps/{step['id']}/logs/console/", follow=1)
    wait_until(lambda: live.is_waited_for(f"build:{step['build']}"))

    agent.append(step["id"], 0, b"hello\n")
    agent.finish(step)

    assert following.result().text == "hello\n"


def test_whoever_follows_a_log_that_is_never_begun_is_let_go(
    live: Live, agent: Agent, step: dict[str, Any], together: Callable[..., Future[Any]]
) -> None:
    following = together(live.get, f"/jobsteps/{step['id']}/logs/console/", follow=1)
    wait_until(lambda: live.is_waited_for(f"build:{step['build']}"))

    agent.finish(step)

    assert following.result().text == ""
    refused(live.get(f"/jobsteps/{step['id']}/logs/console/", follow=1), 404)


@pytest.mark.usefixtures("step")
def test_whoever_may_not_read_any_more_is_not_told_what_comes(
    live: Live, log: str, together: Callable[..., Future[Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_streams, "ASKED_AGAIN_S", 0)
    monkeypatch.setattr(log_streams, "may_still_read", lambda _request: False)

    following = together(live.get, log, follow=1)

    assert following.result().text == "ab0\nab1\nab2\n"


def test_a_log_is_followed_from_one_of_its_last_lines_on(
    live: Live, agent: Agent, step: dict[str, Any], log: str
) -> None:
    agent.finish(step)

    assert live.get(log, follow=1, tail=2).text == "ab1\nab2\n"


# --- by lines ----------------------------------------------------------------------------


def numbers(told: dict[str, Any]) -> list[int]:
    return [line["number"] for line in told["lines"]]


@pytest.mark.parametrize(
    ("query", "wanted", "following"),
    [
        ({"lines": "10-12"}, [10, 11, 12], 13),
        ({"lines": "7"}, [7], 8),
        ({"lines": "48-"}, [48, 49, 50], None),
        ({"lines": "49-60"}, [49, 50], None),
        ({"lines": "60-70"}, [], None),
        ({"tail": 2}, [49, 50], None),
        ({"tail": 500}, list(range(1, 51)), None),
    ],
)
def test_lines_are_read_by_their_numbers(
    live: Live, said: str, query: dict[str, Any], wanted: list[int], following: int | None
) -> None:
    told = live.get(said, **query).json()

    assert numbers(told) == wanted
    assert (told["lineCount"], told["nextLine"]) == (50, following)
    assert [line["text"] for line in told["lines"]] == [f"line {each} says {each * 7}" for each in wanted]
    assert told["source"]["name"] == "console"


def test_lines_are_read_as_text(live: Live, said: str) -> None:
    assert live.get(said, lines="10-11", format="text").content == b"line 10 says 70\nline 11 says 77\n"
    assert live.get(said, tail=1, text=1).content == b"line 50 says 350\n"
    assert live.get(said, lines="90-", raw=1).content == b""


@pytest.mark.parametrize(
    ("query", "problem"),
    [
        ({"lines": "x"}, "lines"),
        ({"lines": "9-3"}, "lines"),
        ({"tail": 0}, "tail"),
        ({"format": "x"}, "format"),
    ],
)
def test_what_cannot_be_a_part_is_refused(live: Live, log: str, query: dict[str, Any], problem: str) -> None:
    assert refused(live.get(log, **query), 400)["problems"] == [problem]


def test_logs_of_a_step_are_listed(live: Live, agent: Agent, step: dict[str, Any]) -> None:
    for name in ("console", "kernel"):
        agent.append(step["id"], 0, b"x\n", name)

    told = live.get(f"/jobsteps/{step['id']}/logs/").json()

    assert [(log["name"], log["size"], log["isRemoved"]) for log in told["logs"]] == [
        ("console", 2, False),
        ("kernel", 2, False),
    ]


# --- as a download -----------------------------------------------------------------------


def asked_for(live: Live, path: str, wanted: str) -> Any:
    return live.http.get(f"{API}{path}?raw=1", headers={**live.admin, "Range": wanted})


def test_a_part_of_a_download_is_resumed(live: Live, said: str) -> None:
    part = asked_for(live, said, "bytes=100-199")
    rest = asked_for(live, said, "bytes=200-")
    last = asked_for(live, said, "bytes=-10")
    beyond = asked_for(live, said, "bytes=99999-")

    assert (part.status_code, part.content) == (206, TEXT[100:200])
    assert part.headers["Content-Range"] == f"bytes 100-199/{len(TEXT)}"
    assert (rest.content, last.content) == (TEXT[200:], TEXT[-10:])
    assert (beyond.status_code, beyond.headers["Content-Range"]) == (416, f"bytes */{len(TEXT)}")


def test_a_download_is_whole_and_has_a_name(live: Live, said: str) -> None:
    answer = live.get(said, download=1)

    assert answer.content == TEXT
    assert answer.headers["Content-Length"] == str(len(TEXT))
    assert answer.headers["Content-Disposition"].endswith("-1-1-console.log")
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize("gone", [100, 200, 700])
def test_what_is_missing_is_said_and_moves_nothing(
    live: Live, agent: Agent, step: dict[str, Any], gone: int
) -> None:
    for at in range(0, len(TEXT), 100):
        agent.append(step["id"], at, TEXT[at : at + 100])
    with live.database.transaction() as session:
        session.execute(delete(LogChunk).where(LogChunk.offset == gone))

    content = live.get(f"/jobsteps/{step['id']}/logs/console/", raw=1).content

    lost = min(100, len(TEXT) - gone)
    assert (content[:gone], content[gone + lost :]) == (TEXT[:gone], TEXT[gone + lost :])
    assert content[gone:].startswith(b"[%d bytes of this log are missing]" % lost)


def test_a_log_that_was_cleaned_away_says_so(live: Live, log: str) -> None:
    with live.database.transaction() as session:
        session.execute(delete(LogChunk))
        session.query(LogSource).one().date_removed = clock.now()

    told = live.get(log, tail=5).json()

    assert (told["source"]["isRemoved"], told["lines"], told["lineCount"]) == (True, [], 0)
    assert live.get(log, raw=1).content == b""


# --- what stands in it -------------------------------------------------------------------


def test_lines_that_match_are_found(live: Live, said: str) -> None:
    words = live.get(f"{said}search/", q="LINE 1").json()
    pattern = live.get(f"{said}search/", q=r"^line \d+ says 7?7$", regex=1).json()
    capitals = live.get(f"{said}search/", q="LINE", case=1).json()

    assert numbers(words) == [1, *range(10, 20)]
    assert (words["isComplete"], words["searchedTo"]) == (True, 50)
    assert [line["text"] for line in pattern["lines"]] == ["line 1 says 7", "line 11 says 77"]
    assert numbers(capitals) == []


def test_a_search_goes_on_where_it_stopped(live: Live, said: str) -> None:
    first = live.get(f"{said}search/", q="says", limit=3).json()
    second = live.get(f"{said}search/", q="says", after=first["searchedTo"], limit=2).json()

    assert (numbers(first), first["isComplete"]) == ([1, 2, 3], False)
    assert numbers(second) == [4, 5]


@pytest.mark.parametrize("query", [{}, {"q": ""}, {"q": "(", "regex": 1}, {"q": "x", "limit": 0}])
def test_what_cannot_be_looked_for_is_refused(live: Live, log: str, query: dict[str, Any]) -> None:
    refused(live.get(f"{log}search/", **query), 400)


def test_a_log_is_found_by_its_job_too(live: Live, step: dict[str, Any], log: str) -> None:
    source = live.get(log).json()["source"]

    told = live.get(f"/jobs/{step['env']['CHANGES_JOB_ID']}/logs/{source['id']}/search/", q="ab1").json()

    assert numbers(told) == [2]


def test_a_file_is_read_as_a_log(live: Live, agent: Agent, step: dict[str, Any]) -> None:
    agent.put(step["id"], "out/build.log", TEXT)
    [artifact] = live.get(f"/jobsteps/{step['id']}/artifacts/").json()["artifacts"]

    lines = live.get(f"/artifacts/{artifact['id']}/log/", lines="20-21").json()
    found = live.get(f"/artifacts/{artifact['id']}/log/search/", q="says 350").json()

    assert (numbers(lines), lines["lineCount"]) == ([20, 21], 50)
    assert lines["artifact"]["name"] == "out/build.log"
    assert numbers(found) == [50]
