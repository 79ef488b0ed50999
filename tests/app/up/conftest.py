import contextlib
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from changes.app.embedded import processes

PROGRAM = Path(__file__).with_name("an_up.py")
PATIENCE_S = 300


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def processes_of(home: Path) -> list[psutil.Process]:
    """All that a supervisor of this home started, and what that started, by their environment or folder."""
    return [process for process in psutil.process_iter() if _belongs_to(process, home)]


def _belongs_to(process: psutil.Process, home: Path) -> bool:
    with contextlib.suppress(psutil.NoSuchProcess, psutil.AccessDenied, psutil.ZombieProcess):
        if process.environ().get("CHANGES_HOME") == str(home):
            return True
        return Path(process.cwd()).is_relative_to(home)
    return False


@dataclass
class Up:
    """A supervisor in a process of its own, and what it printed so far."""

    process: subprocess.Popen[str]
    home: Path
    port: int
    lines: list[str]

    def read_until(self, text: str) -> str:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line)
            if text in line:
                return line
        pytest.fail(f"no {text!r} in {self.lines} {self.errors()}")

    def errors(self) -> str:
        assert self.process.stderr is not None
        return self.process.stderr.read()

    def end(self, number: int = signal.SIGINT) -> int:
        self.process.send_signal(number)
        output, errors = self.process.communicate(timeout=PATIENCE_S)
        self.lines += output.splitlines(keepends=True)
        self.lines.append(errors)
        return self.process.returncode

    def pid_of(self, name: str) -> int:
        return next(process.pid for process in processes_of(self.home) if stands_in(process, name))


def stands_in(process: psutil.Process, name: str) -> bool:
    with contextlib.suppress(psutil.NoSuchProcess):
        return process.environ().get("STAND_IN") == name and process.name() != "sleep"
    return False


def command_of(process: psutil.Process) -> str:
    """Nothing for one that ended since it was found."""
    with contextlib.suppress(psutil.NoSuchProcess):
        return " ".join(process.cmdline())
    return ""


@pytest.fixture
def home() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="u-", dir="/tmp"))
    folder.chmod(0o711)
    home = folder / "home"
    yield home
    left = processes_of(home)
    names = list(filter(None, map(command_of, left)))
    for process in left:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    shutil.rmtree(folder, ignore_errors=True)
    assert not names


@pytest.fixture
def up(home: Path) -> Iterator[Callable[..., Up]]:
    """Starts a supervisor with stand-ins; the words are those of an_up.py."""
    started: list[Up] = []

    def up(*words: str, port: int | None = None) -> Up:
        chosen = port or free_port()
        process = subprocess.Popen(
            [sys.executable, PROGRAM, home, str(chosen), *words],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(Up(process, home, chosen, []))
        return started[-1]

    yield up
    for one in started:
        if one.process.poll() is None:
            one.end()
        for stream in (one.process.stdout, one.process.stderr):
            assert stream is not None
            stream.close()


@pytest.fixture
def left_of(home: Path) -> Callable[[], list[str]]:
    def left_of() -> list[str]:
        processes.wait_until(lambda: not processes_of(home), PATIENCE_S)
        return list(filter(None, map(command_of, processes_of(home))))

    return left_of
