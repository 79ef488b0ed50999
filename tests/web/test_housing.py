"""Who is given a step that needs a sandbox, or that a stranger wrote; and what is said meanwhile."""

from typing import Any
from uuid import UUID

from tests import factories
from tests.builds import queues
from tests.web.conftest import API, Agent, Live, answered

from changes.builds.models import Build
from changes.builds.rules import Status

HELD = ["memory", "pids", "cpus"]


def a_build(live: Live, *, is_trusted: bool = True, **said: Any) -> UUID:
    with live.database.transaction() as session:
        project = queues.a_project(session, "housed", **said)
        return queues.ask_for(session, project, is_trusted=is_trusted).id


def tell(live: Live, agent: Agent, sandboxes: list[str], limits: list[str]) -> None:
    told = {"name": "machine", "slots": 1, "sandboxes": sandboxes, "limits": limits}
    answered(live.http.post(f"{API}/agents/hello/", json=told, headers=agent.headers)).raise_for_status()


def why(live: Live, build_id: UUID) -> str:
    sentence: str = live.get(f"/builds/{build_id.hex}/").json()["waiting"]
    return sentence


def test_a_step_with_an_image_waits_for_a_machine_with_podman(live: Live, agent: Agent) -> None:
    build_id = a_build(live, image="tools:1")
    tell(live, agent, ["process", "bubblewrap"], HELD)
    nothing = agent.next()
    said = why(live, build_id)

    tell(live, agent, ["process", "podman"], [])
    [offer] = agent.next()

    assert (nothing, said) == ([], "No machine could ever run this: none offers the sandbox podman.")
    assert offer["build"] == build_id.hex


def test_what_a_stranger_wrote_waits_for_a_machine_with_limits(live: Live, agent: Agent) -> None:
    build_id = a_build(live, is_trusted=False)
    tell(live, agent, ["process", "bubblewrap"], [])
    nothing = agent.next()
    said = why(live, build_id)

    tell(live, agent, ["process", "bubblewrap"], HELD)
    [offer] = agent.next()

    assert nothing == []
    assert said == "No machine could ever run this: none offers limits of memory and processes."
    assert offer["trusted"] is False


def test_what_a_stranger_wrote_passes_by_machines_without_a_sandbox(live: Live, agent: Agent) -> None:
    build_id = a_build(live, is_trusted=False)
    tell(live, agent, ["process"], HELD)
    other = live.agent("another")

    assert agent.next() + other.next() == []
    with live.database.transaction() as session:
        (step,) = factories.steps_of(session, session.get_one(Build, build_id))
        assert step.status == Status.PENDING_ALLOCATION


def test_labels_of_a_machine_are_shown_as_they_were_given(live: Live, agent: Agent) -> None:
    tell(live, agent, ["process", "bubblewrap"], HELD)

    assert live.get(f"/nodes/{agent.node_id}/").json()["labels"] == {}
