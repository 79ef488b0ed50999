import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from kombu import Connection

from changes.app.embedded import account as accounts
from changes.app.embedded import processes
from changes.app.embedded.errors import StartInterrupted
from changes.app.embedded.home import Home
from changes.app.embedded.valkey import Valkey, ValkeyOptions

pytestmark = pytest.mark.system

OWNER = """
import sys, time
from pathlib import Path
from changes.app.embedded.home import Home
from changes.app.embedded.valkey import Valkey
with Home(Path(sys.argv[1])) as home:
    server = Valkey(home)
    server.start()
    print(server.pid, flush=True)
    time.sleep(60)
"""


@pytest.fixture
def start(home: Home) -> Iterator[Callable[[], Valkey]]:
    started: list[Valkey] = []

    def start() -> Valkey:
        server = Valkey(home)
        started.append(server)
        server.start()
        return server

    yield start
    for server in started:
        server.stop()


def put(server: Valkey, message: str) -> None:
    with Connection(server.url) as connection, connection.SimpleQueue("bell") as queue:
        queue.put(message)


def get(server: Valkey) -> object:
    with Connection(server.url) as connection, connection.SimpleQueue("bell") as queue:
        message = queue.get(timeout=60)
        message.ack()
        return message.payload


def pid_of(server: Valkey) -> int:
    assert server.pid is not None
    return server.pid


def test_celery_can_use_its_url(start: Callable[[], Valkey]) -> None:
    server = start()

    put(server, "hello")

    assert get(server) == "hello"


def test_messages_survive_a_stop(start: Callable[[], Valkey]) -> None:
    first = start()
    put(first, "hello")
    first.stop()

    assert get(start()) == "hello"


def test_stopping_leaves_no_process(start: Callable[[], Valkey], home: Home) -> None:
    server = start()

    server.stop()

    assert not server.is_running()
    assert processes.running_in(home.path / "valkey/data", "valkey-server") == []


def test_stopping_what_does_not_run_is_fine(home: Home) -> None:
    Valkey(home).stop()


def test_it_starts_again_after_it_was_killed(start: Callable[[], Valkey]) -> None:
    killed = start()
    os.kill(pid_of(killed), signal.SIGKILL)
    assert processes.wait_until(lambda: not killed.is_running(), 60)

    server = start()

    put(server, "hello")
    assert get(server) == "hello"


def test_the_server_of_a_killed_owner_is_taken_over(folder: Path) -> None:
    owner = subprocess.Popen([sys.executable, "-c", OWNER, folder / "home"], stdout=subprocess.PIPE)
    assert owner.stdout is not None
    pid = int(owner.stdout.readline())
    owner.kill()
    owner.communicate()

    with Home(folder / "home") as home:
        server = Valkey(home)
        server.start()

        assert server.pid == pid
        server.stop()
        assert processes.identify(pid) is None


def test_a_server_left_behind_can_be_stopped_without_being_used(
    start: Callable[[], Valkey], home: Home
) -> None:
    left = start()

    Valkey(home).stop()

    assert not left.is_running()


def test_a_file_it_cannot_read_is_set_aside(start: Callable[[], Valkey], home: Home) -> None:
    first = start()
    put(first, "hello")
    first.stop()
    folder = home.path / "valkey/data/appendonlydir"
    for path in folder.glob("*.incr.aof"):
        path.write_bytes(b"not a command\n" * 10)

    server = start()

    put(server, "again")
    assert get(server) == "again"
    assert (home.path / "valkey/data.broken").exists()


def test_a_path_too_long_for_a_socket_will_do(folder: Path) -> None:
    with Home(folder / ("long" * 30)) as home:
        server = Valkey(home)
        server.start()

        put(server, "hello")

        assert get(server) == "hello"
        server.stop()
        Path((home.path / "valkey/socket-folder").read_text()).rmdir()


def test_it_does_not_run_as_root_and_lets_nobody_else_in(start: Callable[[], Valkey], home: Home) -> None:
    server = start()

    status = Path(f"/proc/{server.pid}/status")
    owner = home.path / "valkey/run"
    assert owner.stat().st_mode & 0o777 == 0o700
    assert (owner / "valkey.sock").stat().st_uid == accounts.for_servers().uid != 0
    assert not status.exists() or "Uid:\t0" not in status.read_text()


def test_a_start_can_be_called_off(home: Home) -> None:
    server = Valkey(home, ValkeyOptions(), give_up=lambda: True)

    with pytest.raises(StartInterrupted):
        server.start()

    server.stop()
    assert processes.running_in(home.path / "valkey/data", "valkey-server") == []
