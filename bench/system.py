"""The whole product on a temporary home and a free port, started as `changes up` does, ended by its pid."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
import psycopg

from bench.wire import HOST, Caller
from changes.app.embedded.home import Home
from changes.app.embedded.postgres import Postgres
from changes.app.up import address

# From here the programs of this folder are found by `-m`, whoever's folder we were called in.
ROOT = Path(__file__).parent.parent
START_WITHIN_S = 60
STOP_WITHIN_S = 15
LOOK_EVERY_S = 0.005


@dataclass(frozen=True)
class System:
    home: Path
    port: int
    process: subprocess.Popen[bytes]

    @property
    def token(self) -> str:
        return str(json.loads((self.home / "cli.json").read_text())["token"])

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}"

    @property
    def database(self) -> str:
        """For psycopg; the benchmarks add tables of their own to this temporary database."""
        return Postgres(Home(self.home)).url.replace("postgresql+psycopg://", "postgresql://")

    def caller(self) -> Caller:
        return Caller(self.port, self.token)

    def programs(self) -> dict[str, psutil.Process]:
        """What the supervisor runs, and itself, by the names people know."""
        mine = psutil.Process(self.process.pid)
        named = {"supervisor": mine}
        for child in mine.children():
            words = child.cmdline()
            after = words.index("changes.app.cli.programs") + 1 if "changes.app.cli.programs" in words else 0
            named[words[after] if after else child.name()] = child
        return named


@contextmanager
def temporary_folder() -> Iterator[Path]:
    """Short, as sockets lie in it, and open to the account of the databases."""
    folder = Path(tempfile.mkdtemp(prefix="cb-"))
    folder.chmod(0o711)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def running(*, slots: int = 0) -> Iterator[System]:
    with temporary_folder() as folder:
        command = [sys.executable, "-m", "bench.program", str(slots)]
        with started(command, folder / "home") as system:
            # The web answers before all is prepared, and the key for our calls comes last. What the worker
            # does at its start takes seconds of processor time, which are not those of a build.
            wait_until(lambda: knows_us(system), START_WITHIN_S)
            with psycopg.connect(system.database, autocommit=True) as database:
                wait_until(lambda: has_begun_to_work(database), START_WITHIN_S)
            yield system


def knows_us(system: System) -> bool:
    try:
        system.caller().get("/api/0/projects/")
    except (FileNotFoundError, ValueError, RuntimeError):
        return False
    return True


def has_begun_to_work(database: psycopg.Connection[tuple[int, int]]) -> bool:
    """The first of each periodic task is over. 0 is waiting, 1 running."""
    asked = "select count(*), count(*) filter (where state in (0, 1)) from task"
    found = database.execute(asked).fetchone()
    return found is not None and found[0] > 0 and found[1] == 0


@contextmanager
def started(command: list[str], home: Path) -> Iterator[System]:
    """From the start of the command until it answers; then ours until the end of the block."""
    port = free_port()
    own = {"CHANGES_HOME": str(home), "PORT": str(port), "HOST": HOST}
    with (home.parent / "output").open("ab") as output:
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=clean_environment() | own,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )
    try:
        wait_until(lambda: address.is_healthy(HOST, port) or has_died(process, home), START_WITHIN_S)
        yield System(home, port, process)
    finally:
        stop(process)


def clean_environment() -> dict[str, str]:
    """What an operator has set for another system is not for this one."""
    foreign = ("DATABASE_URL", "BROKER_URL", "CELERY_BROKER_URL", "BLOB_URL", "BASE_URL")
    return {k: v for k, v in os.environ.items() if k not in foreign and not k.startswith("CHANGES_")}


def has_died(process: subprocess.Popen[bytes], home: Path) -> bool:
    if process.poll() is None:
        return False
    raise RuntimeError(f"the system did not start:\n{(home.parent / 'output').read_text()[-2000:]}")


def stop(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
    try:
        process.wait(STOP_WITHIN_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def free_port() -> int:
    with socket.create_server((HOST, 0)) as listener:
        return int(listener.getsockname()[1])


def wait_until(question: Callable[[], object], within_s: float, every_s: float = LOOK_EVERY_S) -> None:
    ends_at = time.monotonic() + within_s
    while not question():
        if time.monotonic() > ends_at:
            raise TimeoutError(f"nothing came within {within_s} s")
        time.sleep(every_s)
