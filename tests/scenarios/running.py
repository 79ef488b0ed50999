"""A whole system as it runs in production: web, worker and agent processes, its own database and broker.

Each part can be killed and started again by itself. Leaving the context ends every process, those that
a killed agent left behind too.
"""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
from tests.conftest import copy_of_template
from tests.factories import git
from tests.scenarios import prepared
from tests.scenarios.asking import Api

from changes.app.embedded.home import Home
from changes.app.embedded.valkey import Valkey
from changes.base import db
from changes.builds import nodes
from changes.people import tokens
from changes.people.rules import Scope

PROGRAM = (sys.executable, "-m", "changes.app.cli")
START_WITHIN_S = 300.0
STOP_WITHIN_S = 300.0
LOOK_EVERY_S = 0.02
WHO = {
    "GIT_AUTHOR_NAME": "Ann",
    "GIT_AUTHOR_EMAIL": "ann@example.com",
    "GIT_COMMITTER_NAME": "Ann",
    "GIT_COMMITTER_EMAIL": "ann@example.com",
    "HGUSER": "Ann <ann@example.com>",
}


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def eventually(question: Callable[[], object], within_s: float = 300.0) -> None:
    """For what nobody tells us: looks again until it is so."""
    ends_at = time.monotonic() + within_s
    while not question():
        assert time.monotonic() < ends_at, f"did not happen within {within_s} s"
        time.sleep(LOOK_EVERY_S)


@dataclass
class Part:
    """One program of the system. A `fresh` one starts as it does for people, which takes seconds."""

    name: str
    arguments: tuple[str, ...]
    env: Mapping[str, str]
    log: Path
    process: subprocess.Popen[bytes] | prepared.Prepared | None = None
    is_fresh: bool = False

    def start(self) -> None:
        if not self.is_fresh:
            self.process = prepared.start(self.name, self.arguments, self.env, self.log)
            return
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [*PROGRAM, *self.arguments],
                env=dict(self.env),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    @property
    def is_running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    @property
    def said(self) -> str:
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def send(self, number: int) -> None:
        assert self.process is not None
        self.process.send_signal(number)

    def kill(self) -> None:
        """As the kernel does when memory is short: nothing is said, nothing is put away."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def stop(self) -> int:
        """Politely; returns the exit code."""
        assert self.process is not None
        self.process.terminate()
        return self.process.wait(STOP_WITHIN_S)


@dataclass
class RunningSystem:
    home: Path
    url: str
    database: db.Database
    broker: Valkey
    api: Api
    web: Part
    worker: Part
    agent: Part
    repositories: int = field(default=0)

    @property
    def parts(self) -> list[Part]:
        return [self.agent, self.worker, self.web]

    def wait_until_web_answers(self) -> None:
        def answers() -> bool:
            assert self.web.is_running, self.web.said
            return self.api.answers

        eventually(answers, START_WITHIN_S)

    def mend(self) -> None:
        """Whatever a test ended runs again."""
        if not self.broker.is_running():
            self.broker.stop()
            self.broker.start()
        for part in self.parts:
            if not part.is_running:
                part.start()
        self.wait_until_web_answers()

    def stop(self) -> None:
        for part in self.parts:
            if part.is_running:
                part.send(signal.SIGCONT)
                part.send(signal.SIGTERM)
        for part in self.parts:
            with contextlib.suppress(subprocess.TimeoutExpired):
                if part.process is not None:
                    part.process.wait(STOP_WITHIN_S)
            part.kill()

    def project(self, files: Path | Mapping[str, str], backend: str = "git") -> str:
        """A project whose repository holds these files in one commit; returns its slug."""
        self.repositories += 1
        slug = f"project-{self.repositories}"
        folder = self.home.parent / "repositories" / slug
        if isinstance(files, Path):
            shutil.copytree(files, folder)
        else:
            write_files(folder, files)
        commit_everything(folder, backend)
        self.api.post("/repositories/", url=str(folder), backend=backend)
        self.api.post("/projects/", name=slug, slug=slug, repository=str(folder))
        # What is built is what a test asks for.
        self.set_option(slug, "build.commit-trigger", "0")
        return slug

    def set_option(self, slug: str, name: str, value: str) -> None:
        fields: dict[str, Any] = {name: value}
        self.api.post(f"/projects/{slug}/options/", **fields)

    def repository_of(self, slug: str) -> Path:
        return self.home.parent / "repositories" / slug


def write_files(folder: Path, files: Mapping[str, str]) -> None:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def commit_everything(folder: Path, backend: str = "git") -> None:
    if backend == "hg":
        for arguments in (["init"], ["commit", "--addremove", "--quiet", "--message", "The first commit"]):
            env = {**os.environ, **WHO, "HGPLAIN": "1", "HGRCPATH": ""}
            subprocess.run(["hg", "--cwd", folder, *arguments], check=True, env=env, timeout=120)
        return
    git(folder, "init", "-q", "-b", "main")
    git(folder, "add", "--all", "--force")
    who = ("-c", "user.name=Ann", "-c", "user.email=ann@example.com")
    git(folder, *who, "commit", "-q", "--allow-empty", "-m", "The first commit")


@contextlib.contextmanager
def running_system(**settings: str) -> Iterator[RunningSystem]:
    """Settings are given as in the environment of the programs."""
    # Not pytest's folder: the path of a socket must be short, and the database's account pass.
    top = Path(tempfile.mkdtemp(prefix="changes-system-"))
    top.chmod(0o711)
    try:
        with copy_of_template() as database_url, Home(top / "home") as home:
            broker = Valkey(home)
            try:
                broker.start()
                with _started(home.path, database_url, broker, settings) as system:
                    yield system
            finally:
                broker.stop()
    finally:
        end_processes_in(top)
        shutil.rmtree(top)


@contextlib.contextmanager
def _started(
    home: Path, database_url: str, broker: Valkey, settings: Mapping[str, str]
) -> Iterator[RunningSystem]:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    database = db.Database(database_url, pool_size=2)
    with database.transaction() as session:
        token = tokens.create(session, "the tests", Scope.ADMIN).secret
        enrolment = nodes.make_enrolment_token(session)
    env = {
        **os.environ,
        "CHANGES_HOME": str(home),
        "PORT": str(port),
        "DATABASE_URL": database_url,
        "BROKER_URL": broker.url,
        **settings,
    }
    agent = ("agent", "--server", url, "--home", str(home / "agent"), "--name", "tester", "--slots", "2")
    system = RunningSystem(
        home=home,
        url=url,
        database=database,
        broker=broker,
        api=Api(url, token),
        web=Part("web", ("web",), env, home / "web.log"),
        worker=Part("worker", ("worker",), env, home / "worker.log"),
        agent=Part("agent", agent, {**env, "CHANGES_ENROL_TOKEN": enrolment}, home / "agent.log"),
    )
    try:
        system.mend()
        yield system
    finally:
        system.stop()
        database.close()
        # Shown by pytest when the test fails.
        for part in system.parts:
            sys.stderr.write(f"--- {part.name} ---\n{part.said}\n")


def processes_in(folder: Path) -> list[psutil.Process]:
    """Whoever was started with this folder as its home, or works in it."""
    return [process for process in psutil.process_iter() if _belongs_to(process, folder)]


def _belongs_to(process: psutil.Process, folder: Path) -> bool:
    with contextlib.suppress(psutil.NoSuchProcess, psutil.AccessDenied, psutil.ZombieProcess):
        home = process.environ().get("CHANGES_HOME", "/")
        return Path(home).is_relative_to(folder) or Path(process.cwd()).is_relative_to(folder)
    return False


def end_processes_in(folder: Path) -> None:
    """Gone when it returns: who is still dying may write a file into what is being deleted."""

    def are_gone() -> bool:
        left = processes_in(folder)
        for process in left:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        return not left

    eventually(are_gone)
    eventually(lambda: not processes_in(folder))
