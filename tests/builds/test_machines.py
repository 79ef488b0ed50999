"""Machines that are drained, disabled, in quarantine, or avoided."""

from datetime import timedelta

import pytest
from sqlalchemy.orm import Session
from tests import factories
from tests.builds import agents, queues

from changes.base import clock
from changes.base.settings import Settings
from changes.builds import health, lanes, machines, reasons, retry, tending, waiting
from changes.builds.models import Build, JobStep, Node
from changes.builds.queue_rules import NodeState, is_to_be_quarantined, quarantine_s
from changes.builds.reasons import Reason
from changes.builds.rules import ReplaceLimits, Result, Status
from changes.projects.models import Project
from changes.protocol import StepReport

LIMITS = ReplaceLimits(10, 10)
LOST = Reason(reasons.AGENT_LOST, {"node": "n", "silence_s": 60})


def a_busy_node(session: Session) -> tuple[Node, JobStep]:
    node = queues.a_node(session)
    build = factories.a_build(session)
    queues.hand_out(session, node)
    (step,) = factories.steps_of(session, build)
    agents.begin(session, step)
    return node, step


def test_a_drained_machine_ends_what_it_has_and_gets_nothing_new(session: Session) -> None:
    node, step = a_busy_node(session)
    queues.a_queue(session, "p")

    machines.drain(session, node, "new disk")

    assert queues.hand_out(session, node) == []
    assert agents.end(session, step)
    assert (node.state, node.state_reason) == (NodeState.DRAINED, "new disk")


def test_what_a_disabled_machine_works_on_is_done_elsewhere(session: Session) -> None:
    node, step = a_busy_node(session)

    stopped = machines.disable(session, node, "", LIMITS)

    replacement = session.get_one(JobStep, step.replacement_id)
    assert stopped == 1
    assert agents.state(step) == (Status.FINISHED, Result.INFRA_FAILED)
    assert queues.hand_out(session, node) == []
    assert len(queues.hand_out(session, queues.a_node(session))) == 1
    session.refresh(replacement)
    assert replacement.status == Status.ALLOCATED


def test_an_enabled_machine_works_again(session: Session) -> None:
    node = queues.a_node(session)
    machines.drain(session, node, "")
    queues.a_queue(session, "p")

    machines.enable(session, node)

    assert queues.hand_out(session, node) == ["p"]


def lose(session: Session, node: Node, times: int = 1, why: Reason = LOST) -> None:
    for _ in range(times):
        build = factories.a_build(session)
        (step,) = factories.steps_of(session, build)
        retry.replace_lost_step(session, factories.give_to(session, step, node), why, ReplaceLimits(0, 0))
        session.flush()


def test_a_machine_that_loses_one_step_after_the_other_gets_nothing_for_a_while(
    session: Session, settings: Settings
) -> None:
    node, other = queues.a_node(session), queues.a_node(session)

    lose(session, node, settings.node_quarantine_after)
    queues.a_queue(session, "p", 2)

    assert node.quarantined_until is not None
    assert queues.hand_out(session, node) == []
    assert queues.hand_out(session, other) == ["p"]


def test_one_step_that_went_well_in_between_is_enough(session: Session, settings: Settings) -> None:
    node, _ = queues.a_node(session), queues.a_node(session)
    lose(session, node, settings.node_quarantine_after - 1)
    (step,) = factories.steps_of(session, factories.a_build(session))
    agents.end(session, factories.give_to(session, step, node))

    lose(session, node)

    assert node.quarantined_until is None


def test_the_only_machine_is_never_put_into_quarantine(session: Session, settings: Settings) -> None:
    node = queues.a_node(session)

    lose(session, node, settings.node_quarantine_after)

    assert node.quarantined_until is None


def test_the_only_machine_of_its_cluster_is_never_put_into_quarantine(
    session: Session, settings: Settings
) -> None:
    mac = queues.a_node(session, labels={"cluster": "mac,all"})
    queues.a_node(session, labels={"cluster": "linux,all"})

    lose(session, mac, settings.node_quarantine_after)
    alone = mac.quarantined_until
    queues.a_node(session, labels={"cluster": "all,mac"})
    lose(session, mac)

    assert alone is None
    assert mac.quarantined_until is not None


def test_an_agent_that_somebody_stopped_is_not_to_blame(session: Session, settings: Settings) -> None:
    node, _ = queues.a_node(session), queues.a_node(session)

    lose(session, node, settings.node_quarantine_after, Reason(reasons.AGENT_STOPPED, {"node": "n"}))

    assert node.quarantined_until is None


def test_machines_that_get_a_new_version_one_after_the_other_cost_no_job(session: Session) -> None:
    build = factories.a_build(session)

    for _ in range(4):
        node = queues.a_node(session)
        queues.hand_out(session, node)
        assert machines.disable(session, node, "upgrade", ReplaceLimits(6, machines=2)) == 1

    assert not build.is_finished
    assert len(queues.hand_out(session, queues.a_node(session))) == 1


def test_what_somebody_stopped_is_not_counted_with_what_machines_lost(session: Session) -> None:
    build = factories.a_build(session)
    stopped = Reason(reasons.AGENT_STOPPED, {"node": "n"})
    step: JobStep | None = factories.steps_of(session, build)[0]

    for why in (stopped, stopped, LOST, stopped, LOST):
        assert step is not None
        factories.give_to(session, step, queues.a_node(session))
        step = retry.replace_lost_step(session, step, why, ReplaceLimits(6, machines=2))

    assert step is not None
    assert step.attempt == 6


def test_a_step_that_comes_back_again_and_again_is_given_up(session: Session) -> None:
    build = factories.a_build(session)
    stopped = Reason(reasons.AGENT_STOPPED, {"node": "n"})
    step: JobStep | None = factories.steps_of(session, build)[0]
    attempts = 0

    while step is not None:
        factories.give_to(session, step, queues.a_node(session))
        step, attempts = retry.replace_lost_step(session, step, stopped, ReplaceLimits(3, 2)), attempts + 1

    assert attempts == 4
    assert agents.reasons_of(session, build.id)[-1] == reasons.REPLACED_TOO_OFTEN


def test_a_machine_that_cannot_work_says_so_and_is_put_into_quarantine(
    session: Session, settings: Settings
) -> None:
    node, _ = queues.a_node(session), queues.a_node(session)
    told = StepReport(status="released", reason="agent_error", message="The agent cannot work: no space left")
    for _ in range(settings.node_quarantine_after):
        build = factories.a_build(session)
        agents.tell(session, factories.give_to(session, factories.steps_of(session, build)[0], node), told)

    (why,) = waiting.lost_attempts(session, build.id)
    assert reasons.sentence(why.reason, why.data) == "The agent says: The agent cannot work: no space left"
    assert node.quarantined_until is not None


NO_CHECKOUT = Reason(reasons.CHECKOUT_FAILED, {"message": "no route to host"})


def lose_checkouts(session: Session, project: Project, node: Node, times: int = 1) -> None:
    for _ in range(times):
        (step,) = factories.steps_of(session, factories.a_build(session, project, plans=0))
        factories.give_to(session, step, node)
        retry.replace_lost_step(session, step, NO_CHECKOUT, ReplaceLimits(0, 0))
        session.flush()


@pytest.fixture
def unreachable(session: Session) -> Project:
    """Nobody can check it out."""
    project = factories.a_project(session)
    factories.a_plan(session, project, {"commands": ["true"]})
    return project


def test_a_project_that_two_machines_cannot_check_out_is_no_fault_of_either(
    session: Session, settings: Settings, unreachable: Project
) -> None:
    nodes = [queues.a_node(session), queues.a_node(session)]

    for _ in range(settings.node_quarantine_after):
        for node in nodes:
            lose_checkouts(session, unreachable, node)

    assert [node.quarantined_until for node in nodes] == [None, None]


def test_what_only_one_machine_cannot_check_out_is_its_own_fault(
    session: Session, settings: Settings, unreachable: Project
) -> None:
    node, _ = queues.a_node(session), queues.a_node(session)

    lose_checkouts(session, unreachable, node, settings.node_quarantine_after)

    assert node.quarantined_until is not None


def test_a_machine_returns_when_another_cannot_check_it_out_either(
    session: Session, settings: Settings, unreachable: Project
) -> None:
    node, other = queues.a_node(session), queues.a_node(session)
    lose_checkouts(session, unreachable, node, settings.node_quarantine_after)
    before = health.lift_quarantines(session)

    lose_checkouts(session, unreachable, other)

    assert (before, health.lift_quarantines(session)) == (0, 1)
    assert (node.quarantined_until, node.quarantines) == (None, 0)


def test_after_its_quarantine_a_machine_gets_one_step_to_try(session: Session) -> None:
    node = queues.a_node(session, quarantined_until=clock.now() - timedelta(seconds=1), quarantines=1)
    queues.a_queue(session, "p", 5)

    assert queues.hand_out(session, node, 4) == ["p"]
    assert queues.hand_out(session, node, 4) == []


def test_a_machine_that_passed_its_trial_is_trusted_again(session: Session) -> None:
    node = queues.a_node(session, quarantined_until=clock.now() - timedelta(seconds=1), quarantines=1)
    queues.a_queue(session, "p", 9)
    queues.hand_out(session, node, 4)

    queues.end_all(session, Result.FAILED)
    health.lift_quarantines(session)
    session.refresh(node)

    assert (node.quarantined_until, node.quarantines) == (None, 0)
    assert len(queues.hand_out(session, node, 4)) == 4


def test_a_machine_that_fails_its_trial_waits_twice_as_long(session: Session, settings: Settings) -> None:
    node, _ = queues.a_node(session), queues.a_node(session)
    lose(session, node, settings.node_quarantine_after)
    node.quarantined_until = clock.now() - timedelta(seconds=1)

    lose(session, node)

    left_s = (node.quarantined_until - clock.now()).total_seconds()
    assert left_s > settings.node_quarantine_s * 1.5


def test_an_operator_lifts_a_quarantine_and_what_was_is_forgiven(
    session: Session, settings: Settings
) -> None:
    node, _ = queues.a_node(session), queues.a_node(session)
    lose(session, node, settings.node_quarantine_after)

    machines.enable(session, node)
    lose(session, node)

    assert node.quarantined_until is None


@pytest.mark.parametrize(("lost", "limit"), [([True] * 2, 3), ([False, True, True, True], 3), ([], 0)])
def test_quarantine_needs_losses_in_a_row(lost: list[bool], limit: int) -> None:
    assert not is_to_be_quarantined(lost, limit=limit)


def test_quarantines_grow_and_have_an_end() -> None:
    assert [quarantine_s(600, earlier=earlier) for earlier in (0, 1, 2)] == [600, 1200, 2400]
    assert quarantine_s(600, earlier=50) == quarantine_s(600, earlier=6)


def test_a_step_avoids_the_machine_that_lost_it_while_another_lives(session: Session) -> None:
    node, other = queues.a_node(session), queues.a_node(session)
    build = factories.a_build(session)
    (step,) = factories.steps_of(session, build)
    retry.replace_lost_step(session, factories.give_to(session, step, node), LOST, LIMITS)

    refused = queues.hand_out(session, node)
    other.date_last_seen = clock.now() - timedelta(seconds=1000)

    assert refused == []
    assert queues.hand_out(session, node) == [build.project.slug]


def test_a_machine_takes_newer_steps_when_the_oldest_avoids_it(session: Session) -> None:
    node, _ = queues.a_node(session), queues.a_node(session)
    project = queues.a_queue(session, "p", 2)
    first = session.query(JobStep).filter_by(project_id=project.id).order_by(JobStep.id).first()
    assert first is not None
    first.data = {**first.data, "avoid_nodes": [node.id.hex]}

    assert queues.hand_out(session, node, 5) == ["p"]


def test_a_step_that_is_not_due_yet_is_in_no_lane_until_then(session: Session) -> None:
    project = queues.a_project(session, "p")
    build = queues.ask_for(session, project)
    queues.change(session, build, not_before=clock.now() + timedelta(seconds=60))
    node = queues.a_node(session)

    early = queues.hand_out(session, node)
    factories.steps_of(session, build)[0].not_before = clock.now() - timedelta(seconds=1)
    entered = lanes.enter_due(session)

    assert (early, entered) == ([], 1)
    assert queues.hand_out(session, node) == ["p"]


def test_how_long_steps_take_is_learned_from_those_that_ended(session: Session) -> None:
    project = queues.a_queue(session, "p", 2)
    for step, seconds in zip(session.query(JobStep).filter_by(project_id=project.id), (10, 20), strict=True):
        step.status, step.result = Status.FINISHED, Result.PASSED
        step.date_started = clock.now()
        step.date_finished = step.date_started + timedelta(seconds=seconds)
    session.flush()

    tending.tend(session)

    (lane,) = queues.lanes_of(session, project)
    session.refresh(lane)
    assert lane.typical_s == 15


def avoid(session: Session, build: Build, node: Node) -> None:
    """As after an attempt that got lost on this machine."""
    (step,) = factories.steps_of(session, build)
    step.data = {**step.data, "avoid_nodes": [node.id.hex]}
    session.flush()


def a_node_and_a_busy_one(session: Session) -> Node:
    """The other could take what this one avoids, once it is free."""
    free, busy = queues.a_node(session), queues.a_node(session, slots=1)
    queues.a_queue(session, "other")
    queues.hand_out(session, busy)
    return free


def test_a_limit_of_a_project_is_not_used_up_by_a_step_that_avoids_this_machine(session: Session) -> None:
    node = a_node_and_a_busy_one(session)
    project = queues.a_project(session, "p", options={"queue.limit": "1"})
    avoid(session, queues.ask_for(session, project, priority=queues.URGENT), node)
    second = queues.ask_for(session, project)

    assert queues.hand_out(session, node) == ["p"]
    assert factories.steps_of(session, second)[0].node_id == node.id


def test_many_lanes_that_avoid_a_machine_leave_it_the_next(session: Session) -> None:
    node = a_node_and_a_busy_one(session)
    for number in range(6):
        project = queues.a_project(session, f"p{number}")
        avoid(session, queues.ask_for(session, project, priority=queues.URGENT), node)
    queues.a_queue(session, "last")

    assert queues.hand_out(session, node) == ["last"]
