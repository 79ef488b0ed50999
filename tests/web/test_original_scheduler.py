"""Schedulers of the original: what they see, what they take, and who else does."""

import shlex
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any
from uuid import UUID

import pytest
from tests.web.conftest import Live, refused
from tests.web.old_wire import (
    HOST,
    OldScheduler,
    a_scheduler,
    a_waiting_step,
    another_step_of,
    flag,
    limit,
)

from changes.base import ids
from changes.builds import sweep
from changes.builds.models import JobStep, Node
from changes.builds.original import machines
from changes.builds.queue_rules import NodeKind
from changes.builds.rules import Result, Status
from changes.builds.sweep import Limits


@pytest.fixture
def scheduler(live: Live) -> OldScheduler:
    return a_scheduler(live)


def step_of(live: Live, step_id: str) -> JobStep:
    with live.database.transaction() as session:
        step = session.get_one(JobStep, UUID(step_id))
        _ = step.node, step.job
        return step


def test_what_waits_is_shown_with_all_that_is_needed_to_start_it(live: Live, scheduler: OldScheduler) -> None:
    step_id = a_waiting_step(live, cpus=2, memory=512)

    (step,) = scheduler.waiting()

    assert (step["id"], step["resources"], step["image"]) == (step_id, {"cpus": 2, "mem": 512}, None)
    assert set(step["project"]) >= {"id", "slug", "name"}
    assert shlex.split(step["cmd"])[0] == "changes-client"
    assert (flag(step["cmd"], "jobstep_id"), flag(step["cmd"], "adapter")) == (step_id, "basic")
    assert flag(step["cmd"], "server").endswith("/api/0/")
    assert not flag(step["cmd"], "artifacts-server").endswith("/")


def test_looking_changes_nothing(live: Live, scheduler: OldScheduler) -> None:
    step_id = a_waiting_step(live)
    agent = live.agent()

    seen = [scheduler.waiting()[0]["id"] for _ in range(2)]

    assert seen == [step_id, step_id]
    assert [offer["id"] for offer in agent.next()] == [step_id]


def test_a_scheduler_sees_the_steps_of_its_cluster_only(live: Live, scheduler: OldScheduler) -> None:
    of_any, of_one = a_waiting_step(live), a_waiting_step(live, cluster="one")

    seen = {
        query: [each["id"] for each in scheduler.waiting(query)]
        for query in ("", "cluster=one", "cluster=two")
    }

    assert seen == {"": [of_any], "cluster=one": [of_one], "cluster=two": []}


def test_steps_that_ask_for_labels_are_for_agents_of_ours(live: Live, scheduler: OldScheduler) -> None:
    step_id = a_waiting_step(live, labels={"arch": "arm"})

    assert scheduler.waiting() == []
    assert scheduler.allocate(step_id).status_code == 409


def test_a_limit_of_steps_shown_is_kept(live: Live, scheduler: OldScheduler) -> None:
    for _ in range(3):
        a_waiting_step(live)

    assert [len(scheduler.waiting(f"limit={most}")) for most in (1, 2, 0)] == [1, 2, 1]
    refused(scheduler.get("/jobsteps/allocate/?limit=x"), 400)
    refused(scheduler.get("/jobsteps/allocate/?limit=-1"), 400)


def test_what_is_taken_is_held_by_the_scheduler(live: Live, scheduler: OldScheduler) -> None:
    step_id = a_waiting_step(live, cluster="one")

    answer = scheduler.allocate(step_id, cluster="one")

    step = step_of(live, step_id)
    assert answer.json() == {"allocated": [step_id]}
    assert step.status == Status.ALLOCATED
    assert step.node is not None
    assert (step.node.label, step.node.kind) == ("mesos: one", NodeKind.SCHEDULER)
    assert live.agent().next() == []


def test_what_an_agent_of_ours_has_nobody_else_gets(live: Live, scheduler: OldScheduler) -> None:
    step_id = a_waiting_step(live)
    live.agent().next()

    told = refused(scheduler.allocate(step_id), 409)

    assert told["error"].startswith(f"Jobstep {step_id} for project ")
    assert told["error"].endswith(" was already allocated")


def test_of_two_schedulers_that_ask_at_once_one_gets_each_step(
    live: Live, together: Callable[..., Future[Any]]
) -> None:
    schedulers = [a_scheduler(live, f"mesos {number}") for number in range(4)]
    steps = [a_waiting_step(live) for _ in range(3)]

    asked = [together(each.allocate, step) for step in steps for each in schedulers]

    statuses = sorted(each.result().status_code for each in asked)
    assert statuses == [200] * 3 + [409] * 9


def test_all_is_taken_or_nothing(live: Live, scheduler: OldScheduler) -> None:
    taken, free = a_waiting_step(live), a_waiting_step(live)
    scheduler.allocate(taken)

    refused(scheduler.allocate(free, taken), 409)

    assert live.status_of_step(free) == Status.PENDING_ALLOCATION


def test_a_limit_of_a_project_holds(live: Live, scheduler: OldScheduler) -> None:
    first = a_waiting_step(live)
    second = another_step_of(live, first)
    limit(live, first, 1)

    both = scheduler.allocate(first, second)
    one = scheduler.allocate(first)

    assert (both.status_code, one.status_code) == (409, 200)
    assert scheduler.waiting() == []
    refused(scheduler.allocate(second), 409)


@pytest.mark.parametrize(
    ("told", "words"),
    [
        ({}, "Missing jobstep_ids attribute"),
        ({"jobstep_ids": ["x"]}, "Invalid jobstep id sent to jobstep_allocate: x"),
        ({"jobstep_ids": ["a" * 32]}, f"Invalid jobstep id sent to jobstep_allocate: {'a' * 32}"),
        ({"jobstep_ids": [1]}, "jobstep_ids"),
        ({"jobstep_ids": ["a" * 32] * 1001}, "jobstep_ids"),
        ({"jobstep_ids": [], "cluster": "a,b"}, "cluster"),
        ({"jobstep_ids": [], "cluster": "x" * 65}, "cluster"),
    ],
)
def test_what_makes_no_sense_is_refused(scheduler: OldScheduler, told: dict[str, Any], words: str) -> None:
    assert words in refused(scheduler.post("/jobsteps/allocate/", told), 400)["error"]


@pytest.mark.parametrize("body", [b"[]", b"{", b"\xff", b"[" * 100_000, b'"x"'])
def test_a_body_that_is_no_object_is_refused(live: Live, scheduler: OldScheduler, body: bytes) -> None:
    answer = live.http.post(f"{scheduler.path}/api/0/jobsteps/allocate/", content=body)

    assert answer.status_code == 400


def test_the_wrong_cluster_is_named(live: Live, scheduler: OldScheduler) -> None:
    step_id = a_waiting_step(live, cluster="one")

    assert "cluster one" in refused(scheduler.allocate(step_id, cluster="two"), 400)["error"]


def test_a_scheduler_cannot_fill_the_list_of_nodes(
    scheduler: OldScheduler, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machines, "CLUSTERS_MAX", 2)

    statuses = [scheduler.get(f"/jobsteps/allocate/?cluster=c{number}").status_code for number in range(3)]

    assert statuses == [200, 200, 400]


def test_a_drained_scheduler_gets_nothing(live: Live, scheduler: OldScheduler) -> None:
    step_id = a_waiting_step(live)
    scheduler.waiting()
    with live.database.transaction() as session:
        node = session.query(Node).one()

    live.post(f"/nodes/{node.id.hex}/drain/")

    assert scheduler.waiting() == []
    refused(scheduler.allocate(step_id), 409)


def test_a_name_that_is_taken_is_not_taken_over(live: Live) -> None:
    ours = live.agent("mesos")

    a_scheduler(live, "mesos").waiting()

    with live.database.transaction() as session:
        labels = {node.label: node.kind for node in session.query(Node)}
    assert labels == {"mesos": NodeKind.AGENT, "mesos (mesos)": NodeKind.SCHEDULER}
    assert ours.heartbeat().status_code == 200


# --- afterwards --------------------------------------------------------------------------


def test_what_is_given_back_is_done_again(live: Live, scheduler: OldScheduler) -> None:
    a_waiting_step(live)
    taken = scheduler.waiting()[0]["id"]
    scheduler.allocate(taken)

    answer = scheduler.post(f"/jobsteps/{taken}/deallocate/", {})

    (again,) = scheduler.waiting()
    assert answer.status_code == 200
    assert answer.json()["replacement_id"] == again["id"] != taken
    told = scheduler.post(f"/jobsteps/{taken}/deallocate/", {})
    assert refused(told, 400)["actual_status"] == "finished"


def test_a_task_that_was_lost_is_made_again(live: Live, scheduler: OldScheduler) -> None:
    a_waiting_step(live)
    agent = scheduler.take()
    agent.begin()
    words = {"source": "console", "text": "Task lost\n"}

    said = scheduler.post(f"/jobsteps/{agent.step_id}/logappend/", words)
    ended = scheduler.post(
        f"/jobsteps/{agent.step_id}/", {"status": "finished", "result": "infra_failed", "node": HOST}
    )

    step = step_of(live, agent.step_id)
    assert (said.status_code, ended.status_code) == (200, 200)
    assert (step.status, step.result) == (Status.FINISHED, Result.INFRA_FAILED)
    assert step.replacement_id is not None
    assert live.get(f"/jobsteps/{agent.step_id}/logs/console/", raw=1).text == "Task lost\n"


def test_a_task_that_ended_without_a_result_is_lost(live: Live, scheduler: OldScheduler) -> None:
    a_waiting_step(live)
    agent = scheduler.take()
    agent.begin()

    scheduler.post(f"/jobsteps/{agent.step_id}/", {"status": "finished", "node": HOST})

    assert step_of(live, agent.step_id).result == Result.INFRA_FAILED


def test_the_end_of_a_task_whose_agent_has_reported_changes_nothing(
    live: Live, scheduler: OldScheduler
) -> None:
    a_waiting_step(live)
    agent = scheduler.take()
    agent.begin()
    agent.run_all()
    agent.end()

    answer = scheduler.post(f"/jobsteps/{agent.step_id}/", {"status": "finished", "node": HOST})

    assert answer.json()["result"]["id"] == "passed"
    assert step_of(live, agent.step_id).result == Result.PASSED


def test_a_cancelled_step_is_to_be_aborted(live: Live, scheduler: OldScheduler) -> None:
    a_waiting_step(live)
    a_waiting_step(live)
    cancelled, running = scheduler.take(), scheduler.take()
    both = {"jobstep_ids": [cancelled.step_id, running.step_id, ids.new().hex]}
    before = scheduler.post("/jobsteps/needs_abort/", both).json()

    live.post(f"/jobsteps/{cancelled.step_id}/cancel/")

    after = scheduler.post("/jobsteps/needs_abort/", both).json()
    assert (before, after) == ({"needs_abort": []}, {"needs_abort": [cancelled.step_id]})


def test_a_step_that_ended_by_its_agents_word_need_not_be_aborted(
    live: Live, scheduler: OldScheduler
) -> None:
    a_waiting_step(live)
    agent = scheduler.take()
    agent.begin()
    agent.end("failed")

    assert scheduler.post("/jobsteps/needs_abort/", {"jobstep_ids": [agent.step_id]}).json() == {
        "needs_abort": []
    }


def test_a_step_whose_agent_never_began_is_made_again_after_its_own_limit(
    live: Live, scheduler: OldScheduler
) -> None:
    a_waiting_step(live)
    agent = scheduler.take()
    step_id = UUID(agent.step_id)
    limits = Limits(silence_s=0, replacements=6, allocation_s=0)

    with live.database.transaction() as session:
        silent = sweep.find(session, sweep.SILENT, limits)
        not_begun = sweep.find(session, sweep.NOT_BEGUN, limits)
        sweep.settle_silent(session, sweep.NOT_BEGUN, step_id, limits)

    assert (silent, not_begun) == ([], [step_id])
    assert step_of(live, agent.step_id).replacement_id is not None


def test_a_step_whose_agent_fell_silent_is_made_again(live: Live, scheduler: OldScheduler) -> None:
    a_waiting_step(live)
    agent = scheduler.take()
    agent.begin()
    agent.heartbeat()

    with live.database.transaction() as session:
        silent = sweep.find(session, sweep.SILENT, Limits(silence_s=0, replacements=6))

    assert silent == [UUID(agent.step_id)]


def test_the_steps_of_another_scheduler_do_not_exist(live: Live, scheduler: OldScheduler) -> None:
    a_waiting_step(live)
    agent = scheduler.take()
    thief = a_scheduler(live, "thief")

    answers = [
        thief.get(f"/jobsteps/{agent.step_id}/"),
        thief.post(f"/jobsteps/{agent.step_id}/", {"status": "finished", "result": "passed"}),
        thief.post(f"/jobsteps/{agent.step_id}/deallocate/", {}),
        thief.post(f"/jobsteps/{agent.step_id}/heartbeat/", {}),
        thief.post(f"/jobsteps/{agent.step_id}/logappend/", {"source": "console", "text": "lies"}),
    ]

    assert [answer.status_code for answer in answers] == [404] * 5
    live.post(f"/jobsteps/{agent.step_id}/cancel/")
    asked = {"jobstep_ids": [agent.step_id]}
    assert thief.post("/jobsteps/needs_abort/", asked).json() == {"needs_abort": []}
