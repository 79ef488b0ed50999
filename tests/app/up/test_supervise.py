import io
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from changes.app.embedded import processes
from changes.app.embedded.home import Home
from changes.app.up import previous, supervise
from changes.app.up.children import Child
from changes.app.up.output import Terminal
from changes.app.up.previous import Left
from changes.app.up.signals import StopSignals
from changes.app.up.supervise import Supervisor

PATIENCE_S = 200


@pytest.fixture
def printed() -> io.StringIO:
    return io.StringIO()


@pytest.fixture
def supervisor(tmp_path: Path, printed: io.StringIO) -> Iterator[Supervisor]:
    with StopSignals() as signals, Home(tmp_path / "home") as home:
        supervisor = Supervisor(home, Terminal(printed), signals)
        yield supervisor
        supervisor.stop_everything()


def test_each_death_doubles_the_pause_up_to_half_a_minute() -> None:
    assert [supervise.restart_delay_s(deaths) for deaths in range(1, 8)] == [1, 2, 4, 8, 16, 30, 30]


def test_after_a_thousand_deaths_it_is_still_half_a_minute() -> None:
    assert supervise.restart_delay_s(1000) == 30


@pytest.mark.system
def test_the_exit_code_of_a_dead_child_is_told(supervisor: Supervisor, printed: io.StringIO) -> None:
    supervisor.start_children([Child("short", (sys.executable, "-c", "raise SystemExit(7)"))], os.environ)

    supervisor.watch_until(lambda: supervisor.deaths_of("short") == 1, look_every_s=0.01)

    assert "short ended with exit code 7; starting it again in 1 s." in printed.getvalue()


@pytest.mark.system
def test_a_child_that_gives_way_leaves_the_processors_to_the_others(
    supervisor: Supervisor, tmp_path: Path
) -> None:
    told = tmp_path / "niceness"
    code = f"until [ $(nice) = 5 ]; do sleep 0.01; done; nice > {told}.new; mv {told}.new {told}; sleep 60"

    supervisor.start_children([Child("quiet", ("sh", "-c", code), gives_way=True)], os.environ)

    supervisor.watch_until(told.exists, look_every_s=0.01)
    assert told.read_text() == "5\n"


@pytest.mark.system
def test_a_dead_child_takes_its_own_children_along(supervisor: Supervisor, tmp_path: Path) -> None:
    code = 'sleep 60 & echo $! > "$1"'
    supervisor.start_children([Child("parent", ("sh", "-c", code, "sh", str(tmp_path / "pid")))], os.environ)

    supervisor.watch_until(lambda: supervisor.deaths_of("parent") == 1, look_every_s=0.01)

    orphan = int((tmp_path / "pid").read_text())
    assert processes.wait_until(lambda: processes.identify(orphan) is None, PATIENCE_S)


@pytest.mark.system
def test_a_child_has_the_environment_of_all_and_its_own(supervisor: Supervisor, printed: io.StringIO) -> None:
    shown = Child("shown", ("sh", "-c", 'echo "$ALL $OWN"; sleep 60'), env={"OWN": "own"})
    supervisor.start_children([shown], {**os.environ, "ALL": "all"})

    supervisor.watch_until(lambda: "shown   | all own\n" in printed.getvalue(), look_every_s=0.01)


def test_a_run_that_is_over_leaves_no_record(supervisor: Supervisor, tmp_path: Path) -> None:
    supervisor.stop_everything()

    assert previous.read(tmp_path / "home") == []


@pytest.mark.parametrize("text", ["", "{", "[1]", '[{"name": "web"}]'])
def test_a_broken_record_names_nobody(tmp_path: Path, text: str) -> None:
    (tmp_path / "run.json").write_text(text)

    assert previous.read(tmp_path) == []


def test_a_pid_that_was_reused_since_the_last_run_is_left_alone(tmp_path: Path) -> None:
    previous.write(tmp_path, [Left("web", os.getpid(), "another start")])

    assert previous.end_all(tmp_path) == []
