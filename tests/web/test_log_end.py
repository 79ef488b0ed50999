"""The last bytes of a log, which may come with the report that ends its step."""

import base64
from typing import Any

import httpx
import pytest
from tests.web.conftest import Agent, Live, refused

from changes.builds.rules import Status


@pytest.fixture
def step(live: Live, agent: Agent) -> dict[str, Any]:
    """One that the agent holds."""
    live.build()
    return agent.next()[0]


def end_with(agent: Agent, offer: dict[str, Any], data: bytes, *, offset: int = 0) -> httpx.Response:
    commands = [{"id": each["id"], "status": "finished", "return_code": 0} for each in offer["commands"]]
    log_end = {"name": "console", "offset": offset, "data": base64.b64encode(data).decode()}
    return agent.report(offer["id"], "finished", "passed", commands=commands, log_end=log_end)


def console(live: Live, offer: dict[str, Any]) -> bytes:
    return live.get(f"/jobsteps/{offer['id']}/logs/console/", raw=1).content


def test_a_report_brings_a_whole_log(live: Live, agent: Agent, step: dict[str, Any]) -> None:
    assert end_with(agent, step, b"all\x00of\xffit\n").status_code == 200

    assert console(live, step) == b"all\x00of\xffit\n"
    assert live.status_of_step(step["id"]) == Status.FINISHED


def test_a_report_brings_the_rest_of_a_log(live: Live, agent: Agent, step: dict[str, Any]) -> None:
    agent.append(step["id"], 0, b"begun\n")

    end_with(agent, step, b"ended\n", offset=6)

    assert console(live, step) == b"begun\nended\n"


def test_a_report_that_is_sent_again_changes_nothing(live: Live, agent: Agent, step: dict[str, Any]) -> None:
    end_with(agent, step, b"once\n")

    assert end_with(agent, step, b"once\n").status_code == 200
    assert console(live, step) == b"once\n"


def test_bytes_that_are_known_already_are_passed_over(live: Live, agent: Agent, step: dict[str, Any]) -> None:
    agent.append(step["id"], 0, b"known\n")

    assert end_with(agent, step, b"known\n").status_code == 200
    assert console(live, step) == b"known\n"


@pytest.mark.parametrize("stored", [b"", b"six..\n"])
def test_a_report_ends_no_step_whose_log_would_have_a_hole(
    live: Live, agent: Agent, step: dict[str, Any], stored: bytes
) -> None:
    agent.append(step["id"], 0, stored)

    answer = refused(end_with(agent, step, b"later\n", offset=100), 409)

    assert answer["offset"] == len(stored)
    assert live.status_of_step(step["id"]) == Status.ALLOCATED


def test_a_log_that_was_opened_before_is_ended_apart(live: Live, agent: Agent, step: dict[str, Any]) -> None:
    agent.append(step["id"], 0, b"")

    assert refused(end_with(agent, step, b"first\n"), 409)["offset"] == 0
    assert live.status_of_step(step["id"]) == Status.ALLOCATED


def test_nobody_else_ends_a_log(live: Live, step: dict[str, Any]) -> None:
    thief = live.agent("thief")

    refused(end_with(thief, step, b"lies\n"), 404)

    assert live.get(f"/jobsteps/{step['id']}/").json()["logSources"] == []


def test_the_log_of_a_step_that_is_over_stays_as_it_is(
    live: Live, agent: Agent, step: dict[str, Any]
) -> None:
    agent.report(step["id"], "finished", "failed")

    refused(end_with(agent, step, b"late\n"), 410)

    assert live.get(f"/jobsteps/{step['id']}/").json()["logSources"] == []


@pytest.mark.parametrize(
    "wrong", [{"name": "a/b"}, {"offset": -1}, {"data": "no base64!"}, {"data": "eA==" * 70_000}]
)
def test_a_log_end_that_makes_no_sense_is_refused(
    live: Live, agent: Agent, step: dict[str, Any], wrong: dict[str, Any]
) -> None:
    log_end = {"name": "console", "offset": 0, "data": "eA==", **wrong}

    refused(agent.report(step["id"], "finished", "failed", log_end=log_end), 400)

    assert live.status_of_step(step["id"]) == Status.ALLOCATED


def test_a_message_with_nul_brings_its_log_all_the_same(
    live: Live, agent: Agent, step: dict[str, Any]
) -> None:
    log_end = {"name": "console", "offset": 0, "data": base64.b64encode(b"kept\n").decode()}

    agent.report(step["id"], "finished", "failed", message="a\0b", log_end=log_end)

    assert console(live, step) == b"kept\n"
