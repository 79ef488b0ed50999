"""Minutes of kill -9 at random moments, under two hundred builds, on a system as `changes up` starts it.

Afterwards every build that was accepted has ended as its commands say, no result is there twice, no
log has a hole, and the doctor finds nothing.
"""

import json
import os
import signal
import sys
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import httpx
import psutil
import pytest
from tests.faults.gates import assert_counted_without_holes, plan
from tests.scenarios.asking import Api, Refused
from tests.scenarios.running import eventually, processes_in
from tests.scenarios.upping import Up, an_up

from changes.app.demo.dice import Dice

pytestmark = [pytest.mark.system, pytest.mark.long]
SEED = int(os.environ.get("DRILL_SEED", "4"))
BUILDS = 200
KILL_FOR_S = 120.0
PAUSE_MEAN_S = 4.0
# The last lost agent is noticed after its silence, and its builds are made again.
ENDED_WITHIN_S = 420.0
TRY_AGAIN_S = 0.3
REPORT = '<testsuite><testcase classname="a" name="one"/><testcase classname="a" name="two"/></testsuite>'
COUNT = 'n=0; while [ $n -lt 40 ]; do n=$((n+1)); echo "line $n"; sleep 0.005; done; echo "all $n"'
KINDS = {
    "counts": (plan(COUNT), "passed"),
    "tests": (plan(f"{COUNT}; echo '{REPORT}' > junit.xml", artifacts=["junit.xml"]), "passed"),
    "fails": (plan(f"{COUNT}; exit 3"), "failed"),
    "phases": (plan("true", COUNT), "passed"),
}
VICTIMS = ("web", "worker", "agent", "postgres", "valkey")
# The machine that runs the drill may have a small disk.
OF_THE_MACHINE = {"disk"}


@dataclass
class Drill:
    up: Up
    dice: Dice
    made: dict[str, str] = field(default_factory=dict)
    killed: Counter[str] = field(default_factory=Counter)
    turns: list[str] = field(default_factory=list)

    def ask(self, number: int) -> None:
        """As any client with a key: until an answer comes, whatever happens meanwhile."""
        kind = list(KINDS)[number % len(KINDS)]
        asked = {"project": kind, "sha": "HEAD"}
        ends_at = time.monotonic() + ENDED_WITHIN_S
        while time.monotonic() < ends_at:
            with suppress(httpx.TransportError, Refused):
                (build,) = self.up.api().post("/builds/", {"Idempotency-Key": f"drill {number}"}, **asked)
                self.made[build["id"]] = kind
                return
            time.sleep(TRY_AGAIN_S)
        raise AssertionError(f"request {number} was never answered")

    def kill_somebody(self) -> None:
        # Everybody once, then everybody once more, each time in another order.
        self.turns = self.turns or self.dice.sample(VICTIMS, len(VICTIMS))
        name = self.turns.pop()
        pid = self.pid_of(name)
        if pid is not None:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
                self.killed[name] += 1

    def pid_of(self, name: str) -> int | None:
        """None while it is started again."""
        with suppress(OSError, IndexError, ValueError):
            if name == "postgres":
                return self.up.postmaster_pid()
        for process in processes_in(self.up.home):
            with suppress(psutil.NoSuchProcess):
                words = process.cmdline()
                if is_program(words, name):
                    return process.pid
        return None


def is_program(words: list[str], name: str) -> bool:
    if name == "valkey":
        return bool(words) and "valkey-server" in words[0]
    return name in words and any(word.startswith("changes.app") for word in words)


@pytest.fixture(scope="module")
def drill() -> Iterator[Drill]:
    with an_up() as up:
        up.start_until_ready()
        for slug, (files, _) in KINDS.items():
            up.project(slug, files)
        yield Drill(up, Dice(SEED))


@pytest.fixture(scope="module")
def ended(drill: Drill) -> dict[str, dict[str, Any]]:
    """Every accepted build, after the killing and when all has come to an end."""
    with ThreadPoolExecutor(4) as clients:
        asking = [clients.submit(drill.ask, number) for number in range(BUILDS)]
        kill_at_random(drill)
        for request in asking:
            request.result()
    eventually(lambda: drill.up.api().answers, ENDED_WITHIN_S)
    sys.stderr.write(f"seed {SEED}, killed {dict(drill.killed)}\n")
    api, ends_at = drill.up.api(), time.monotonic() + ENDED_WITHIN_S
    return {build_id: api.finished(build_id, ends_at - time.monotonic()) for build_id in drill.made}


def kill_at_random(drill: Drill) -> None:
    ends_at = time.monotonic() + KILL_FOR_S
    while time.monotonic() < ends_at:
        time.sleep(min(drill.dice.pause(PAUSE_MEAN_S).total_seconds(), 3 * PAUSE_MEAN_S))
        drill.kill_somebody()


def builds_of(api: Api, slug: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = api.get(f"/projects/{slug}/builds/", per_page=100)
    return found


def current_steps(api: Api, build_id: str) -> list[dict[str, Any]]:
    return [step for step in api.attempts(build_id) if step["replacement_id"] is None]


def test_every_part_was_killed(drill: Drill, ended: dict[str, Any]) -> None:
    assert set(drill.killed) == set(VICTIMS)


def test_each_request_made_one_build_and_none_was_lost(drill: Drill, ended: dict[str, Any]) -> None:
    stored = [build["id"] for slug in KINDS for build in builds_of(drill.up.api(), slug)]

    assert len(drill.made) == BUILDS
    assert sorted(stored) == sorted(drill.made)


def test_every_build_ended_as_its_commands_say(drill: Drill, ended: dict[str, Any]) -> None:
    expected = {build_id: KINDS[kind][1] for build_id, kind in drill.made.items()}

    assert {build_id: build["result"]["id"] for build_id, build in ended.items()} == expected


def test_no_result_is_there_twice(drill: Drill, ended: dict[str, Any]) -> None:
    counts = {build_id: ended[build_id]["stats"].get("test_count") for build_id in of_kind(drill, "tests")}

    assert counts == dict.fromkeys(of_kind(drill, "tests"), 2)


def of_kind(drill: Drill, kind: str) -> list[str]:
    return [build_id for build_id, each in drill.made.items() if each == kind]


def test_no_log_has_a_hole(drill: Drill, ended: dict[str, Any]) -> None:
    api = drill.up.api()

    for build_id in drill.made:
        for step in current_steps(api, build_id):
            assert_counted_without_holes(api.log(step["id"]))


def test_the_doctor_finds_nothing(drill: Drill, ended: dict[str, Any]) -> None:
    done = drill.up.command("doctor", "--json")

    told = [each for each in json.loads(done.stdout) if each["state"] != "ok"]
    assert [each for each in told if each["name"] not in OF_THE_MACHINE] == []
    assert done.returncode == 0
