"""Open pages are told what changed, soon and not too often, and cost nothing while nothing does."""

import asyncio
import http.client
import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, NoReturn
from urllib.parse import urlencode
from uuid import UUID

import httpx
import psycopg
import pytest
import uvicorn
from fastapi import FastAPI
from starlette.testclient import TestClient
from tests.conftest import copy_of_template
from tests.factories import a_build, a_node, a_token, as_caller
from tests.web.conftest import API, DEADLINE_S, Agent, connections_in_use, refused, wait_until

from changes.app import server
from changes.base import bell, clock, db
from changes.base.settings import Settings
from changes.builds import agent_keys, cancel, nodes
from changes.builds.models import Build
from changes.people.rules import Scope
from changes.web import live as product
from changes.web.live_log import FollowedLog, FollowedLogs
from changes.web.log_lines import LINES_MAX, Place

AN_ID, NOBODY = "0" * 32, "f" * 32


# --- what may be asked ---------------------------------------------------------------------


@pytest.mark.parametrize(
    "topic", ["steps", "build:", "build:XYZ", f"stop:{AN_ID}", f"build:{AN_ID} x", "builds"]
)
def test_only_topics_of_pages_can_be_followed(reader: TestClient, topic: str) -> None:
    refused(reader.get("/live", params={"topic": topic}), 400)


def test_a_page_follows_a_bounded_number_of_topics(reader: TestClient) -> None:
    refused(reader.get("/live", params={"topic": [f"build:{AN_ID}"] * 21}), 400)


@pytest.mark.parametrize("asked", [{"since": "nan"}, {"log": "console"}, {"offset": -1}, {"line": 0}])
def test_a_place_must_be_one(reader: TestClient, asked: dict[str, Any]) -> None:
    refused(reader.get("/live", params=asked), 400)


def test_a_stranger_is_turned_away_and_not_led_to_a_form(client: TestClient) -> None:
    refused(client.get("/live", params={"topic": "projects"}), 401)


# --- the stream ----------------------------------------------------------------------------


@dataclass
class Stream:
    """An open page, without the page."""

    connection: http.client.HTTPConnection
    wire: socket.socket
    events: list[tuple[str, Any]] = field(default_factory=list)
    is_over: bool = False

    def read(self, answer: http.client.HTTPResponse) -> None:
        name = ""
        with suppress(OSError, http.client.HTTPException, ValueError):
            for line in answer:
                kind, _, value = line.decode().rstrip("\n").partition(": ")
                if kind == "event":
                    name = value
                elif kind == "data":
                    self.events.append((name, json.loads(value)))
        self.is_over = True
        answer.close()
        self.connection.close()

    def told(self, name: str) -> list[Any]:
        return [data for each, data in self.events if each == name]

    def changed(self) -> set[str]:
        return {topic for topics in self.told("changed") for topic in topics}

    def cut(self) -> None:
        """As a closed tab does."""
        with suppress(OSError):
            self.wire.shutdown(socket.SHUT_RDWR)


class Served:
    """A web process that streams, which the usual test client cannot."""

    def __init__(self, app: FastAPI, database: db.Database, port: int) -> None:
        self.app, self.database, self.port = app, database, port
        self.bell: bell.Bell = app.state.bell
        self.http = httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=90)
        with database.transaction() as session:
            self.key = as_caller(a_token(session, Scope.READ))
        self.others: int = self.bell.follower_count
        self.streams: list[tuple[Stream, threading.Thread]] = []

    def open_pages(self) -> int:
        """Others of the process follow topics, too, as long as it lives."""
        return self.bell.follower_count - self.others

    def open(self, *topics: str, since: float | None = None, **asked: Any) -> Stream:
        """Follows from now on."""
        before = self.open_pages()
        since = clock.now().timestamp() + 60 if since is None else since
        asked |= {"topic": topics, "since": since}
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)
        connection.request("GET", f"/live?{urlencode(asked, doseq=True)}", headers=self.key)
        wire = connection.sock
        answer = connection.getresponse()
        assert answer.status == 200
        assert answer.headers["Content-Type"].startswith("text/event-stream")
        stream = Stream(connection, wire)
        thread = threading.Thread(target=stream.read, args=[answer])
        thread.start()
        self.streams.append((stream, thread))
        wait_until(lambda: self.open_pages() > before)
        return stream

    def close_pages(self) -> None:
        for stream, thread in self.streams:
            stream.cut()
            thread.join()
        self.streams.clear()
        wait_until(lambda: self.open_pages() == 0)

    def close(self) -> None:
        self.close_pages()
        self.http.close()

    def build(self) -> Build:
        with self.database.transaction() as session:
            return a_build(session)

    def agent(self) -> Agent:
        with self.database.transaction() as session:
            token = nodes.make_enrolment_token(session)
        message = {"token": token, "name": "machine", "slots": 1}
        enrolled = self.http.post(f"{API}/agents/enrol/", json=message).json()
        return Agent(self.http, as_caller(enrolled["token"]), enrolled["node_id"])  # type: ignore[arg-type]


@contextmanager
def serving(url: str) -> Iterator[Served]:
    database = db.Database(url, pool_size=5)
    db.database.set(database)
    app = server.create_app()
    program = uvicorn.Server(uvicorn.Config(app, log_config=None))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=program.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            wait_until(lambda: program.started)
            wait_until(lambda: app.state.bell.remembers_since < clock.now().timestamp())
            served = Served(app, database, listener.getsockname()[1])
            with closing(served):
                yield served
        finally:
            program.should_exit = True
            thread.join()
            database.close()


@pytest.fixture(scope="module")
def served_of_module() -> Iterator[Served]:
    with copy_of_template() as url, serving(url) as served:
        yield served


@pytest.fixture
def served(served_of_module: Served, settings: Settings) -> Iterator[Served]:
    db.database.set(served_of_module.database)
    yield served_of_module
    served_of_module.close_pages()


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> Callable[[str, float], None]:
    return lambda name, seconds: monkeypatch.setattr(product, name, seconds)


def test_a_page_hears_of_its_build_and_of_no_other(served: Served) -> None:
    mine, other = served.build(), served.build()
    page = served.open(f"build:{mine.id.hex}")
    other_page = served.open(f"build:{other.id.hex}")

    with served.database.transaction() as session:
        cancel.cancel_build(session, session.get_one(Build, mine.id))

    wait_until(lambda: page.events)
    assert page.events == [("changed", [f"build:{mine.id.hex}"])]
    assert other_page.events == []


def test_a_new_build_is_news_of_its_project_and_of_the_list_of_all(served: Served) -> None:
    project_id = served.build().project_id
    page, everything = served.open(f"project:{project_id.hex}"), served.open("projects")

    with served.database.transaction() as session:
        cancel.cancel_build(session, session.query(Build).filter_by(project_id=project_id).one())

    wait_until(lambda: page.events and everything.events)
    assert page.changed() == {f"project:{project_id.hex}"}
    assert everything.changed() == {"projects"}


def test_a_new_machine_and_one_that_is_shut_out_are_news(served: Served) -> None:
    page = served.open("nodes")

    agent = served.agent()
    wait_until(lambda: len(page.events) == 1)
    with served.database.transaction() as session:
        agent_keys.revoke(session, a_node(session))

    wait_until(lambda: len(page.events) == 2)
    assert agent.node_id


def test_every_word_of_an_agent_about_its_step_reaches_the_page(served: Served) -> None:
    build = served.build()
    agent = served.agent()
    [offer] = [each for each in agent.next(slots=9) if each["build"] == build.id.hex]
    page = served.open(f"build:{build.id.hex}")

    begun = [{"id": each["id"], "status": "in_progress"} for each in offer["commands"]]
    agent.report(offer["id"], "in_progress")
    wait_until(lambda: len(page.events) == 1)
    agent.report(offer["id"], "in_progress", commands=begun)
    wait_until(lambda: len(page.events) == 2)
    agent.append(offer["id"], 0, b"the first line opens the log\n")
    wait_until(lambda: len(page.events) == 3)
    agent.finish(offer)
    wait_until(lambda: len(page.events) == 4)


def test_a_burst_is_told_a_few_times_and_its_end_is_told(served: Served) -> None:
    project_id = served.build().project_id
    page = served.open(f"project:{project_id.hex}")
    sent = 200

    # All within the database: sent one by one by a slow machine, they are no burst.
    one = f"perform pg_notify('project', '{project_id.hex}'); commit;"
    with psycopg.connect(served.database.conninfo, autocommit=True) as connection:
        connection.execute(f"do $$ begin for each in 1..{sent} loop {one} end loop; end $$".encode())
    wait_until(lambda: page.events)

    assert len(page.events) < sent / 4


def test_a_transaction_tells_each_topic_once(served: Served) -> None:
    with psycopg.connect(served.database.conninfo, autocommit=True) as connection:
        connection.execute("listen build")
        with served.database.transaction() as session:
            for _ in range(50):
                bell.tell(session, f"build:{AN_ID}", f"project:{AN_ID}")

        heard = list(connection.notifies(timeout=DEADLINE_S, stop_after=1))

    assert [notice.payload for notice in heard] == [AN_ID]


# --- catching up ---------------------------------------------------------------------------


def test_who_was_away_while_something_changed_hears_of_it_at_once(
    served: Served, impatient: Callable[[str, float], None]
) -> None:
    impatient("SLACK_S", 0)
    drawn_at = clock.now().timestamp()
    build = served.build()
    wait_until(lambda: served.bell.has_rung(f"build:{build.id.hex}", drawn_at))

    page = served.open(f"build:{build.id.hex}", f"build:{NOBODY}", since=drawn_at)

    wait_until(lambda: page.events)
    assert page.changed() == {f"build:{build.id.hex}"}


def test_a_server_that_was_not_there_says_that_everything_may_have_changed(served: Served) -> None:
    page = served.open("projects", "nodes", since=served.bell.remembers_since - 3600)

    wait_until(lambda: page.events)
    assert page.changed() == {"projects", "nodes"}


def test_after_the_database_was_away_every_page_looks_again(served: Served) -> None:
    page = served.open("projects", "nodes")

    listeners = "application_name = 'changes bell' and datname = current_database()"
    with psycopg.connect(served.database.conninfo, autocommit=True) as connection:
        connection.execute(
            f"select pg_terminate_backend(pid) from pg_stat_activity where {listeners}".encode()
        )

    wait_until(lambda: page.changed() == {"projects", "nodes"})


# --- a log ---------------------------------------------------------------------------------


@pytest.fixture
def printing(served: Served) -> tuple[Agent, dict[str, Any]]:
    """A step that has printed one line and the beginning of a second."""
    build = served.build()
    agent = served.agent()
    [offer] = [each for each in agent.next(slots=99) if each["build"] == build.id.hex]
    agent.append(offer["id"], 0, b"one\ntw")
    return agent, offer


def source_id_of(served: Served, step_id: str) -> str:
    sources = served.http.get(f"{API}/jobsteps/{step_id}/", headers=served.key).json()["logSources"]
    return str(sources[0]["id"])


def test_lines_come_as_they_are_drawn_from_the_place_of_the_page(
    served: Served, printing: tuple[Agent, dict[str, Any]]
) -> None:
    agent, offer = printing
    page = served.open(log=source_id_of(served, offer["id"]), offset=4, line=2)
    wait_until(lambda: len(page.told("log")) == 1)

    agent.append(offer["id"], 6, b"o <b>\n")
    wait_until(lambda: len(page.told("log")) == 2)

    first, second = page.told("log")
    assert '<li id="L2" data-open>' in first["html"]
    assert (first["offset"], first["line"]) == (4, 2)
    assert '<li id="L2"><a' in second["html"]
    assert "two &lt;b&gt;" in second["html"]
    assert (second["offset"], second["line"]) == (12, 3)


def test_of_a_flood_only_the_end_is_sent_with_its_right_numbers(
    served: Served, printing: tuple[Agent, dict[str, Any]]
) -> None:
    agent, offer = printing
    for number in range(3):
        agent.append(offer["id"], 6 + number * 200_000, b"0123456789abcde\n" * 12_500)

    page = served.open(log=source_id_of(served, offer["id"]), offset=4, line=2)
    wait_until(lambda: page.told("log"))

    [news] = page.told("log")
    assert news["html"].count("<li id=") == LINES_MAX
    assert f'<li id="L{37_501}"' in news["html"]
    assert (news["offset"], news["line"], news["total"]) == (600_006, 37_502, 37_501)


def test_all_who_follow_a_log_are_told_the_same_by_one_look(
    served: Served, printing: tuple[Agent, dict[str, Any]]
) -> None:
    agent, offer = printing
    source_id = source_id_of(served, offer["id"])
    pages = [served.open(log=source_id, offset=4, line=2) for _ in range(5)]
    wait_until(lambda: all(page.told("log") for page in pages))

    agent.append(offer["id"], 6, b"o\n\x1b[31mred\n")
    wait_until(lambda: all(len(page.told("log")) == 2 for page in pages))
    agent.append(offer["id"], 17, b"still red\n")
    wait_until(lambda: all(len(page.told("log")) == 3 for page in pages))

    told = [page.told("log") for page in pages]
    assert all(each == told[0] for each in told)
    assert '<span class="ansi-1">still red</span>' in told[0][2]["html"]


def test_a_log_that_nobody_knows_is_silent(served: Served) -> None:
    page = served.open("projects", log=AN_ID)
    served.build()

    wait_until(lambda: page.events)
    assert page.told("log") == []


class Away:
    """A pool of connections to a database that is away."""

    def connection(self) -> NoReturn:
        raise psycopg.OperationalError("nobody there")


def test_while_the_database_is_away_the_place_is_kept_and_the_next_beat_looks_again() -> None:
    followed = FollowedLog(FollowedLogs(Away()), UUID(AN_ID), Place(7, 2))

    assert asyncio.run(followed.news()) == b""

    assert followed.is_behind
    assert followed.place == Place(7, 2)


# --- what it costs -------------------------------------------------------------------------


def test_a_closed_tab_leaves_nothing_behind(served: Served) -> None:
    page = served.open("projects", "nodes")
    page.cut()

    wait_until(lambda: served.open_pages() == 0)
    assert not {"project", "node"} & served.bell.followers.keys()


def test_many_open_pages_hold_no_connection_and_no_thread(served: Served) -> None:
    before = threading.active_count()
    pages = [served.open(f"build:{AN_ID}") for _ in range(60)]

    mine = "select count(*) from pg_stat_activity where datname = current_database() and state <> 'idle'"
    with psycopg.connect(served.database.conninfo) as connection:
        [busy] = connection.execute(mine).fetchone() or (0,)

    # Each page of the test has a thread of the test that reads; the server's own are bounded.
    assert threading.active_count() - before - len(pages) < 45
    assert busy == 1
    assert connections_in_use(served.database) == 0


def test_too_many_pages_are_asked_to_come_again(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    served.open("projects")
    monkeypatch.setattr(product, "FOLLOWERS_MAX", served.bell.follower_count)

    answer = served.http.get("/live", params={"topic": "projects"}, headers=served.key)

    assert answer.status_code == 503
    assert "Retry-After" in answer.headers


def test_a_silent_stream_shows_now_and_then_that_it_lives(
    served: Served, impatient: Callable[[str, float], None]
) -> None:
    impatient("HEARTBEAT_S", 0.01)
    impatient("EVENTS_EVERY_S", 0.01)

    with served.http.stream("GET", "/live?topic=projects", headers=served.key) as answer:
        beats = answer.iter_lines()
        lines = [next(beats) for _ in range(9)]

    assert lines.count(": still here") >= 2


def test_a_stream_ends_so_that_whoever_was_signed_out_is_turned_away(
    served: Served, impatient: Callable[[str, float], None]
) -> None:
    impatient("LIFETIME_S", 0)

    page = served.http.get("/live?topic=nodes", headers=served.key)

    assert page.text == ": still here\n\n"


def test_the_end_of_the_server_ends_every_stream(database: db.Database) -> None:
    with serving(database.url) as served:
        pages = [served.open("projects"), served.open("nodes")]

        served.app.state.loop.call_soon_threadsafe(served.bell.close)

        wait_until(lambda: all(page.is_over for page in pages))
