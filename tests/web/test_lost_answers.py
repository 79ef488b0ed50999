"""An agent whose answer with steps got lost says what it has, and is offered the rest at once."""

from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

from tests.web.conftest import Agent, Live, wait_until

from changes.builds.rules import Status


def ask_again(agent: Agent, *held: str, wait_s: float = 0) -> list[dict[str, Any]]:
    answer = agent.post("steps/next/", {"slots": 1, "wait_s": wait_s, "held": list(held)})
    assert answer.status_code == 200, answer.text
    offers: list[dict[str, Any]] = answer.json()
    return offers


def test_a_step_whose_offer_got_lost_is_offered_again(live: Live, agent: Agent) -> None:
    live.build()
    [lost] = agent.next()

    [again] = ask_again(agent)

    assert again == lost
    assert live.status_of_step(lost["id"]) == Status.ALLOCATED


def test_a_step_that_the_agent_has_is_not_offered_again(live: Live, agent: Agent) -> None:
    live.build()
    [offer] = agent.next()

    assert ask_again(agent, offer["id"]) == []


def test_a_step_that_was_begun_is_not_offered_again(live: Live, agent: Agent) -> None:
    live.build()
    [offer] = agent.next()
    agent.report(offer["id"], "in_progress")

    assert ask_again(agent) == []


def test_steps_of_other_agents_stay_with_them(live: Live, agent: Agent) -> None:
    live.build()
    live.agent("another").next()

    assert ask_again(agent) == []


def test_names_that_are_no_steps_are_passed_over(live: Live, agent: Agent) -> None:
    live.build()
    [lost] = agent.next()

    [again] = ask_again(agent, "left-behind", "", "\0")

    assert again["id"] == lost["id"]


def test_a_question_that_was_given_up_gets_no_step_any_more(
    live: Live, agent: Agent, together: Callable[..., Future[Any]]
) -> None:
    agent.next()
    given_up = together(agent.next, wait_s=50)
    wait_until(lambda: len(live.app.state.room) == 1)

    assert ask_again(agent) == []

    assert given_up.result() == []


def test_whoever_asks_again_is_held_until_there_is_a_step(
    live: Live, agent: Agent, together: Callable[..., Future[Any]]
) -> None:
    held = together(ask_again, agent, wait_s=50)
    wait_until(lambda: len(live.app.state.room) == 1)

    build_id = live.build()

    [offer] = held.result()
    assert offer["build"] == build_id.hex
