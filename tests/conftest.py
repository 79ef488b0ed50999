"""One PostgreSQL per run, a clean state per test.

The controlling process starts the server and migrates a template once. `session` is a
transaction that is rolled back; `database` is a copy of the template of one's own (some
60 ms), for tests in which several connections must see each other's commits.
"""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import hypothesis
import psycopg
import pytest
from sqlalchemy.orm import Session

from changes.app import migrate, plugins
from changes.app.embedded.home import Home
from changes.app.embedded.postgres import Postgres, PostgresOptions
from changes.base import db, jobs, process, storage
from changes.base.ids import new
from changes.base.settings import Settings
from changes.projects import mirrors

# How fast this machine is at this moment is no property of the code.
hypothesis.settings.register_profile(
    "any machine", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("any machine")

# Most tests let steps write beside the agent, to see what they did; those of sandboxes say otherwise.
os.environ.setdefault("CHANGES_AGENT_SANDBOX", "process")
if os.geteuid() == 0:
    os.environ.setdefault("CHANGES_STEP_ACCOUNT", "root")

SERVER = "CHANGES_TEST_SERVER"
TEMPLATE = "changes"


class Running:
    """The server of this run, in the process that started it."""

    home: Home | None = None
    postgres: Postgres | None = None
    folder: Path | None = None


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--no-database", action="store_true", help="for tests that need none: start no PostgreSQL"
    )


def pytest_configure(config: pytest.Config) -> None:
    is_worker = hasattr(config, "workerinput")
    if is_worker or config.getoption("--no-database") or config.getoption("collectonly"):
        return
    for name in list(os.environ):
        if name.startswith("CHANGES_") or name in {"DATABASE_URL", "BROKER_URL", "BLOB_URL", "PORT", "HOST"}:
            del os.environ[name]
    # As root the server runs under an account of its own, which may not enter a private TMPDIR.
    within = "/tmp" if os.geteuid() == 0 else None
    Running.folder = Path(tempfile.mkdtemp(prefix="changes-tests-", dir=within))
    Running.folder.chmod(0o711)
    Running.home = Home(Running.folder)
    Running.home.open()
    Running.postgres = Postgres(Running.home, PostgresOptions(fsync=False))
    Running.postgres.start()
    migrate.upgrade(Running.postgres.url)
    os.environ[SERVER] = Running.postgres.url


def pytest_unconfigure(config: pytest.Config) -> None:
    if Running.postgres is not None and Running.home is not None and Running.folder is not None:
        Running.postgres.stop()
        Running.home.close()
        shutil.rmtree(Running.folder)
        Running.postgres = None


def url_of(name: str) -> str:
    return os.environ[SERVER].replace(f"/{TEMPLATE}?", f"/{name}?")


def run_on_server(statement: str) -> None:
    url = url_of("postgres").replace("postgresql+psycopg://", "postgresql://")
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(statement.encode())


@contextmanager
def copy_of_template() -> Iterator[str]:
    name = f"test_{new().hex}"
    run_on_server(f"create database {name} template {TEMPLATE}")
    try:
        yield url_of(name)
    finally:
        run_on_server(f"drop database {name} with (force)")


@pytest.fixture
def database_url() -> Iterator[str]:
    """A database of one's own."""
    with copy_of_template() as url:
        yield url


@pytest.fixture
def database(database_url: str, settings: Settings) -> Iterator[db.Database]:
    database = db.Database(database_url, pool_size=5)
    db.database.set(database)
    yield database
    database.engine.dispose()


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Settings, storage, mirrors and roles of a server process, all in the test's folder."""
    made = Settings(home=tmp_path / "home", base_url="http://changes.test")
    process.settings.set(made)
    storage.storage.set(storage.Storage(made.blob_url))
    mirrors.folder.set(made.repo_root)
    plugins.introduce()
    jobs.bell.set(jobs.nobody_rings)
    return made


@pytest.fixture(scope="session")
def worker_database() -> Iterator[db.Database]:
    with copy_of_template() as url:
        database = db.Database(url, pool_size=2)
        yield database
        database.engine.dispose()


class OneSession(db.Database):
    """Every transaction of the code under test is a savepoint in the test's own session."""

    def __init__(self, session: Session) -> None:
        self.session = session

    @contextmanager
    def transaction(self) -> Iterator[Session]:
        with self.session.begin_nested():
            yield self.session
        for act in self.session.info.pop(db.AFTER_COMMIT, []):
            act()


@pytest.fixture
def session(worker_database: db.Database, settings: Settings) -> Iterator[Session]:
    """Rolled back at the end, whatever happened."""
    with worker_database.engine.connect() as connection:
        outer = connection.begin()
        with Session(connection, expire_on_commit=False, join_transaction_mode="create_savepoint") as session:
            db.database.set(OneSession(session))
            yield session
        outer.rollback()
