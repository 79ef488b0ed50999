"""Workers as people start them, on the embedded Valkey and with real commits."""

import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

import pytest
from sqlalchemy import func, select
from tests.app import gates
from tests.app.workers import (
    CELERY,
    WITHIN_S,
    Workers,
    ask_for,
    asked,
    attempts,
    eventually,
    states,
    unfinished,
)

from changes.app import broker
from changes.app.embedded.home import Home
from changes.app.embedded.valkey import Valkey
from changes.base import db, jobs
from changes.base.settings import Settings
from changes.base.task import Task, TaskState

pytestmark = pytest.mark.system


@pytest.fixture(scope="module")
def broker_url() -> Iterator[str]:
    # Short, for the socket, and open to the account the server runs as.
    folder = Path(tempfile.mkdtemp(prefix="c-", dir="/tmp"))
    folder.chmod(0o711)
    with Home(folder / "home") as home:
        server = Valkey(home)
        server.start()
        yield server.url
        server.stop()
    shutil.rmtree(folder)


@pytest.fixture
def workers(tmp_path: Path, database: db.Database, broker_url: str, settings: Settings) -> Iterator[Workers]:
    with_broker = settings.model_copy(update={"broker_url": broker_url})
    celery = broker.make_celery(with_broker)
    broker.connect_bell(celery, eager=False)
    workers = Workers(tmp_path, database.url, broker_url)
    yield workers
    workers.stop()
    celery.control.purge()


@pytest.mark.parametrize(
    "command",
    [
        (),
        (CELERY, "-A", "changes.app", "worker", "-B"),
        (CELERY, "-A", "changes.app:celery", "worker"),
    ],
    ids=["changes worker", "celery worker -B", "celery worker"],
)
def test_a_worker_runs_what_another_process_asks_for_and_stops_when_told(
    workers: Workers, command: tuple[str, ...]
) -> None:
    before_it_starts = ask_for(3)
    worker = workers.start(*command)
    eventually(lambda: not unfinished(before_it_starts), workers)
    while_it_runs = ask_for(3)
    eventually(lambda: not unfinished(while_it_runs), workers)
    eventually(lambda: bool(periods()), workers)

    worker.send_signal(signal.SIGTERM)

    assert worker.wait(WITHIN_S) == 0
    assert states(before_it_starts + while_it_runs) == [TaskState.FINISHED]
    assert workers.left_behind == []


def periods() -> dict[str, int]:
    """How often each period of each periodic task has a row."""
    with db.transaction() as session:
        found = select(Task.name, func.count(Task.id)).where(Task.name.like("%.sweep_steps"))
        return dict(iter(session.execute(found.group_by(Task.name))))


def test_of_two_workers_one_beats_and_what_nobody_rang_for_runs_once(
    workers: Workers,
) -> None:
    jobs.bell.set(jobs.nobody_rings)
    tasks = ask_for(40)

    workers.start()
    workers.start()

    eventually(lambda: not unfinished(tasks), workers)
    assert {attempts(task_id) for task_id in tasks} == {1}


def test_a_worker_that_is_told_to_stop_hands_a_long_task_back(workers: Workers) -> None:
    worker, task_id = a_worker_at_the_gate(workers)

    worker.send_signal(signal.SIGTERM)

    assert worker.wait(WITHIN_S) == 0
    assert states([task_id]) == [TaskState.WAITING]
    assert attempts(task_id) == 0


def a_worker_at_the_gate(workers: Workers) -> tuple[subprocess.Popen[bytes], UUID]:
    worker = workers.start_gated()
    task_id = asked(gates.wait_at_gate)
    eventually(lambda: states([task_id]) == [TaskState.RUNNING], workers)
    return worker, task_id


def test_a_worker_without_a_broker_says_so_in_one_sentence(workers: Workers) -> None:
    workers.env["BROKER_URL"] = ""

    assert workers.start().wait(WITHIN_S) == 1
    assert workers.said().startswith("changes: No broker: set BROKER_URL")
    assert len(workers.said().splitlines()) == 1
