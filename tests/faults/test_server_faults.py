"""Parts of the server die in the middle of a build: nothing that was acknowledged is lost or doubled."""

import contextlib
import os
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from sqlalchemy import text
from tests.faults.gates import Gate, assert_counted_without_holes, begun, begun_step, plan
from tests.scenarios.running import PROGRAM, RunningSystem, eventually

from changes.base.task import TaskState

pytestmark = pytest.mark.system
REPORT = '<testsuite><testcase classname="a" name="one"/><testcase classname="a" name="two"/></testsuite>'
WRITE_REPORT = f"echo '{REPORT}' > junit.xml"
RUNG_AGAIN_WITHIN_S = 400.0


@pytest.mark.parametrize("end", ["kill", pytest.param("stop", marks=pytest.mark.long)])
def test_a_web_server_that_goes_and_comes_loses_no_byte_of_a_log(
    system: RunningSystem, gate: Gate, end: str
) -> None:
    build_id, step_id = begun(system, gate.counting)

    ends: dict[str, Callable[[], object]] = {"kill": system.web.kill, "stop": system.web.stop}
    ends[end]()
    system.web.start()
    system.wait_until_web_answers()
    gate.open()

    build = system.api.finished(build_id)
    assert (build["result"]["id"], build["lostAttempts"]) == ("passed", [])
    assert_counted_without_holes(system.api.log(step_id))


def test_a_step_that_ends_while_the_web_server_is_away_is_handed_in_later(
    system: RunningSystem, gate: Gate
) -> None:
    build_id, step_id = begun(system, gate.counting)

    system.web.kill()
    gate.open()
    eventually((system.home / "agent" / "steps" / step_id / "report.json").exists)
    system.web.start()

    assert system.api.finished(build_id)["result"]["id"] == "passed"
    assert_counted_without_holes(system.api.log(step_id))


def test_somebody_who_waits_for_a_build_waits_across_a_restart(system: RunningSystem, gate: Gate) -> None:
    slug = system.project(plan(gate.waiting))
    env = {**os.environ, "CHANGES_URL": system.url, "CHANGES_TOKEN": system.api.token}
    command = [*PROGRAM, "build", slug, "--wait"]

    with subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as waiting:
        assert waiting.stderr is not None
        # It has its answer, and the agent its step: a build is there before the one, a node before the other.
        said = waiting.stderr.readline()
        begun_step(system.api, system.api.get(f"/projects/{slug}/builds/")[0]["id"])
        system.web.kill()
        system.web.start()
        system.wait_until_web_answers()
        gate.open()
        output, errors = waiting.communicate(timeout=400)

    assert waiting.returncode == 0, said + errors
    assert system.api.finished(output.decode().strip())["result"]["id"] == "passed"


def test_results_that_a_killed_worker_was_reading_are_read_by_the_next(system: RunningSystem) -> None:
    slug = system.project(plan(WRITE_REPORT))

    with nobody_may_store_tests(system):
        build_id = system.api.build(slug)
        eventually(lambda: collecting(system, build_id) == TaskState.RUNNING)
        waiting = system.api.get(f"/builds/{build_id}/")["waiting"]
        system.worker.kill()
    let_the_lease_run_out(system)
    system.worker.start()

    assert waiting == "What its steps left behind waits to be read by a worker."
    build = system.api.finished(build_id)
    assert (build["result"]["id"], build["failures"]) == ("passed", [])
    assert system.api.get(f"/builds/{build_id}/tests/counts")["passed"] == 2


@contextlib.contextmanager
def nobody_may_store_tests(system: RunningSystem) -> Iterator[None]:
    with system.database.engine.begin() as connection:
        connection.execute(text("lock table test in share mode"))
        yield


def collecting(system: RunningSystem, build_id: str) -> int | None:
    of_step = text(
        "select task.state from task join job_step on job_step.id = task.child_id"
        " join job on job.id = job_step.job_id where job.build_id = :build_id and task.name like '%collect%'"
    )
    with system.database.engine.begin() as connection:
        return connection.execute(of_step, {"build_id": build_id}).scalar_one_or_none()


def let_the_lease_run_out(system: RunningSystem) -> None:
    """What 30 seconds do."""
    with system.database.engine.begin() as connection:
        connection.execute(text("update task set lease_until = now() where lease is not null"))


def test_results_wait_for_a_broker_that_is_away_and_are_read_when_it_is_back(system: RunningSystem) -> None:
    slug = system.project(plan(WRITE_REPORT))
    system.broker.stop()

    build_id = system.api.build(slug)
    system.api.when(build_id, lambda build: build["status"]["id"] == "collecting_results")
    system.broker.start()

    build = system.api.finished(build_id, RUNG_AGAIN_WITHIN_S)
    assert (build["result"]["id"], build["stats"]["test_count"]) == ("passed", 2)


def test_a_request_repeated_with_its_key_makes_one_build_even_across_a_crash(system: RunningSystem) -> None:
    slug = system.project(plan("echo once"))
    asked = {"project": slug, "sha": "HEAD"}
    key = {"Idempotency-Key": f"key of {slug}"}

    first = system.api.post("/builds/", key, **asked)
    second = system.api.post("/builds/", key, **asked)
    system.web.kill()
    system.web.start()
    system.wait_until_web_answers()
    third = system.api.post("/builds/", key, **asked)

    assert first[0]["id"] == second[0]["id"] == third[0]["id"]
    assert len(system.api.get(f"/projects/{slug}/builds/")) == 1


def test_a_request_whose_answer_a_crash_cuts_off_may_simply_be_repeated(system: RunningSystem) -> None:
    slug = system.project(plan("echo once"))
    key = {"Idempotency-Key": f"key of {slug}"}

    with ThreadPoolExecutor() as somebody:
        with nobody_may_number_builds(system, slug):
            cut_off = somebody.submit(system.api.post, "/builds/", key, project=slug, sha="HEAD")
            eventually(lambda: somebody_waits_for_a_lock(system))
            system.web.kill()
        assert isinstance(cut_off.exception(), httpx.TransportError)
    system.web.start()
    system.wait_until_web_answers()
    (made,) = system.api.post("/builds/", key, project=slug, sha="HEAD")

    assert made["number"] == 1
    assert system.api.finished(made["id"])["result"]["id"] == "passed"
    assert len(system.api.get(f"/projects/{slug}/builds/")) == 1


@contextlib.contextmanager
def nobody_may_number_builds(system: RunningSystem, slug: str) -> Iterator[None]:
    with system.database.engine.begin() as connection:
        connection.execute(text("select from project where slug = :slug for update"), {"slug": slug})
        yield


def somebody_waits_for_a_lock(system: RunningSystem) -> bool:
    waiting = text(
        "select count(*) > 0 from pg_stat_activity"
        " where datname = current_database() and wait_event_type = 'Lock'"
    )
    with system.database.engine.begin() as connection:
        return bool(connection.execute(waiting).scalar_one())
