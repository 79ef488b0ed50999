"""The agents' protocol, message by message, with nobody but the server at the other end."""

import hashlib
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any
from uuid import UUID

import httpx
import pytest
from sqlalchemy import update
from tests.factories import a_build, a_project, a_source, a_token, as_caller
from tests.web.conftest import API, Agent, Live, answered, refused, wait_until

from changes import protocol
from changes.base import clock, ids, process, storage
from changes.base.settings import Settings
from changes.builds import step_tokens
from changes.builds.models import Build, EnrolmentToken, JobStep, Node
from changes.builds.rules import Status
from changes.people.rules import Scope
from changes.results.models import Artifact

A_DIFF = b"--- a\n+++ b\n@@ -1 +1 @@\n-caf\xe9\n+\xff\x00\x80\r\n"


@pytest.fixture
def step(live: Live, agent: Agent) -> dict[str, Any]:
    """One that the agent holds."""
    live.build()
    return agent.next()[0]


def enrol(live: Live, token: str, **more: object) -> httpx.Response:
    message = {"token": token, "name": "machine", "slots": 1, **more}
    return answered(live.http.post(f"{API}/agents/enrol/", json=message))


# --- getting in --------------------------------------------------------------------------


def test_an_administrator_makes_a_token_that_lets_one_agent_in(live: Live) -> None:
    token = live.post("/agents/tokens/").json()["token"]

    enrolled = enrol(live, token, labels={"cluster": "fast"}, version="1.2").json()

    node = live.get(f"/nodes/{enrolled['node_id']}/").json()
    assert (node["name"], node["labels"], node["version"]) == ("machine", {"cluster": "fast"}, "1.2")


def test_a_token_lets_nobody_else_in(live: Live) -> None:
    token = live.enrolment_token()
    enrol(live, token)

    refused(enrol(live, token, name="another"), 403)


def test_an_agent_whose_answer_got_lost_may_ask_again(live: Live) -> None:
    token = live.enrolment_token()
    lost = enrol(live, token).json()

    again = enrol(live, token).json()

    assert again["node_id"] == lost["node_id"]
    assert Agent(live.http, as_caller(again["token"]), again["node_id"]).next() == []
    refused(Agent(live.http, as_caller(lost["token"]), "").heartbeat(), 401)


def test_a_token_is_spent_once_its_agent_has_shown_its_key(live: Live) -> None:
    token = live.enrolment_token()
    enrolled = enrol(live, token).json()
    Agent(live.http, as_caller(enrolled["token"]), "").next()

    refused(enrol(live, token), 403)


def test_an_old_token_lets_nobody_in(live: Live) -> None:
    token = live.enrolment_token()
    with live.database.transaction() as session:
        session.execute(update(EnrolmentToken).values(date_expires=clock.now()))

    refused(enrol(live, token), 403)


def test_an_agent_of_another_version_is_told_who_must_change(live: Live) -> None:
    token = live.enrolment_token()

    newer = refused(enrol(live, token, protocol=protocol.VERSION + 2), 426)
    older = refused(enrol(live, token, protocol=protocol.VERSION - 2), 426)

    assert "upgrade the server" in newer["error"]
    assert "upgrade the agent" in older["error"]
    assert newer["problems"] == ["protocol"]
    assert enrol(live, token).status_code == 200


def test_a_revoked_agent_is_out_until_it_enrols_anew(live: Live, agent: Agent) -> None:
    live.post(f"/nodes/{agent.node_id}/revoke/")

    refused(agent.heartbeat(), 401)

    assert live.agent("machine").heartbeat().status_code == 200


@pytest.mark.parametrize(
    "odd",
    [
        {"name": ""},
        {"name": " "},
        {"name": "x" * 129},
        {"slots": 2**40},
        {"slots": "one"},
        {"labels": {"a": 1}},
    ],
)
def test_an_agent_that_says_nonsense_is_not_let_in(live: Live, odd: dict[str, Any]) -> None:
    refused(enrol(live, live.enrolment_token(), **odd), 400)


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b'{"slots": "\\ud800"}', b"\xff", b"[" * 100_000])
def test_a_message_that_cannot_be_understood_is_refused(live: Live, agent: Agent, body: bytes) -> None:
    for where in ("enrol", "steps/next", "heartbeat", f"steps/{ids.new().hex}/report"):
        refused(live.http.post(f"{API}/agents/{where}/", content=body, headers=agent.headers), 400)


def test_a_message_has_a_sensible_size(live: Live, agent: Agent) -> None:
    body = b'{"slots": 1}' + b" " * 2**20

    refused(live.http.post(f"{API}/agents/steps/next/", content=body, headers=agent.headers), 413)


# --- being given work --------------------------------------------------------------------


def test_an_agent_is_given_all_it_needs_to_run_a_step(live: Live, agent: Agent) -> None:
    build_id = live.build(commands=("echo one", "echo two"))

    [offer] = agent.next()

    with live.database.transaction() as session:
        build = session.get_one(Build, build_id)
        assert offer["checkout"]["url"] == build.project.repository.url
        assert offer["env"]["CHANGES_BUILD_ID"] == build_id.hex
    assert [command["script"] for command in offer["commands"]] == ["echo one", "echo two"]
    assert live.status_of_step(offer["id"]) == Status.ALLOCATED


def test_an_agent_is_held_until_there_is_a_step(
    live: Live, agent: Agent, together: Callable[..., Future[Any]]
) -> None:
    with live.database.transaction() as session:
        build = a_build(session)
        slug, sha = build.project.slug, build.source.revision_sha
    agent.next()
    held = together(agent.next, wait_s=20)
    wait_until(lambda: len(live.app.state.room) == 1)

    made = live.post("/builds/", project=slug, sha=sha).json()[0]

    [offer] = held.result()
    assert offer["build"] == made["id"]


def test_an_agent_that_waits_is_sent_away_when_the_server_stops(
    stopping: Live, together: Callable[..., Future[Any]]
) -> None:
    held = together(stopping.agent().next, wait_s=20)
    wait_until(lambda: len(stopping.app.state.room) == 1)

    stopping.stop()

    assert held.result() == []


def test_no_step_is_given_out_twice(live: Live, together: Callable[..., Future[Any]]) -> None:
    live.build(plans=6)
    agents = [live.agent(f"machine {number}") for number in range(4)]

    asked = [together(agent.next, slots=2) for agent in agents]

    given = [offer["id"] for each in asked for offer in each.result()]
    assert len(given) == len(set(given)) == 6


def test_the_patch_of_a_step_arrives_byte_for_byte(live: Live, agent: Agent) -> None:
    with live.database.transaction() as session:
        build = a_build(session)
        build.source = a_source(session, build.project, patch=A_DIFF)

    [offer] = agent.next()

    assert offer["checkout"]["has_patch"] is True
    assert agent.patch(offer["id"]).content == A_DIFF


def test_a_step_without_a_patch_has_none(agent: Agent, step: dict[str, Any]) -> None:
    refused(agent.patch(step["id"]), 404)


# --- telling -----------------------------------------------------------------------------


def test_a_step_runs_from_start_to_verdict(live: Live, agent: Agent, step: dict[str, Any]) -> None:
    started = agent.report(step["id"], "in_progress")
    running = live.status_of_step(step["id"])

    ended = agent.finish(step)

    told = live.get(f"/builds/{step['build']}/").json()
    assert (started.status_code, running, ended.status_code) == (200, Status.IN_PROGRESS, 200)
    assert (told["status"]["id"], told["result"]["id"]) == ("finished", "passed")
    command = live.get(f"/commands/{step['commands'][0]['id']}/").json()
    assert (command["returnCode"], command["duration"], command["status"]["id"]) == (0, 5, "finished")


def test_a_repeated_report_is_success(live: Live, agent: Agent, step: dict[str, Any]) -> None:
    statuses = [agent.report(step["id"], "in_progress").status_code for _ in range(2)]
    statuses += [agent.finish(step).status_code for _ in range(3)]
    statuses.append(agent.report(step["id"], "in_progress").status_code)

    assert set(statuses) == {200}


def test_another_outcome_after_the_end_is_too_late(live: Live, agent: Agent, step: dict[str, Any]) -> None:
    agent.finish(step)

    refused(agent.finish(step, return_code=1), 410)

    assert live.get(f"/builds/{step['build']}/").json()["result"]["id"] == "passed"


def test_a_step_with_a_failed_command_has_not_passed_whatever_its_agent_says(
    live: Live, agent: Agent, step: dict[str, Any]
) -> None:
    failed = {"id": step["commands"][0]["id"], "status": "finished", "return_code": 1}

    agent.report(step["id"], "finished", "passed", commands=[failed])

    assert live.get(f"/builds/{step['build']}/").json()["result"]["id"] == "failed"


def test_a_released_step_is_tried_again(live: Live, agent: Agent, step: dict[str, Any]) -> None:
    agent.report(step["id"], "released", reason="agent_stopped")

    [again] = live.agent("another").next()

    assert again["build"] == step["build"]
    assert again["id"] != step["id"]
    refused(agent.append(step["id"], 0, b"late"), 410)


@pytest.mark.parametrize(
    "odd",
    [
        {"status": "done"},
        {"status": "finished", "result": None},
        {"status": "finished", "result": "green"},
        {"status": "in_progress", "commands": [{"id": "x", "status": "in_progress"}]},
        {"status": "in_progress", "commands": [{"id": "0" * 32, "status": "in_progress"}]},
        {"status": "finished", "result": "passed", "duration_ms": -1},
        {"status": "finished", "result": "passed", "duration_ms": 10**20},
    ],
)
def test_a_report_that_makes_no_sense_changes_nothing(
    live: Live, agent: Agent, step: dict[str, Any], odd: dict[str, Any]
) -> None:
    refused(agent.post(f"steps/{step['id']}/report/", odd), 400)

    assert live.status_of_step(step["id"]) == Status.ALLOCATED


@pytest.mark.parametrize("odd", [{"return_code": 2**31}, {"return_code": 0, "duration_ms": 10**18}])
def test_numbers_of_a_command_stay_within_reason(
    agent: Agent, step: dict[str, Any], odd: dict[str, Any]
) -> None:
    ended = {"id": step["commands"][0]["id"], "status": "finished", **odd}

    refused(agent.report(step["id"], "in_progress", commands=[ended]), 400)


def test_a_nul_in_what_an_agent_says_does_not_lose_its_report(
    live: Live, agent: Agent, step: dict[str, Any]
) -> None:
    answer = agent.report(step["id"], "finished", "failed", reason="checkout_failed", message="a\0b")

    assert answer.status_code == 200, answer.text
    [reason] = live.get(f"/builds/{step['build']}/").json()["failures"]
    assert reason["text"].endswith("a\N{REPLACEMENT CHARACTER}b")


def test_html_in_what_an_agent_says_is_escaped(live: Live, agent: Agent, step: dict[str, Any]) -> None:
    agent.report(step["id"], "finished", "failed", reason="checkout_failed", message="<script>")

    [reason] = live.get(f"/builds/{step['build']}/").json()["failures"]
    assert "<script>" not in reason["reason"]


# --- stopping ----------------------------------------------------------------------------


def test_a_heartbeat_keeps_a_step(live: Live, agent: Agent, step: dict[str, Any]) -> None:
    assert agent.heartbeat(step["id"]).json() == {"stop": []}


def test_a_cancelled_step_is_to_be_stopped(live: Live, agent: Agent, step: dict[str, Any]) -> None:
    live.post(f"/builds/{step['build']}/cancel/")

    assert agent.heartbeat(step["id"]).json() == {"stop": [step["id"]]}


def test_a_cancel_reaches_an_agent_that_waits(
    live: Live, agent: Agent, step: dict[str, Any], together: Callable[..., Future[Any]]
) -> None:
    held = together(agent.heartbeat, step["id"], wait_s=20)
    wait_until(lambda: live.is_waited_for(f"stop:{UUID(agent.node_id).hex}"))

    live.post(f"/builds/{step['build']}/cancel/")

    assert held.result().json() == {"stop": [step["id"]]}


def test_a_step_nobody_knows_is_to_be_stopped(agent: Agent) -> None:
    unknown = ids.new().hex

    assert agent.heartbeat(unknown).json() == {"stop": [unknown]}


def test_a_heartbeat_for_what_is_no_id_is_refused(agent: Agent) -> None:
    refused(agent.heartbeat("not an id"), 400)


# --- whose step --------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["report", "log", "empty log", "artifact", "patch"])
def test_the_step_of_another_agent_does_not_exist(live: Live, step: dict[str, Any], kind: str) -> None:
    thief = live.agent("thief")
    acts: dict[str, Callable[[], httpx.Response]] = {
        "report": lambda: thief.finish(step),
        "log": lambda: thief.append(step["id"], 0, b"lies"),
        "empty log": lambda: thief.append(step["id"], 0, b""),
        "artifact": lambda: thief.put(step["id"], "junit.xml", b"lies"),
        "patch": lambda: thief.patch(step["id"]),
    }

    refused(acts[kind](), 404)

    assert live.status_of_step(step["id"]) == Status.ALLOCATED
    assert live.get(f"/jobsteps/{step['id']}/").json()["logSources"] == []


def test_the_step_of_another_agent_is_not_kept_alive(live: Live, step: dict[str, Any]) -> None:
    thief = live.agent("thief")

    assert thief.heartbeat(step["id"]).json() == {"stop": [step["id"]]}


def test_a_token_of_people_is_no_agent(live: Live) -> None:
    with live.database.transaction() as session:
        person = Agent(live.http, as_caller(a_token(session, Scope.ADMIN)), "")

    refused(person.heartbeat(), 401)


# --- logs --------------------------------------------------------------------------------


def test_a_log_grows_by_what_is_new(live: Live, agent: Agent, step: dict[str, Any]) -> None:
    offsets = [
        agent.append(step["id"], 0, b"one\n").json()["offset"],
        agent.append(step["id"], 4, b"two\n").json()["offset"],
        agent.append(step["id"], 4, b"two\n").json()["offset"],
        agent.append(step["id"], 4, b"two\nthree\n").json()["offset"],
        agent.append(step["id"], 14, b"").json()["offset"],
    ]

    raw = live.get(f"/jobsteps/{step['id']}/logs/console/", raw=1)
    assert offsets == [4, 8, 8, 14, 14]
    assert raw.text == "one\ntwo\nthree\n"


def test_a_gap_in_a_log_is_refused_with_the_offset_to_go_on_from(agent: Agent, step: dict[str, Any]) -> None:
    agent.append(step["id"], 0, b"one\n")

    told = refused(agent.append(step["id"], 9, b"three\n"), 409)

    assert (told["offset"], told["problems"]) == (4, ["offset"])


def test_a_log_of_a_finished_step_is_closed(agent: Agent, step: dict[str, Any]) -> None:
    agent.append(step["id"], 0, b"one\n")
    agent.finish(step)

    refused(agent.append(step["id"], 4, b"more"), 410)


@pytest.mark.parametrize("offset", ["-1", "x", "", str(2**63), str(2**70)])
def test_an_offset_is_a_number_of_bytes(live: Live, agent: Agent, step: dict[str, Any], offset: str) -> None:
    where = f"{API}/agents/steps/{step['id']}/logs/console/?offset={offset}"

    answer = live.http.post(where, content=b"x", headers=agent.headers)

    assert refused(answer, 400)["problems"] == ["offset"]


def test_a_piece_of_log_has_a_sensible_size(agent: Agent, step: dict[str, Any]) -> None:
    refused(agent.append(step["id"], 0, b"x" * (protocol.LOG_CHUNK_MAX_BYTES + 1)), 413)


@pytest.mark.parametrize(("name", "status"), [("x" * 65, 400), ("a%2Fb", 404), ("a%00b", 404)])
def test_a_log_has_a_plain_name(agent: Agent, step: dict[str, Any], name: str, status: int) -> None:
    refused(agent.append(step["id"], 0, b"x", name=name), status)


# --- artifacts ---------------------------------------------------------------------------


def stored(live: Live) -> list[tuple[str, bytes]]:
    with live.database.transaction() as session:
        found = session.query(Artifact).order_by(Artifact.name).all()
    return [(each.name, b"".join(storage.storage.get().read(each.key))) for each in found]


def test_an_artifact_is_kept(live: Live, agent: Agent, step: dict[str, Any]) -> None:
    digest = hashlib.sha256(b"<xml/>").hexdigest()

    answer = agent.put(step["id"], "out/junit.xml", b"<xml/>", sha256=digest.upper())

    assert answer.status_code == 200, answer.text
    assert stored(live) == [("out/junit.xml", b"<xml/>")]


def test_the_same_artifact_again_is_success(live: Live, agent: Agent, step: dict[str, Any]) -> None:
    statuses = [agent.put(step["id"], "a", b"one").status_code for _ in range(2)]

    assert statuses == [200, 200]
    assert stored(live) == [("a", b"one")]
    assert files_in_storage() == 1


def files_in_storage() -> int:
    return sum(path.is_file() for path in process.settings.get().home.rglob("artifacts/**/*"))


def test_another_content_under_the_same_name_is_a_conflict(
    live: Live, agent: Agent, step: dict[str, Any]
) -> None:
    agent.put(step["id"], "a", b"one")

    assert refused(agent.put(step["id"], "a", b"two"), 409)["problems"] == ["name"]

    assert stored(live) == [("a", b"one")]
    assert files_in_storage() == 1


def test_bytes_that_changed_on_the_way_are_refused(live: Live, agent: Agent, step: dict[str, Any]) -> None:
    answer = agent.put(step["id"], "a", b"one", sha256=hashlib.sha256(b"two").hexdigest())

    assert refused(answer, 400)["problems"] == ["Changes-SHA256"]
    assert (stored(live), files_in_storage()) == ([], 0)


def test_an_artifact_that_is_too_large_is_refused(
    live: Live, agent: Agent, step: dict[str, Any], settings: Settings
) -> None:
    object.__setattr__(settings, "max_artifact_bytes", 1000)

    refused(agent.put(step["id"], "a", b"x" * 1001), 413)

    assert (stored(live), files_in_storage()) == ([], 0)
    assert agent.put(step["id"], "a", b"x" * 1000).status_code == 200


@pytest.mark.parametrize(
    ("name", "status"),
    [
        ("%2e%2e/x", 400),
        ("a/%2e%2e/%2e%2e/x", 400),
        ("%2Fetc/passwd", 400),
        ("x" * 1025, 400),
        ("", 400),
        ("a%00b", 404),
    ],
)
def test_an_artifact_has_a_relative_path(
    live: Live, agent: Agent, step: dict[str, Any], name: str, status: int
) -> None:
    refused(agent.put(step["id"], name, b"x"), status)

    assert stored(live) == []


@pytest.mark.parametrize(
    ("sent", "name"),
    [("a%20b", "a b"), ("%C3%A9.xml", "é.xml"), ("a%0Ab", "a\nb"), ("..a", "..a"), ("a%3Fb", "a?b")],
)
def test_names_of_files_may_be_odd(
    live: Live, agent: Agent, step: dict[str, Any], sent: str, name: str
) -> None:
    answer = agent.put(step["id"], sent, b"x")

    assert answer.status_code == 200, answer.text
    assert stored(live) == [(name, b"x")]


def test_an_artifact_of_a_finished_step_is_too_late(agent: Agent, step: dict[str, Any]) -> None:
    agent.finish(step)

    refused(agent.put(step["id"], "a", b"x"), 410)


def test_slow_uploads_hold_back_nobody(
    live: Live, agent: Agent, step: dict[str, Any], together: Callable[..., Future[Any]]
) -> None:
    arriving = live.app.state.pool.max_size + 2
    uploads = [together(agent.put, step["id"], f"file {number}", b"x" * 100) for number in range(arriving)]

    assert agent.heartbeat(step["id"]).status_code == 200
    assert {upload.result().status_code for upload in uploads} == {200}


def test_work_of_two_projects_is_told_apart(live: Live, agent: Agent) -> None:
    with live.database.transaction() as session:
        slugs = sorted(a_build(session, a_project(session)).project.slug for _ in range(2))

    offers = agent.next(slots=5)

    assert sorted(offer["project"] for offer in offers) == slugs


def test_being_heard_of_is_noted(live: Live, agent: Agent, step: dict[str, Any]) -> None:
    agent.heartbeat(step["id"])

    with live.database.transaction() as session:
        assert session.get_one(Node, UUID(agent.node_id)).date_last_seen is not None
        assert session.get_one(JobStep, UUID(step["id"])).last_heartbeat is not None


# --- cards -------------------------------------------------------------------------------


def cards_of(live: Live, step: dict[str, Any]) -> list[tuple[str, str]]:
    return [(card["key"], card["text"]) for card in live.get(f"/jobsteps/{step['id']}/cards/").json()]


def test_an_agent_hands_in_a_card_once_however_often_it_tells_it(
    live: Live, agent: Agent, step: dict[str, Any]
) -> None:
    told = {"key": "a", "text": "more", "append": True, "number": "7"}

    for _ in range(2):
        answered(agent.http.post(f"{API}/agents/steps/{step['id']}/cards/", json=told, headers=agent.headers))

    assert cards_of(live, step) == [("a", "more")]


def test_a_step_posts_its_cards_by_its_own_token_and_no_others(live: Live, step: dict[str, Any]) -> None:
    key = as_caller(step_tokens.make(UUID(step["id"]))) | {"Idempotency-Key": "one"}
    said = {"key": "a", "text": "more", "append": True}

    first, again = (
        live.http.post(f"{API}/jobsteps/{step['id']}/cards/", json=said, headers=key) for _ in range(2)
    )
    other = live.http.post(f"{API}/jobsteps/{ids.new().hex}/cards/", json=said, headers=key)

    assert (first.status_code, again.status_code) == (201, 204)
    assert cards_of(live, step) == [("a", "more")]
    refused(other, 403)
