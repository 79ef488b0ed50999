"""Whose turn it is, and what holds a step up, on real machines: docs/guide/queue.md, line by line.

Two agents: `tester` has two slots, `single` one. A third, `wide`, has three and works only where a test
asks for it, as it alone is of the cluster `wide`. A test that looks at an order drains `tester`, lets
everything queue up while `single` is drained too, and reads from the times what went first.
"""

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.agent.running import PLAIN
from tests.factories import commit, git
from tests.faults.gates import Gate, plan
from tests.scenarios.running import Part, RunningSystem, eventually, running_system, write_files

from changes.builds import nodes

pytestmark = pytest.mark.system

LOST_AT_FIRST = 2
BOTH = ("tester", "single")


class Queue:
    """A running system, its machines by their names."""

    def __init__(self, system: RunningSystem) -> None:
        self.system, self.api = system, system.api

    def node(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = self.api.get(f"/nodes/hostname/{name}/")
        return found

    def drain(self, *names: str) -> None:
        for name in names:
            self.api.post(f"/nodes/{self.node(name)['id']}/drain/", reason="a test")

    def enable(self, *names: str) -> None:
        for name in names:
            self.api.post(f"/nodes/{self.node(name)['id']}/enable/")

    def why(self, build_id: str) -> str:
        return str(self.told(build_id)["block"])

    def told(self, build_id: str) -> dict[str, Any]:
        eventually(lambda: self.api.get(f"/builds/{build_id}/waiting/"))
        found: dict[str, Any] = self.api.get(f"/builds/{build_id}/waiting/")[0]
        return found

    def result(self, build_id: str) -> str:
        return str(self.api.finished(build_id)["result"]["id"])

    def start_of(self, build_id: str) -> str:
        self.api.finished(build_id)
        return str(self.api.attempts(build_id)[0]["dateStarted"])

    def begun(self, build_id: str) -> None:
        self.api.when(build_id, lambda build: build["status"]["id"] == "in_progress")
        eventually(lambda: self.api.log(self.api.attempts(build_id)[-1]["id"]))

    def order(self, builds: dict[str, str]) -> list[str]:
        """Lets `single` take them one after the other; the names of the builds as they went."""
        self.enable("single")
        starts = {build_id: self.start_of(build_id) for build_id in builds}
        return [builds[build_id] for build_id in sorted(starts, key=starts.__getitem__)]


@pytest.fixture(scope="module")
def shared() -> Iterator[Queue]:
    # Plain processes of our own account: the gates lie in pytest's folders.
    with running_system(**PLAIN, NODE_QUARANTINE_AFTER=str(LOST_AT_FIRST)) as system:
        others = [
            another_agent(system, "single", "--slots", "1"),
            another_agent(system, "wide", "--slots", "3", "--label", "cluster=wide"),
        ]
        for each in others:
            each.start()
        eventually(lambda: len(system.api.get("/nodes/")) == 1 + len(others))
        queue = Queue(system)
        queue.drain("wide")
        try:
            yield queue
        finally:
            for each in others:
                each.stop()


def another_agent(system: RunningSystem, name: str, *about: str) -> Part:
    with system.database.transaction() as session:
        token = nodes.make_enrolment_token(session)
    home = str(system.home / name)
    arguments = ("agent", "--server", system.url, "--home", home, "--name", name, *about)
    env = {**system.agent.env, "CHANGES_ENROL_TOKEN": token}
    log = system.home / f"{name}.log"
    return replace(system.agent, name=name, arguments=arguments, env=env, log=log, process=None)


@pytest.fixture
def queue(shared: Queue) -> Iterator[Queue]:
    """Both machines work at the end of each test, and at the start of the next; the third does not."""
    yield shared
    shared.enable(*BOTH)
    shared.drain("wide")


@pytest.fixture
def gate(tmp_path: Path) -> Gate:
    return Gate(tmp_path / "open")


def asked(queue: Queue, slug: str, count: int, name: str = "", **fields: Any) -> dict[str, str]:
    return {queue.api.build(slug, **fields): name or slug for _ in range(count)}


def test_projects_share_the_machines_evenly(queue: Queue) -> None:
    queue.drain(*BOTH)
    greedy, modest = (queue.system.project(plan("true")) for _ in range(2))
    builds = asked(queue, greedy, 3, "greedy") | asked(queue, modest, 2, "modest")

    assert Counter(queue.order(builds)[:4]) == {"greedy": 2, "modest": 2}


def test_a_weight_is_a_larger_share(queue: Queue) -> None:
    queue.drain(*BOTH)
    light, heavy = (queue.system.project(plan("true")) for _ in range(2))
    queue.system.set_option(heavy, "queue.weight", "3")
    builds = asked(queue, light, 2, "light") | asked(queue, heavy, 3, "heavy")

    assert Counter(queue.order(builds)[:4]) == {"light": 1, "heavy": 3}


def test_the_people_of_a_project_share_its_turns(queue: Queue) -> None:
    queue.drain(*BOTH)
    slug = queue.system.project(plan("true"))
    folder = queue.system.repository_of(slug)
    git(folder, "-c", "user.name=Ben", "-c", "user.email=ben@x", "commit", "-q", "--allow-empty", "-m", "b")
    of_ann, of_ben = (git(folder, "rev-parse", name).strip() for name in ("HEAD^", "HEAD"))
    builds = asked(queue, slug, 3, "ann", sha=of_ann) | asked(queue, slug, 2, "ben", sha=of_ben)

    assert Counter(queue.order(builds)[:4]) == {"ann": 2, "ben": 2}


def test_priority_comes_first_and_people_before_programs(queue: Queue) -> None:
    queue.drain(*BOTH)
    slug = queue.system.project(plan("true"))
    builds = {
        **asked(queue, slug, 1, "program", tag="nightly"),
        **asked(queue, slug, 1, "person"),
        **asked(queue, slug, 1, "raised later", tag="nightly"),
    }
    raised = next(build_id for build_id, name in builds.items() if name == "raised later")
    queue.api.post(f"/builds/{raised}/priority/", priority="high")

    assert queue.order(builds) == ["raised later", "person", "program"]


def test_a_drained_machine_ends_what_it_has_and_gets_nothing_new(queue: Queue, gate: Gate) -> None:
    queue.drain("tester")
    slug = queue.system.project(plan(gate.waiting))
    running = queue.api.build(slug)
    queue.begun(running)

    queue.drain("single")
    waiting = queue.api.build(slug)

    assert queue.why(waiting) == "out"
    gate.open()
    assert queue.result(running) == "passed"
    assert queue.why(waiting) == "out"
    queue.enable("single")
    assert queue.result(waiting) == "passed"


def test_what_a_disabled_machine_works_on_is_done_elsewhere(queue: Queue, gate: Gate) -> None:
    queue.drain("tester")
    build_id = queue.api.build(queue.system.project(plan(gate.waiting)))
    queue.begun(build_id)

    queue.enable("tester")
    queue.api.post(f"/nodes/{queue.node('single')['id']}/disable/", reason="smoke")
    gate.open()

    assert queue.result(build_id) == "passed"
    attempts = queue.api.attempts(build_id)
    assert [step["node"]["name"] for step in attempts] == ["single", "tester"]
    assert attempts[0]["replacement_id"] == attempts[1]["id"]


def test_a_machine_that_loses_one_step_after_the_other_is_put_into_quarantine(
    queue: Queue, gate: Gate
) -> None:
    slug = queue.system.project(plan(gate.waiting))
    queue.drain("single")
    held = [queue.api.build(slug) for _ in range(2)]
    for build_id in held:
        queue.begun(build_id)
    queue.enable("single")
    # Its folder tells which machine it is.
    breaks_there = {"script": "case $PWD in */single/*) exit 9;; esac", "type": "infra_setup"}
    config = {"plans": [{"name": "tests", "commands": [breaks_there, "true"]}]}
    broken = queue.system.project({".changes.yml": json.dumps(config)})

    lost = [queue.api.build(broken) for _ in range(LOST_AT_FIRST)]
    eventually(lambda: queue.node("single")["quarantine"] is not None)
    gate.open()

    assert {queue.result(build_id) for build_id in [*held, *lost]} == {"passed"}
    for build_id in lost:
        assert [step["node"]["name"] for step in queue.api.attempts(build_id)] == ["single", "tester"]
    queue.drain("tester")
    waiting = queue.api.build(slug)
    assert queue.why(waiting) == "out"
    queue.enable("single")
    assert queue.result(waiting) == "passed"


def test_what_nobody_could_ever_run_is_told_apart_from_what_waits_for_a_slot(
    queue: Queue, gate: Gate
) -> None:
    queue.drain("tester")
    slug = queue.system.project(plan(gate.waiting))
    queue.begun(queue.api.build(slug))

    busy = queue.api.build(slug)
    never = queue.api.build(queue.system.project(plan("true", cluster="arm")))

    assert queue.why(busy) == "busy"
    told = queue.told(never)
    assert (told["block"], told["missing"], told["estimate"]) == ("never", ["cluster arm"], None)
    gate.open()
    assert queue.result(busy) == "passed"
    queue.api.post(f"/builds/{never}/cancel/")


def test_steps_share_the_memory_of_a_machine_and_what_does_not_fit_says_who_has_it(
    queue: Queue, gate: Gate
) -> None:
    queue.enable("wide")
    memory = queue.node("wide")["memory"]
    slug = queue.system.project(plan(gate.waiting, cluster="wide", memory=memory * 2 // 5))
    held = [queue.api.build(slug) for _ in range(2)]
    for build_id in held:
        queue.begun(build_id)

    third = queue.api.build(slug)

    told = queue.told(third)
    assert (told["block"], told["machines"]) == ("no_room", ["wide"])
    assert f"wide has {memory - 2 * (memory * 2 // 5)} of {memory} MB of memory left" in told["text"]
    assert [each["build"]["id"] for each in told["holders"]] == held
    gate.open()
    assert {queue.result(build_id) for build_id in [*held, third]} == {"passed"}


def test_steps_share_the_processors_of_a_machine(queue: Queue, gate: Gate) -> None:
    queue.enable("wide")
    cpus = queue.node("wide")["cpus"]
    greedy, modest = (
        queue.system.project(plan(gate.waiting, cluster="wide", cpus=each)) for each in (cpus, 1)
    )
    running = queue.api.build(greedy)
    queue.begun(running)

    waiting = queue.api.build(modest)

    told = queue.told(waiting)
    assert f"wide has 0 of {cpus} cpus left (the rest is held by {greedy} #1)" in told["text"]
    gate.open()
    assert [queue.result(build_id) for build_id in (running, waiting)] == ["passed", "passed"]


def test_a_step_that_is_larger_than_every_machine_could_never_run(queue: Queue) -> None:
    most = max(queue.node(name)["memory"] for name in ("wide", *BOTH))

    build_id = queue.api.build(queue.system.project(plan("true", memory=most + 1)))

    told = queue.told(build_id)
    assert (told["block"], told["missing"]) == ("never", [f"{most + 1} MB of memory"])
    assert told["text"].startswith("No machine could ever run this: none offers")
    queue.api.post(f"/builds/{build_id}/cancel/")


def test_a_job_waits_for_those_it_needs_and_begins_when_they_have_passed(queue: Queue, gate: Gate) -> None:
    config = {
        "plans": [
            {"name": "deploy", "needs": ["build"], "commands": ["true"]},
            {"name": "build", "commands": [gate.waiting]},
        ]
    }

    build_id = queue.api.build(queue.system.project({".changes.yml": json.dumps(config)}))

    told = queue.told(build_id)
    assert (told["block"], told["needs"]) == ("needs", ["build"])
    gate.open()
    assert queue.result(build_id) == "passed"
    jobs = {job["name"]: job for job in queue.api.get(f"/builds/{build_id}/")["jobs"]}
    assert jobs["deploy"]["dateStarted"] >= jobs["build"]["dateFinished"]


def test_a_group_limits_steps_of_all_projects_that_name_it(queue: Queue, gate: Gate) -> None:
    queue.api.post("/queue/groups/", name="staging", limit=1)
    slugs = [queue.system.project(plan(gate.waiting, group="staging")) for _ in range(2)]
    running = queue.api.build(slugs[0])
    queue.begun(running)

    waiting = queue.api.build(slugs[1])

    told = queue.told(waiting)
    assert (told["block"], told["limit"]["limit"], told["limit"]["held"]) == ("group_limit", 1, 1)
    assert [each["build"]["id"] for each in told["limit"]["holders"]] == [running]
    queue.api.post("/queue/groups/", name="staging", limit=2)
    queue.begun(waiting)
    gate.open()
    assert [queue.result(build_id) for build_id in (running, waiting)] == ["passed", "passed"]


def test_a_project_runs_no_more_than_its_limit(queue: Queue, gate: Gate) -> None:
    slug = queue.system.project(plan(gate.waiting))
    queue.system.set_option(slug, "queue.limit", "1")
    running = queue.api.build(slug)
    queue.begun(running)

    waiting = queue.api.build(slug)

    assert queue.why(waiting) == "limit"
    gate.open()
    assert [queue.result(build_id) for build_id in (running, waiting)] == ["passed", "passed"]


def test_a_newer_build_of_the_branch_ends_what_runs_of_the_older_one(queue: Queue, tmp_path: Path) -> None:
    gate, ended = Gate(tmp_path / "open"), tmp_path / "ended"
    slug = queue.system.project(plan(f"trap 'touch {ended}' TERM; {gate.waiting}", cancel_superseded=True))
    older = queue.api.build(slug, sha="main")
    queue.begun(older)
    folder = queue.system.repository_of(slug)
    write_files(folder, {"more": "1\n"})
    commit(folder, {}, "More")

    newer = queue.api.build(slug, sha="main")

    assert queue.result(older) == "aborted"
    queue.begun(newer)
    gate.open()
    assert queue.result(newer) == "passed"
    [why] = queue.api.get(f"/builds/{older}/")["failures"]
    assert (why["id"], "The newer build #2 took the place" in why["text"]) == ("superseded", True)


def test_a_pause_between_attempts_costs_no_slot(queue: Queue) -> None:
    queue.drain("tester")
    slow = queue.system.project(plan("exit 3", retry={"times": 1, "increment": 3600}))
    pausing = queue.api.build(slow)
    eventually(lambda: len(queue.api.attempts(pausing)) == 2)

    told = queue.told(pausing)
    other = queue.api.build(queue.system.project(plan("true")))

    assert (told["block"], told["dateNotBefore"] is not None) == ("not_yet", True)
    assert queue.result(other) == "passed"
    queue.api.post(f"/builds/{pausing}/cancel/")
    assert queue.result(pausing) == "aborted"


def test_what_was_paused_goes_on_by_itself(queue: Queue, gate: Gate) -> None:
    once = f"[ -e {gate.path} ] || {{ touch {gate.path}; exit 3; }}"

    build_id = queue.api.build(queue.system.project(plan(once, retry={"times": 1, "increment": 1})))

    assert queue.result(build_id) == "passed"
    assert [step["result"]["id"] for step in queue.api.attempts(build_id)] == ["failed", "passed"]
