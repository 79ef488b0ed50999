"""Steps go to machines that can house them, and to no others."""

from typing import Any

import pytest
from sqlalchemy.orm import Session
from tests import factories
from tests.builds import queues

from changes.builds import housing, waiting
from changes.builds.lanes import Needs
from changes.builds.models import Build, Node
from changes.builds.queue_look import look
from changes.protocol import Machine

BWRAP, PODMAN, LIMITED = "sandbox:bubblewrap", "sandbox:podman", "sandbox:limits"


def needs_of(session: Session, build: Build) -> Needs:
    (step,) = factories.steps_of(session, build)
    (line,) = (line for line in look(session, silence_s=60).lanes if line.seen.id == step.lane_id)
    return line.needs


@pytest.mark.parametrize(
    ("said", "is_trusted", "needed"),
    [
        ({}, True, set()),
        ({"sandbox": "process"}, True, set()),
        ({"sandbox": "bubblewrap"}, True, {BWRAP}),
        ({"sandbox": "lxc", "image": "base"}, True, {"sandbox:lxc"}),
        ({"image": "tools:1"}, True, {PODMAN}),
        ({"network": False}, True, {BWRAP}),
        ({"network": False, "image": "tools:1"}, True, {PODMAN}),
        ({}, False, {BWRAP, LIMITED}),
        ({"network": True}, False, {BWRAP, LIMITED}),
        ({"image": "tools:1"}, False, {PODMAN, LIMITED}),
        ({"sandbox": "podman", "image": "tools:1"}, False, {PODMAN, LIMITED}),
        # Refused in words by whichever machine gets it.
        ({"sandbox": "process"}, False, set()),
    ],
)
def test_a_step_needs_what_the_agent_would_choose(
    session: Session, said: dict[str, Any], needed: set[str], *, is_trusted: bool
) -> None:
    project = queues.a_project(session, "p", labels={"gpu": "1"}, **said)

    build = queues.ask_for(session, project, is_trusted=is_trusted)

    assert needs_of(session, build).labels == {"gpu": "1", **dict.fromkeys(needed, "yes")}


@pytest.mark.parametrize(
    ("limits", "is_limited"), [(["memory", "pids", "cpus"], True), (["memory"], False), ([], False)]
)
def test_a_machine_offers_what_its_agent_found_out(limits: list[str], *, is_limited: bool) -> None:
    told = Machine(name="m", labels={"gpu": "1"}, sandboxes=["process", "podman", "odd"], limits=limits)

    offered = housing.labels_of(told)

    more = {LIMITED: "yes"} if is_limited else {}
    assert offered == {"gpu": "1", "sandbox:process": "yes", PODMAN: "yes", **more}


def test_a_machine_cannot_be_given_a_sandbox_by_a_label() -> None:
    told = Machine(name="m", labels={PODMAN: "yes", LIMITED: "yes"}, sandboxes=["process"])

    assert housing.labels_of(told) == {"sandbox:process": "yes"}


def a_machine_with(session: Session, sandboxes: list[str], limits: list[str]) -> Node:
    told = Machine(name="m", sandboxes=sandboxes, limits=limits)
    return queues.a_node(session, labels=housing.labels_of(told))


def said_of(session: Session, build: Build) -> str | None:
    return waiting.sentence(session, build, silence_s=60)


def test_why_a_step_waits_names_the_sandbox_that_nobody_offers(session: Session) -> None:
    a_machine_with(session, ["process"], [])

    build = queues.ask_for(session, queues.a_project(session, "p", image="tools:1"))

    assert said_of(session, build) == ("No machine could ever run this: none offers the sandbox podman.")


def test_why_a_patch_of_a_stranger_waits_names_the_limits_that_nobody_offers(session: Session) -> None:
    a_machine_with(session, ["process", "bubblewrap"], ["memory"])

    build = queues.ask_for(session, queues.a_project(session, "p"), is_trusted=False)

    assert said_of(session, build) == (
        "No machine could ever run this: none offers limits of memory and processes."
    )


def test_a_machine_that_can_house_it_is_next(session: Session) -> None:
    a_machine_with(session, ["process", "bubblewrap"], ["memory", "pids"])

    build = queues.ask_for(session, queues.a_project(session, "p"), is_trusted=False)

    assert said_of(session, build) == "An agent takes it next."
