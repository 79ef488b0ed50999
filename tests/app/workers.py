"""Real worker processes, and what to ask the database about their work."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from uuid import UUID

from sqlalchemy import func, select

from changes.app.embedded import processes
from changes.base import db, ids, jobs
from changes.base.task import IS_OPEN, Task
from changes.projects.tasks import import_repository

ROOT = Path(__file__).parents[2]
PROGRAMS = Path(sys.executable).parent
CELERY = str(PROGRAMS / "celery")
# A deadline, not an expectation: most of it is imports on a busy machine.
WITHIN_S = 300.0


class Workers:
    """Started here, ended here. Their working folder is empty, so what they leave can be seen."""

    def __init__(self, folder: Path, database_url: str, broker_url: str) -> None:
        self.folder = folder
        self.gate = folder / "gate"
        self.log = folder / "workers.log"
        self.env = {
            **os.environ,
            "CHANGES_HOME": str(folder / "home"),
            "DATABASE_URL": database_url,
            "BROKER_URL": broker_url,
            "GATE": str(self.gate),
            "PYTHONPATH": str(ROOT),
            "LOG_FORMAT": "console",
            # What one of them compiled serves the next, even where the environment says not to keep it.
            "PYTHONDONTWRITEBYTECODE": "",
        }
        self.started: list[subprocess.Popen[bytes]] = []

    def start(self, *command: str) -> subprocess.Popen[bytes]:
        cwd = self.folder / "cwd"
        cwd.mkdir(exist_ok=True)
        with self.log.open("ab") as log:
            process = subprocess.Popen(
                command or (str(PROGRAMS / "changes"), "worker"),
                cwd=cwd,
                env=self.env,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        self.started.append(process)
        return process

    def start_gated(self) -> subprocess.Popen[bytes]:
        return self.start(CELERY, "-A", "tests.app.gated_tasks", "worker")

    @property
    def left_behind(self) -> list[str]:
        return sorted(path.name for path in (self.folder / "cwd").iterdir())

    def said(self) -> str:
        return self.log.read_text(errors="replace")

    def stop(self) -> None:
        for process in self.started:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
        for process in self.started:
            try:
                process.wait(WITHIN_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def ask_for(count: int) -> list[UUID]:
    """Small tasks, one transaction each as requests would: of repositories that are not there."""
    return [asked(import_repository) for _ in range(count)]


def asked(body: Callable[[UUID], None], **how: Any) -> UUID:
    with db.transaction() as session:
        return jobs.enqueue(session, body, ids.new(), **how)


def unfinished(task_ids: Sequence[UUID]) -> int:
    with db.transaction() as session:
        found = select(func.count(Task.id)).where(Task.id.in_(task_ids), IS_OPEN)
        return session.execute(found).scalar_one()


def states(task_ids: Sequence[UUID]) -> list[int]:
    with db.transaction() as session:
        found = select(Task.state).where(Task.id.in_(task_ids)).distinct()
        return [int(state) for state in session.execute(found).scalars()]


def attempts(task_id: UUID) -> int:
    with db.transaction() as session:
        return session.execute(select(Task.attempts).where(Task.id == task_id)).scalar_one()


def eventually(question: Callable[[], bool], workers: Workers, within_s: float = WITHIN_S) -> None:
    assert processes.wait_until(question, within_s), workers.said()[-5000:]
