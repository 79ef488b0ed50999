"""An unmodified scheduler and agents of the original work for this server, beside an agent of ours."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.fakes.changes_scheduler import HOST, Scheduler
from tests.scenarios.running import RunningSystem, eventually

from changes.base.ids import new
from changes.builds.original import keys
from changes.builds.original.models import KeyUse

pytestmark = pytest.mark.system
JUNIT = '<testsuite><testcase classname="a" name="works" time="0.5"/></testsuite>'
DATE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\dZ")
PART = re.compile(r'Content-Disposition: form-data; name="(\w+)"\r\n\r\n(.*?)\r\n--', re.DOTALL)


@pytest.fixture
def scheduler(system: RunningSystem, tmp_path: Path) -> Iterator[Scheduler]:
    """Of a cluster that nobody else serves."""
    name = f"mesos-{new().hex}"
    with system.database.transaction() as session:
        key = keys.make(session, name, KeyUse.ALLOCATE)
    scheduler = Scheduler(f"{system.url}/original/{key.secret}", tmp_path / "scheduler", name)
    yield scheduler
    scheduler.stop()
    # Else its nodes look alive for a minute, and what our agent has lost would wait for them.
    with system.database.transaction() as session:
        keys.revoke(session, key.id)


def a_build(system: RunningSystem, cluster: str | None, *commands: str, **files: str) -> str:
    plan = {"name": "tests", "commands": list(commands)} | ({"cluster": cluster} if cluster else {})
    return system.api.build(system.project({".changes.yml": json.dumps({"plans": [plan]}), **files}))


def console_of(system: RunningSystem, step_id: str) -> str:
    return system.api.bytes_of(f"/jobsteps/{step_id}/logs/console/", raw=1).decode()


def test_a_build_passes_by_the_wire_trace_of_the_original(
    system: RunningSystem, scheduler: Scheduler
) -> None:
    script = f"cat greeting; echo '{JUNIT}' > junit.xml"
    asked = a_build(system, scheduler.cluster, script, greeting="hello from the checkout\n")

    task = scheduler.run_one()

    ended = system.api.finished(asked)
    (step,) = system.api.attempts(asked)
    assert (ended["result"]["id"], ended["stats"].get("test_count")) == ("passed", 1), task.said
    assert "hello from the checkout\n" in console_of(system, step["id"])
    assert step["node"]["name"].startswith(HOST)
    assert_is_the_trace(task.trace, step["id"])


def assert_is_the_trace(trace: list[dict[str, Any]], step_id: str) -> None:
    """Of a run with a setup, one command and one file, a store, and no container."""
    server = [each for each in trace if "/api/0/" in each["url"]]
    store = [each for each in trace if "/store/" in each["url"]]
    reports = [each for each in server if each["kind"]]
    bodies = [dict(PART.findall(each["body"])) for each in reports]
    told = [{name: value for name, value in body.items() if name != "date"} for body in bodies]
    node = f"{HOST}\n"
    begun, ended = {"status": "in_progress"}, {"status": "finished", "return_code": "0"}
    assert (trace[0]["method"], trace[0]["url"].rpartition("/api/0")[2]) == ("GET", f"/jobsteps/{step_id}/")
    assert told == [
        {**begun, "node": node},
        *[begun, ended, begun, ended],
        {"status": "finished", "result": "passed", "node": node},
    ]
    assert all(each["kind"].startswith("multipart/form-data; boundary=") for each in reports)
    assert all(DATE.fullmatch(body["date"]) for body in bodies)
    assert {each["body"] for each in server if each["url"].endswith("/heartbeat/")} == {""}
    assert [each["url"].rpartition("/store")[2] for each in (store[0], store[-1])] == [
        "/buckets/",
        f"/buckets/{step_id}/close",
    ]
    assert json.loads(store[0]["body"]) == {"id": step_id, "owner": "changes"}
    announced = [json.loads(each["body"]) for each in store if each["url"].endswith("/artifacts")]
    size = len(JUNIT) + 1
    assert sorted(announced, key=lambda each: str(each["name"])) == [
        {"chunked": True, "name": "console"},
        {"chunked": True, "name": "infralog"},
        {"chunked": False, "name": "junit.xml", "size": size, "relativePath": "junit.xml"},
    ]
    pieces = [json.loads(each["body"]) for each in store if each["url"].endswith("/artifacts/console")]
    assert all(set(piece) == {"size", "bytes", "byteoffset"} for piece in pieces)


def test_a_build_fails(system: RunningSystem, scheduler: Scheduler) -> None:
    asked = a_build(system, scheduler.cluster, "echo before; exit 3", "echo never")

    scheduler.run_one()

    ended = system.api.finished(asked)
    (step,) = system.api.attempts(asked)
    assert ended["result"]["id"] == "failed"
    assert [each["id"] for each in ended["failures"]] == ["command_failed"]
    assert "never" not in console_of(system, step["id"])


def test_a_cancelled_build_stops_its_agent(system: RunningSystem, scheduler: Scheduler) -> None:
    asked = a_build(system, scheduler.cluster, "echo started; sleep 600")
    step = scheduler.waiting()[0]
    scheduler.allocate(step["id"])
    task = scheduler.start(step)
    eventually(lambda: "started" in logged(system, step["id"]))

    system.api.post(f"/builds/{asked}/cancel/")

    assert task.wait() == 0
    assert system.api.finished(asked)["result"]["id"] == "aborted"
    assert scheduler.needs_abort(step["id"]) == [step["id"]]


def logged(system: RunningSystem, step_id: str) -> str:
    sources = system.api.get(f"/jobsteps/{step_id}/")["logSources"]
    return console_of(system, step_id) if "console" in {each["name"] for each in sources} else ""


def test_a_task_that_dies_is_done_again(system: RunningSystem, scheduler: Scheduler) -> None:
    asked = a_build(system, scheduler.cluster, "cd ~ && test $HOME = $PWD")
    step = scheduler.waiting()[0]
    scheduler.allocate(step["id"])
    task = scheduler.start(step, FAKE_HANG="1")
    eventually(lambda: system.api.get(f"/jobsteps/{step['id']}/")["status"]["id"] == "in_progress")
    task.process.kill()
    task.wait()

    status, _ = scheduler.task_lost(step["id"], "Task lost\n")

    eventually(scheduler.waiting)
    scheduler.run_one()
    assert status == 200
    assert system.api.finished(asked)["result"]["id"] == "passed"
    assert [each["result"]["id"] for each in system.api.attempts(asked)] == ["infra_failed", "passed"]


def test_both_kinds_of_agents_work_at_the_same_time(system: RunningSystem, scheduler: Scheduler) -> None:
    ours = a_build(system, None, "echo $CHANGES_STEP_ID")
    theirs = a_build(system, scheduler.cluster, "echo $CHANGES_STEP_ID")

    scheduler.run_one()

    results = [system.api.finished(each)["result"]["id"] for each in (ours, theirs)]
    assert results == ["passed", "passed"]
    nodes = [system.api.attempts(each)[0]["node"]["name"] for each in (ours, theirs)]
    assert nodes[0] == "tester"
    assert nodes[1].startswith(HOST)


def test_a_collecting_step_is_cut_into_steps(system: RunningSystem, scheduler: Scheduler) -> None:
    named = {"commands": [{"script": "echo one"}, {"script": "echo two"}]}
    commands = [{"script": f"echo '{json.dumps(named)}'", "type": "collect_steps"}]
    plan = {"name": "tests", "cluster": scheduler.cluster, "commands": commands}
    asked = system.api.build(system.project({".changes.yml": json.dumps({"plans": [plan]})}))

    scheduler.run_one()
    eventually(lambda: len(scheduler.waiting()) == 2)
    for _ in range(2):
        scheduler.run_one()

    assert system.api.finished(asked)["result"]["id"] == "passed"
