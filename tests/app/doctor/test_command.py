"""`changes doctor` on a real system, busy and broken."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from tests.faults.gates import Gate, plan
from tests.scenarios.running import RunningSystem, eventually, running_system

from changes.app.cli.main import main

pytestmark = pytest.mark.system
BUILDS = 12
# Of the machine that runs the tests: its disk may be nearly full, and its database does not wait for it.
OF_THE_MACHINE = {"durability", "disk"}
Done = subprocess.CompletedProcess[str]
Doctor = Callable[..., Done]


@pytest.fixture(scope="module")
def system() -> Iterator[RunningSystem]:
    with running_system() as system:
        eventually(lambda: schedule_was_kept(system), 60)
        yield system


def schedule_was_kept(system: RunningSystem) -> bool:
    ended = text("select count(*) > 0 from task where name = 'builds.sweep_steps' and state = 3")
    with system.database.engine.begin() as connection:
        return bool(connection.execute(ended).scalar_one())


@pytest.fixture
def doctor(
    system: RunningSystem, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Doctor:
    """In this process: starting Python anew for each would take most of the time."""
    env = {
        "CHANGES_HOME": str(system.home),
        "DATABASE_URL": system.database.url,
        "BROKER_URL": system.broker.url,
    }

    def doctor(*words: str) -> Done:
        for name, value in env.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(sys, "argv", ["changes", "doctor", *words])
        capfd.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        return subprocess.CompletedProcess(words, int(ended.value.code or 0), *capfd.readouterr())

    return doctor


def findings(done: Done) -> dict[str, Any]:
    told = {each["name"]: each for each in json.loads(done.stdout)}
    return {name: each for name, each in told.items() if each["state"] != "ok" and name not in OF_THE_MACHINE}


def test_a_busy_system_is_well_at_every_moment(system: RunningSystem, tmp_path: Path, doctor: Doctor) -> None:
    gate = Gate(tmp_path / "open")
    report = "echo '<testsuite><testcase name=\"a\"/></testsuite>' > junit.xml"
    slugs = [system.project(plan(script)) for script in (f"echo; {report}", gate.counting, "exit 3")]
    made = [system.api.build(slugs[number % 3]) for number in range(BUILDS)]

    # A machine that has just been started may not have been heard of yet.
    system.api.when(made[0], lambda build: build["status"]["id"] != "pending_allocation")
    while_busy = doctor("--json")
    gate.open()
    for build_id in made:
        system.api.finished(build_id)
    afterwards = doctor("--json")

    assert (while_busy.returncode, findings(while_busy)) == (0, {}), while_busy.stderr
    assert (afterwards.returncode, findings(afterwards)) == (0, {})


def test_what_is_broken_is_told_with_what_to_do_and_an_exit_code(
    system: RunningSystem, doctor: Doctor
) -> None:
    system.api.finished(system.api.build(system.project(plan("true"))))
    with system.database.engine.begin() as connection:
        connection.execute(text("update project set last_build_number = 0"))

    broken = doctor("--quiet")
    mended = doctor("--fix", "--quiet")
    again = doctor()

    assert broken.returncode == 1
    assert (
        "broken   numbers-of-builds: No build has a number that its project has not given out"
        in broken.stdout
    )
    assert "`changes doctor --fix` counts anew." in broken.stdout
    assert (mended.returncode, again.returncode) == (0, 0), mended.stdout
    assert "ok       numbers-of-builds" in again.stdout


def test_a_part_that_died_is_named(system: RunningSystem, doctor: Doctor) -> None:
    system.broker.stop()
    without_broker = findings(doctor("--json"))
    system.broker.start()
    system.web.stop()
    without_web = findings(doctor("--json"))
    system.mend()

    assert "broker" in without_broker
    assert "web" in without_web
