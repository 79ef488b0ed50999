"""Any broker by BROKER_URL alone: whatever is killed -9 under load, in the end every task has run.

Each drill takes about a minute: a lost lease is given to the next worker after 25 s.
"""

import os
import shutil
import signal
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import UUID

import pytest
from sqlalchemy.exc import OperationalError
from tests.app import gates
from tests.app.brokers import Broker, DebianRabbitMQ, DebianRedis, EmbeddedValkey
from tests.app.workers import Workers, ask_for, asked, attempts, eventually, states, unfinished

from changes.app import broker as bells
from changes.app import migrate
from changes.app.embedded import processes
from changes.app.embedded.home import Home
from changes.app.embedded.postgres import Postgres, PostgresOptions
from changes.base import db
from changes.base.settings import Settings
from changes.base.task import TaskState

pytestmark = [pytest.mark.system, pytest.mark.long]
AGAIN_WITHIN_S = 90.0


class OwnDatabase:
    """A PostgreSQL that may be killed: not the one all tests share."""

    def __init__(self, folder: Path) -> None:
        self.home = Home(folder / "postgres-home")
        self.home.open()
        self.start()
        migrate.upgrade(self.server.url)

    def start(self) -> None:
        self.server = Postgres(self.home, PostgresOptions(fsync=False))
        self.server.start()

    def kill(self) -> None:
        os.kill(self.server.pid or 0, signal.SIGKILL)
        assert processes.wait_until(lambda: not self.server.is_running(), 60)

    def stop(self) -> None:
        self.server.stop()
        self.home.close()


@pytest.fixture
def folder() -> Iterator[Path]:
    # Short, for sockets, and open to the account the databases run as.
    folder = Path(tempfile.mkdtemp(prefix="c-", dir="/tmp"))
    folder.chmod(0o711)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def own_database(folder: Path) -> Iterator[OwnDatabase]:
    database = OwnDatabase(folder)
    yield database
    database.stop()


@pytest.fixture(params=[EmbeddedValkey, DebianRedis, DebianRabbitMQ], ids=["valkey", "redis", "rabbitmq"])
def broker(request: pytest.FixtureRequest, folder: Path) -> Iterator[Broker]:
    make: Callable[[Path], Broker] = request.param
    broker = make(folder)
    try:
        broker.start()
        yield broker
    finally:
        broker.stop()


@pytest.fixture
def workers(folder: Path, own_database: OwnDatabase, broker: Broker, settings: Settings) -> Iterator[Workers]:
    """And this process asks, like a web process would."""
    database = db.Database(own_database.server.url, pool_size=2)
    db.database.set(database)
    bells.connect_bell(bells.make_celery(settings.model_copy(update={"broker_url": broker.url})), eager=False)
    workers = Workers(folder, own_database.server.url, broker.url)
    workers.start_gated()
    yield workers
    workers.stop()
    database.close()


def all_ran(tasks: list[UUID], workers: Workers) -> None:
    eventually(lambda: not unfinished(tasks), workers, AGAIN_WITHIN_S)
    assert states(tasks) == [TaskState.FINISHED]


def test_a_broker_that_is_killed_under_load_loses_nothing(workers: Workers, broker: Broker) -> None:
    before = ask_for(150)
    broker.kill()
    meanwhile = ask_for(150)
    broker.start()
    after = ask_for(50)

    all_ran(before + meanwhile + after, workers)


def test_a_database_that_is_killed_under_load_loses_nothing_it_accepted(
    workers: Workers, own_database: OwnDatabase
) -> None:
    before = ask_for(150)
    own_database.kill()
    with pytest.raises(OperationalError):
        ask_for(1)
    own_database.start()
    after = ask_for(150)

    all_ran(before + after, workers)


def test_a_worker_that_is_killed_in_a_task_leaves_it_to_another(workers: Workers) -> None:
    task_id = asked(gates.wait_at_gate)
    eventually(lambda: states([task_id]) == [TaskState.RUNNING], workers)
    others = ask_for(100)

    workers.started[0].kill()
    workers.started[0].wait()
    workers.gate.touch()
    workers.start_gated()

    all_ran([task_id, *others], workers)
    assert attempts(task_id) == 2
