"""Whose turn it is: among projects by their weight, in a project among its people, people before programs."""

from collections import Counter

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy.orm import Session
from tests import factories
from tests.builds import queues

from changes.builds.rules import Cause, Priority

pytestmark = pytest.mark.usefixtures("session")
ROUNDS = 24


def served(session: Session, count: int, *, at_once: int = 1) -> list[str]:
    """One machine that is free again after each hand-out."""
    node = queues.a_node(session)
    got: list[str] = []
    while len(got) < count:
        taken = queues.hand_out(session, node, at_once)
        assert taken, "somebody waits, and nobody was served"
        got += taken
        queues.end_all(session)
    return got


def test_a_project_that_asks_for_much_delays_nobody_else(session: Session) -> None:
    queues.a_queue(session, "greedy", 20)
    queues.a_queue(session, "modest", 2)

    assert Counter(served(session, 4)) == {"greedy": 2, "modest": 2}


def test_a_weight_is_a_share(session: Session) -> None:
    queues.a_queue(session, "heavy", 20, options={"queue.weight": "3"})
    queues.a_queue(session, "light", 20)

    assert Counter(served(session, 16)) == {"heavy": 12, "light": 4}


def test_shares_are_the_same_when_a_machine_takes_several_steps_at_once(session: Session) -> None:
    queues.a_queue(session, "heavy", 20, options={"queue.weight": "3"})
    queues.a_queue(session, "light", 20)

    assert Counter(served(session, 16, at_once=8)) == {"heavy": 12, "light": 4}


def test_who_was_away_has_saved_up_nothing(session: Session) -> None:
    queues.a_queue(session, "busy", 20)
    served(session, 8)

    queues.a_queue(session, "late", 20)

    assert Counter(served(session, 8))["late"] in (4, 5)


def test_the_people_of_a_project_share_its_turns(session: Session) -> None:
    project = queues.a_project(session, "shared")
    ann, ben = factories.an_author(session), factories.an_author(session)
    many = [queues.ask_for(session, project, author=ann) for _ in range(10)]
    few = [queues.ask_for(session, project, author=ben) for _ in range(2)]
    node = queues.a_node(session)

    queues.hand_out(session, node, 4)

    running = [build for build in [*many, *few] if factories.steps_of(session, build)[0].node_id]
    assert running == [*many[:2], *few]


def test_whoever_asks_by_hand_takes_the_own_share_and_not_that_of_the_author(session: Session) -> None:
    project = queues.a_project(session, "shared")
    ann, ben = factories.an_author(session), factories.an_author(session)
    many = [
        queues.ask_for(session, project, author=ann, asked_by=ben.email, cause=Cause.MANUAL)
        for _ in range(10)
    ]
    few = [queues.ask_for(session, project, author=ann) for _ in range(2)]
    node = queues.a_node(session)

    queues.hand_out(session, node, 4)

    running = [build for build in [*many, *few] if factories.steps_of(session, build)[0].node_id]
    assert running == [*many[:2], *few]


def test_people_come_before_programs(session: Session) -> None:
    project = queues.a_project(session, "p")
    automatic = queues.ask_for(session, project, tags=["nightly"])
    asked = queues.ask_for(session, project)
    node = queues.a_node(session)

    queues.hand_out(session, node)

    assert factories.steps_of(session, asked)[0].node_id == node.id
    assert factories.steps_of(session, automatic)[0].node_id is None


def test_what_a_step_costs_is_how_long_its_like_took(session: Session) -> None:
    slow, quick = queues.a_queue(session, "slow", 20), queues.a_queue(session, "quick", 20)
    queues.lanes_of(session, slow)[0].typical_s = 300
    queues.lanes_of(session, quick)[0].typical_s = 100

    assert Counter(served(session, 16)) == {"quick": 12, "slow": 4}


def test_one_who_waits_for_long_is_served_whatever_his_priority(session: Session) -> None:
    low = queues.a_project(session, "low")
    queues.ask_for(session, low, priority=Priority.LOW)
    queues.grow_old(session, low, 700)
    queues.a_queue(session, "usual", 5)
    node = queues.a_node(session)

    assert queues.hand_out(session, node) == ["usual"]
    assert queues.hand_out(session, node, is_for_overdue=True) == ["low"]


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    weights=st.lists(st.integers(1, 5), min_size=2, max_size=4),
    at_once=st.integers(1, 4),
)
def test_every_share_is_within_one_step_of_its_weight(
    session: Session, weights: list[int], at_once: int
) -> None:
    with session.begin_nested() as savepoint:
        names = [f"p{number}-{len(weights)}" for number in range(len(weights))]
        for name, weight in zip(names, weights, strict=True):
            queues.a_queue(session, name, ROUNDS, options={"queue.weight": str(weight)})

        got = Counter(served(session, ROUNDS, at_once=at_once))

        for name, weight in zip(names, weights, strict=True):
            due = sum(got.values()) * weight / sum(weights)
            assert abs(got[name] - due) <= at_once + 1, (got, weights)
        savepoint.rollback()
