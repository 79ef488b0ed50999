"""`changes up` as somebody types it: a process of its own on a home of its own, with real databases."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import psutil
from tests.scenarios.asking import Api
from tests.scenarios.running import (
    PROGRAM,
    commit_everything,
    end_processes_in,
    eventually,
    free_port,
    processes_in,
    write_files,
)

import changes

READY = "Ctrl-C stops everything"
START_WITHIN_S = 400.0
STOP_WITHIN_S = 300.0
WORDS = {
    "web": "changes.app.cli.programs web",
    "worker": "changes.app.cli.programs worker",
    "agent": "changes.app.cli.programs agent",
}


@dataclass
class Up:
    top: Path
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None
    starts: int = 0

    @property
    def home(self) -> Path:
        return self.top / "home"

    @property
    def env(self) -> dict[str, str]:
        # Run from a folder that is no checkout of ours, or it would build all of this first.
        checkout = {"PYTHONPATH": str(self.top / "checkout" / "src")}
        return {**os.environ, **checkout, "CHANGES_HOME": str(self.home), "PORT": str(self.port)}

    @property
    def said(self) -> str:
        """By the newest start."""
        return self._log.read_text(errors="replace") if self.starts else ""

    @property
    def _log(self) -> Path:
        return self.top / f"up-{self.starts}.log"

    def start(self) -> None:
        self.starts += 1
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                [*PROGRAM, "up"],
                env=self.env,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def start_until_ready(self) -> Api:
        self.start()
        eventually(lambda: READY in self.said or not self.is_running, START_WITHIN_S)
        assert READY in self.said, self.said
        return self.api()

    @property
    def is_running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def api(self) -> Api:
        login = json.loads((self.home / "cli.json").read_text())
        return Api(login["url"], login["token"])

    def command(self, *words: str, **env: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*PROGRAM, *words],
            env={**self.env, **env},
            capture_output=True,
            text=True,
            check=False,
            timeout=400,
        )

    def interrupt(self) -> int:
        """Ctrl-C; returns the exit code."""
        assert self.process is not None
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(STOP_WITHIN_S)

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def postmaster_pid(self) -> int:
        pid_file = self.home / "postgres" / "data" / "postmaster.pid"
        return int(pid_file.read_text().splitlines()[0])

    def running(self) -> dict[str, int]:
        """How often each of our programs runs."""
        commands = [command_of(process) for process in processes_in(self.home)]
        return {name: sum(words in command for command in commands) for name, words in WORDS.items()}

    def project(self, slug: str, files: Mapping[str, str]) -> None:
        folder = self.top / "repositories" / slug
        write_files(folder, files)
        commit_everything(folder)
        api = self.api()
        api.post("/repositories/", url=str(folder), backend="git")
        api.post("/projects/", name=slug, slug=slug, repository=str(folder))


def command_of(process: psutil.Process) -> str:
    """Nothing for one that ended since it was found."""
    with contextlib.suppress(psutil.NoSuchProcess):
        return " ".join(process.cmdline())
    return ""


@contextlib.contextmanager
def an_up(checkout: Mapping[str, str] | None = None) -> Iterator[Up]:
    """Not started yet. `checkout` are files that lie beside the program's own, in a repository."""
    top = Path(tempfile.mkdtemp(prefix="changes-up-"))
    top.chmod(0o711)
    up = Up(top)
    sources = Path(changes.__file__).parents[1]
    (top / "checkout").mkdir()
    (top / "checkout" / "src").symlink_to(sources)
    if checkout is not None:
        write_files(top / "checkout", checkout)
        commit_everything(top / "checkout")
    try:
        yield up
    finally:
        if up.is_running:
            with contextlib.suppress(subprocess.TimeoutExpired):
                up.interrupt()
        sys.stderr.write(f"--- the newest start ---\n{up.said}\n")
        end_processes_in(top)
        shutil.rmtree(top)
