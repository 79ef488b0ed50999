"""What an agent says of itself at its start, and what the server makes of it."""

from typing import Any

import pytest
from sqlalchemy.orm import Session
from tests import factories
from tests.builds import agents

from changes.base import clock
from changes.base.errors import Invalid, OtherVersion
from changes.builds import greeting
from changes.builds.models import JobStep, Node
from changes.builds.rules import ReplaceLimits, Result, Status
from changes.protocol import VERSION, Hello, Welcome

LIMITS = ReplaceLimits(2, 2)


def greet(session: Session, node: Node, **said: Any) -> Welcome:
    return greeting.greet(session, node.id, Hello(**{"name": node.label, **said}), LIMITS)


def test_what_an_agent_says_at_a_start_is_what_is_known_of_it(session: Session) -> None:
    node = factories.a_node(session)

    greet(session, node, slots=7, labels={"gpu": "2"}, cpus=8, memory_mb=512, sandboxes=["bubblewrap"])

    assert (node.slots, node.own_labels, node.cpus, node.memory_mb) == (7, {"gpu": "2"}, 8, 512)
    assert (node.sandboxes, node.protocol) == (["bubblewrap"], VERSION)


def test_an_agent_may_change_its_name(session: Session) -> None:
    node = factories.a_node(session)

    welcome = greet(session, node, name="renamed")

    assert (node.label, welcome.name) == ("renamed", "renamed")


def test_the_name_of_another_machine_stays_with_that(session: Session) -> None:
    node, other = factories.a_node(session), factories.a_node(session)
    before = node.label

    welcome = greet(session, node, name=other.label)

    assert (node.label, welcome.name) == (before, before)


def test_a_problem_is_known_until_it_is_over(session: Session) -> None:
    node = factories.a_node(session)

    greet(session, node, problem="The disk is full.")
    told = node.problem
    greet(session, node)

    assert (told, node.problem) == ("The disk is full.", "")


def test_an_agent_that_starts_again_is_no_second_one(session: Session) -> None:
    node = factories.a_node(session)

    for run in ("first", "second"):
        greet(session, node, run=run, steps=[])
        greet(session, node, run=run)

    assert not greeting.has_twin(node)


def test_a_copy_of_an_agent_is_known_when_the_first_goes_on(session: Session) -> None:
    node = factories.a_node(session)
    greet(session, node, run="original", steps=[])
    greet(session, node, run="copy", steps=[])

    greet(session, node, run="original")

    assert greeting.has_twin(node)


def test_of_two_agents_with_one_key_none_takes_the_work_of_the_other(session: Session) -> None:
    held = agents.a_taken_step(session)
    node = agents.node_of(session, held)
    node.date_twin_heard = clock.now()

    greet(session, node, run="copy", steps=[])

    assert held.status == Status.ALLOCATED


def test_when_the_copy_is_stopped_the_other_is_alone_again(session: Session) -> None:
    node = factories.a_node(session)
    for said in ({"run": "original", "steps": []}, {"run": "copy", "steps": []}, {"run": "original"}):
        greet(session, node, **said)
    known = node.date_twin_heard

    greet(session, node, run="original")

    assert node.date_twin_heard == known


def test_steps_that_an_agent_does_not_know_at_its_start_are_made_again(session: Session) -> None:
    lost = agents.a_taken_step(session)

    greet(session, agents.node_of(session, lost), steps=[])

    assert agents.state(lost) == (Status.FINISHED, Result.INFRA_FAILED)
    assert session.get_one(JobStep, lost.replacement_id).attempt == 2
    assert agents.reasons_of(session, lost.job.build_id) == ["agent_restarted"]


def test_steps_that_an_agent_still_has_at_its_start_stay_with_it(session: Session) -> None:
    step = agents.a_taken_step(session)

    greet(session, agents.node_of(session, step), steps=[step.id.hex, "a foreign folder"])

    assert agents.state(step) == (Status.ALLOCATED, Result.UNKNOWN)


def test_a_greeting_in_between_says_nothing_about_steps(session: Session) -> None:
    step = agents.a_taken_step(session)

    greet(session, agents.node_of(session, step))

    assert agents.state(step) == (Status.ALLOCATED, Result.UNKNOWN)


@pytest.mark.parametrize(("version", "older"), [(VERSION + 2, "server"), (VERSION - 2, "agent")])
def test_two_versions_apart_do_not_understand_each_other(session: Session, version: int, older: str) -> None:
    with pytest.raises(OtherVersion, match=f"upgrade the {older}"):
        greet(session, factories.a_node(session), protocol=version)


@pytest.mark.parametrize("version", [VERSION + 1, VERSION - 1])
def test_one_version_apart_is_welcome(session: Session, version: int) -> None:
    assert greet(session, factories.a_node(session), protocol=version).protocol == VERSION


def test_an_agent_needs_a_name(session: Session) -> None:
    with pytest.raises(Invalid):
        greet(session, factories.a_node(session), name=" ")
