"""`changes up` with the real programs: the first start, and what it finds again after it was stopped, killed
or started twice in the middle of a build.
"""

import json
import os
import re
import signal
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from typing import Any, cast

import httpx
import psutil
import pytest
from tests.faults.gates import Gate, assert_counted_without_holes, begun_step, plan, reasons
from tests.scenarios.asking import Api
from tests.scenarios.running import eventually, processes_in
from tests.scenarios.upping import Up, an_up

pytestmark = pytest.mark.system
numbers = count(1)
ONE_OF_EACH = {"web": 1, "worker": 1, "agent": 1}
NONE = dict.fromkeys(ONE_OF_EACH, 0)
CHECKOUT = {".changes.yml": "plans:\n  - name: first tests\n    commands: [echo built by itself]\n"}


@pytest.fixture(scope="module")
def shared_up() -> Iterator[Up]:
    with an_up(CHECKOUT) as up:
        up.start_until_ready()
        yield up


@pytest.fixture
def up(shared_up: Up) -> Up:
    if not shared_up.is_running:
        shared_up.start_until_ready()
    return shared_up


def begun(up: Up, script: str) -> tuple[str, str]:
    slug = f"project-{next(numbers)}"
    up.project(slug, plan(script))
    api = up.api()
    build_id = api.build(slug)
    return build_id, begun_step(api, build_id)


# --- the first start ---------------------------------------------------------------------


def test_the_checkout_it_runs_from_is_the_first_project_and_its_first_build_passes(up: Up) -> None:
    api = up.api()

    build = api.finished(first_build(api)["id"])

    assert "The first build has begun: changes #1" in up.said
    assert (build["number"], build["result"]["id"]) == (1, "passed")
    (step,) = api.attempts(build["id"])
    assert step["node"]["name"] == "local"
    assert b"\nbuilt by itself\n" in api.log(step["id"])


def first_build(api: Api) -> dict[str, Any]:
    """As it is listed once it has ended."""
    eventually(lambda: api.get("/projects/changes/builds/"))
    api.finished(api.get("/projects/changes/builds/")[0]["id"])
    (first,) = api.get("/projects/changes/builds/")
    return cast("dict[str, Any]", first)


def test_the_printed_link_signs_the_administrator_in_once(up: Up) -> None:
    (link,) = re.findall(r"Sign in as admin@localhost: (\S+)", up.said)
    with httpx.Client(trust_env=False, follow_redirects=True) as browser:
        looked, entered, again = browser.get(link), browser.post(link), browser.post(link)

        who = browser.get(f"{up.api().url}/api/0/auth/").json()

    assert (looked.status_code, entered.status_code, again.status_code) == (200, 200, 403)
    assert (who["user"]["email"], who["scope"]) == ("admin@localhost", "admin")


def test_its_owner_makes_a_token_and_asks_without_any_login(up: Up) -> None:
    made = up.command("token", "create", "--name", "robot", "--scope", "admin", "--json")
    listed = up.command("project", "list", CHANGES_LOGIN=str(up.top / "none.json"))

    token = json.loads(made.stdout)["token"]
    who = httpx.get(
        f"{up.api().url}/api/0/auth/", headers={"Authorization": f"Bearer {token}"}, trust_env=False
    ).json()
    assert who["scope"] == "admin"
    assert re.search(r"^changes +Changes +#1 passed$", listed.stdout, re.MULTILINE)


# --- in the middle of a build ------------------------------------------------------------


def test_a_killed_database_comes_back_and_the_step_never_notices(up: Up, gate: Gate) -> None:
    build_id, step_id = begun(up, gate.counting)
    killed_pid = up.postmaster_pid()

    os.kill(killed_pid, signal.SIGKILL)
    eventually(lambda: not psutil.pid_exists(killed_pid))
    eventually(lambda: up.api().answers)
    gate.open()

    build = up.api().finished(build_id)
    assert (build["result"]["id"], build["lostAttempts"]) == ("passed", [])
    assert_counted_without_holes(up.api().log(step_id))


@dataclass(frozen=True)
class Restarted:
    """Ctrl-C in the middle of a build, and the next start."""

    exit_code: int
    still_running: dict[str, int]
    known_before: list[dict[str, Any]]
    build: dict[str, Any]


@pytest.fixture(scope="module")
def restarted(shared_up: Up, tmp_path_factory: pytest.TempPathFactory) -> Restarted:
    gate = Gate(tmp_path_factory.mktemp("restarted") / "open")
    build_id, _ = begun(shared_up, gate.waiting)
    known = [first_build(shared_up.api())]

    exit_code = shared_up.interrupt()
    still_running = shared_up.running()
    eventually(lambda: not processes_in(shared_up.home))
    gate.open()
    build = shared_up.start_until_ready().finished(build_id)
    return Restarted(exit_code, still_running, known, build)


def test_ctrl_c_ends_everything_and_the_next_start_goes_on_with_the_build(restarted: Restarted) -> None:
    assert (restarted.exit_code, restarted.still_running) == (0, NONE)
    assert restarted.build["result"]["id"] == "passed"
    assert reasons(restarted.build["lostAttempts"]) == ["agent_stopped"]


def test_the_second_start_finds_everything_and_builds_nothing_by_itself(restarted: Restarted, up: Up) -> None:
    api = up.api()

    assert "The first build" not in up.said
    assert api.get("/projects/changes/builds/") == restarted.known_before
    assert [node["name"] for node in api.get("/nodes/")] == ["local"]


def test_after_a_killed_supervisor_the_next_start_leaves_no_second_copy_and_goes_on(
    up: Up, gate: Gate
) -> None:
    build_id, _ = begun(up, gate.waiting)

    up.kill()
    api = up.start_until_ready()

    assert "Ended what an earlier run left behind" in up.said
    assert up.running() == ONE_OF_EACH
    gate.open()
    build = api.finished(build_id)
    assert build["result"]["id"] == "passed"
    assert len(build["lostAttempts"]) == 1


def test_a_second_supervisor_of_a_home_is_refused_and_disturbs_nobody(up: Up) -> None:
    second = up.command("up")

    assert second.returncode == 1
    assert f"{up.home} is in use by another supervisor (process " in second.stderr
    assert up.running() == ONE_OF_EACH
    assert up.api().answers


def test_a_port_that_is_taken_is_said_before_anything_is_started() -> None:
    with an_up() as up, socket.create_server(("127.0.0.1", 0)) as listener:
        up.port = listener.getsockname()[1]

        refused = up.command("up")

        assert refused.returncode == 1
        assert f"Port {up.port} on 127.0.0.1 is taken by another program" in refused.stderr
        assert processes_in(up.home) == []
        assert not (up.home / "postgres").exists()
