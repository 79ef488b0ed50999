"""How an agent says who it is, keeps and replaces its key; and what a step's own token opens."""

from typing import Any

import pytest
from tests.factories import as_caller
from tests.web.conftest import API, Agent, Live, answered, refused

from changes import protocol
from changes.base import ids
from changes.builds import step_tokens
from changes.builds.rules import Status


def hello(live: Live, agent: Agent, **said: Any) -> dict[str, Any]:
    message = {"name": "machine", "slots": 1, **said}
    answer: dict[str, Any] = (
        answered(live.http.post(f"{API}/agents/hello/", json=message, headers=agent.headers))
        .raise_for_status()
        .json()
    )
    return answer


def test_a_machine_says_anew_at_each_start_what_it_offers(live: Live, agent: Agent) -> None:
    welcome = hello(live, agent, slots=5, labels={"gpu": "1"}, sandboxes=["process"], problem="full")

    node = live.get(f"/nodes/{agent.node_id}/").json()
    assert (node["slots"], node["labels"], node["sandboxes"]) == (5, {"gpu": "1"}, ["process"])
    assert node["problem"] == "full"
    assert (welcome["protocol"], welcome["is_key_due"]) == (protocol.VERSION, False)
    assert welcome["artifact_max_bytes"] > 0


def test_an_agent_that_lost_its_step_gets_it_again(live: Live, agent: Agent) -> None:
    live.build()
    [lost] = agent.next()

    hello(live, agent, steps=[])

    [again] = agent.next()
    assert live.status_of_step(lost["id"]) == Status.FINISHED
    assert again["env"]["CHANGES_ATTEMPT"] == "2"


def test_an_agent_is_asked_for_another_key_and_gets_it(live: Live, agent: Agent) -> None:
    live.post(f"/nodes/{agent.node_id}/replace_key/")
    is_due = hello(live, agent)["is_key_due"]

    key = answered(live.http.post(f"{API}/agents/key/", headers=agent.headers)).json()["token"]

    renewed = Agent(live.http, as_caller(key), agent.node_id)
    assert is_due
    assert renewed.heartbeat().status_code == 200
    assert agent.heartbeat().status_code == 200
    assert hello(live, renewed)["is_key_due"] is False
    assert live.get(f"/nodes/{agent.node_id}/").json()["key"]["isToBeReplaced"] is False


def test_whoever_is_told_that_a_machine_was_revoked_sees_it_too(live: Live, agent: Agent) -> None:
    answer = live.post(f"/nodes/{agent.node_id}/revoke/").json()

    assert (answer["isRevoked"], answer["key"]) == (True, None)


# --- tokens of steps ---------------------------------------------------------------------


@pytest.fixture
def offer(live: Live, agent: Agent) -> dict[str, Any]:
    live.build()
    return agent.next()[0]


def bearing(live: Live, token: str) -> Agent:
    return Agent(live.http, as_caller(token), "")


def test_a_steps_token_opens_all_of_its_step(live: Live, offer: dict[str, Any]) -> None:
    step = bearing(live, offer["token"])

    assert step.report(offer["id"], "in_progress").status_code == 200
    assert step.append(offer["id"], 0, b"one\n").status_code == 200
    assert step.put(offer["id"], "a.txt", b"content").status_code == 200
    refused(step.patch(offer["id"]), 404)


def test_a_steps_token_opens_no_other_step(live: Live, agent: Agent, offer: dict[str, Any]) -> None:
    live.build()
    [other] = agent.next()
    step = bearing(live, offer["token"])

    refused(step.report(other["id"], "finished", "passed"), 403)
    refused(step.append(other["id"], 0, b"one\n"), 403)
    refused(step.put(other["id"], "a.txt", b"content"), 403)
    refused(step.patch(other["id"]), 403)


def test_a_steps_token_opens_nothing_else(live: Live, offer: dict[str, Any]) -> None:
    step = bearing(live, offer["token"])

    for where in ("steps/next", "heartbeat", "hello", "key"):
        body = {"slots": 1, "steps": [], "name": "machine", "wait_s": 0}
        refused(live.http.post(f"{API}/agents/{where}/", json=body, headers=step.headers), 401)
    refused(live.http.get(f"{API}/projects/", headers=step.headers), 401)


def test_a_steps_token_is_good_until_the_step_is_over(
    live: Live, agent: Agent, offer: dict[str, Any]
) -> None:
    step = bearing(live, offer["token"])
    agent.finish(offer)

    refused(step.append(offer["id"], 0, b"late\n"), 410)


def test_a_steps_token_ends_with_the_key_of_its_machine(
    live: Live, agent: Agent, offer: dict[str, Any]
) -> None:
    live.post(f"/nodes/{agent.node_id}/revoke/")

    refused(bearing(live, offer["token"]).append(offer["id"], 0, b"one\n"), 401)


@pytest.mark.parametrize("token", ["chs_", "chs_" + "0" * 32 + ".x", step_tokens.PREFIX + "ü"])
def test_a_token_that_is_made_up_opens_nothing(live: Live, token: str) -> None:
    headers = {"Authorization": f"Bearer {token}".encode()}
    where = f"{API}/agents/steps/{ids.new().hex}/report/"

    refused(live.http.post(where, json={"status": "in_progress"}, headers=headers), 401)


def test_commands_get_the_token_only_if_their_plan_asks_for_it(offer: dict[str, Any]) -> None:
    assert "CHANGES_STEP_TOKEN" not in offer["env"]
    assert all("CHANGES_STEP_TOKEN" not in command["env"] for command in offer["commands"])
