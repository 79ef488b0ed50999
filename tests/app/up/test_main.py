import os
import signal
import socket
import urllib.request
from collections.abc import Callable
from pathlib import Path

import psutil
import psycopg
import pytest

from changes.app.embedded import processes
from changes.app.embedded.home import Home

from .conftest import PATIENCE_S, Up, processes_of

pytestmark = pytest.mark.system

Start = Callable[..., Up]
Left = Callable[[], list[str]]


def order_in(home: Path) -> list[str]:
    return (home / "order").read_text().split()


def test_it_is_ready_when_the_web_server_answers(up: Start) -> None:
    running = up()

    running.read_until("READY")

    with urllib.request.urlopen(f"http://127.0.0.1:{running.port}/healthz") as answer:
        assert answer.status == 200


def test_databases_named_by_url_are_used_and_none_is_started(up: Start, home: Path) -> None:
    running = up()

    line = running.read_until("prepare")

    assert line == "prepare postgresql://elsewhere redis://elsewhere\n"
    running.read_until("READY")
    assert not (home / "postgres").exists()


@pytest.mark.usefixtures("hears_hangups")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_everything_in_its_order(up: Start, home: Path, left_of: Left, number: int) -> None:
    running = up()
    running.read_until("READY")

    code = running.end(number)

    assert code == 0
    assert left_of() == []
    assert order_in(home)[0] == "agent"
    assert sorted(order_in(home)) == ["agent", "web", "worker"]


def test_a_child_that_will_not_stop_is_killed_with_its_children(up: Start, home: Path, left_of: Left) -> None:
    running = up("stubborn")
    running.read_until("READY")

    code = running.end()

    assert code == 0
    assert left_of() == []
    assert "agent" not in order_in(home)


def test_a_child_that_dies_is_started_again_and_says_so(up: Start) -> None:
    running = up()
    running.read_until("READY")
    first = running.pid_of("worker")

    os.kill(first, signal.SIGKILL)

    assert "worker was ended by SIGKILL; starting it again in 1 s." in running.read_until("starting it again")
    running.read_until("worker  | here")
    assert running.pid_of("worker") != first


def test_what_children_print_bears_their_name_and_is_kept(up: Start, home: Path) -> None:
    running = up()

    running.read_until("worker  | here")

    assert (home / "logs/worker.log").read_text() == "here\n"


def test_a_killed_supervisor_is_followed_by_one_that_ends_its_children(
    up: Start, home: Path, left_of: Left
) -> None:
    killed = up()
    killed.read_until("READY")
    left = [processes.identify(killed.pid_of(name)) for name in ("agent", "worker", "web")]
    killed.end(signal.SIGKILL)

    running = up(port=killed.port)

    running.read_until("Ended what an earlier run left behind: agent, worker, web.")
    running.read_until("READY")
    assert [identity for identity in left if identity and processes.is_alive(identity)] == []
    assert running.end() == 0
    assert left_of() == []


def test_a_taken_port_is_refused_in_one_sentence(up: Start) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        running = up(port=taken.getsockname()[1])

        assert running.process.wait(PATIENCE_S) == 1
        assert running.errors() == (
            f"changes: Port {running.port} on 127.0.0.1 is taken by another program: stop it, or choose"
            f" another port, for example PORT={running.port + 1} make up.\n"
        )


def test_a_second_supervisor_of_a_home_is_refused_in_one_sentence(up: Start, home: Path) -> None:
    with Home(home):
        running = up()

        assert running.process.wait(PATIENCE_S) == 1
        assert running.errors() == (
            f"changes: {home} is in use by another supervisor (process {os.getpid()}): stop that one,"
            " or choose another folder with CHANGES_HOME.\n"
        )


def test_a_failed_preparation_is_told_in_one_sentence(up: Start, left_of: Left) -> None:
    running = up("bad-prepare")

    assert running.process.wait(PATIENCE_S) == 1
    assert running.errors().startswith("changes: The database could not be prepared (exit code 3)")
    assert left_of() == []


def test_a_web_server_that_never_starts_is_told_in_one_sentence(up: Start, home: Path, left_of: Left) -> None:
    running = up("no-web")

    assert running.process.wait(PATIENCE_S) == 1
    assert running.errors() == (
        f"changes: The web server does not start: read {home}/logs/web.log for the reason.\n"
    )
    assert "no such setting" in (home / "logs/web.log").read_text()
    assert left_of() == []


def test_a_preparation_can_be_called_off(up: Start, left_of: Left) -> None:
    running = up("slow-prepare")
    running.read_until("prepare")

    assert running.end() == 0
    assert left_of() == []


def test_the_embedded_databases_come_back_after_any_death(up: Start, home: Path, left_of: Left) -> None:
    running = up("embedded")
    url = running.read_until("prepare").split()[1].replace("+psycopg", "")
    running.read_until("READY")

    for name in ("postgres", "valkey-server"):
        kill(home, name)
        running.read_until(f"{name.partition('-')[0]} ended unexpectedly; starting it again in 1 s.")
    assert processes.wait_until(lambda: server(home, "valkey-server") is not None, PATIENCE_S)
    assert processes.wait_until(lambda: answers(url), PATIENCE_S)

    running.end(signal.SIGKILL)
    left = server(home, "postgres")
    again = up("embedded")
    again.read_until("READY")
    assert server(home, "postgres") == left
    assert answers(url)

    assert again.end() == 0
    assert left_of() == []


def server(home: Path, name: str) -> psutil.Process | None:
    """The parent of the others of this name. Numbers of processes begin anew, so it need not be the least."""
    found = [process for process in processes_of(home) if is_called(process, name)]
    pids = {process.pid for process in found}
    return next((process for process in found if parent_of(process) not in pids), None)


def parent_of(process: psutil.Process) -> int:
    """None of ours for one that ended since it was found."""
    try:
        return process.ppid()
    except psutil.NoSuchProcess:
        return 0


def is_called(process: psutil.Process, name: str) -> bool:
    """No for one that ended since it was found."""
    try:
        return bool(process.name() == name)
    except psutil.NoSuchProcess:
        return False


def kill(home: Path, name: str) -> None:
    process = server(home, name)
    assert process is not None
    process.kill()


def answers(url: str) -> bool:
    try:
        with psycopg.connect(url) as connection:
            return connection.execute("SELECT 1").fetchone() == (1,)
    except psycopg.OperationalError:
        return False
