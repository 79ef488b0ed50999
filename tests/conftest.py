"""One PostgreSQL per run, a clean state per test.

The controlling process starts the server and migrates a template once. `session` is a
transaction that is rolled back; `database` is a copy of the template of one's own (some
30 ms), for tests in which several connections must see each other's commits.
"""

import gc
import os
import shutil
import signal
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import hypothesis
import psutil
import psycopg
import pytest
from sqlalchemy.orm import Session
from xdist.scheduler import LoadFileScheduling

from changes.app import migrate, plugins
from changes.app.embedded import cluster
from changes.app.embedded.home import Home
from changes.app.embedded.postgres import Postgres, PostgresOptions
from changes.base import db, garbage, jobs, process, storage
from changes.base.ids import new
from changes.base.settings import Settings
from changes.projects import mirrors

# How fast this machine is at this moment is no property of the code.
hypothesis.settings.register_profile(
    "any machine", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("any machine")

# Most tests let steps write beside the agent, to see what they did; those of sandboxes say otherwise.
OF_STEPS = {"CHANGES_AGENT_SANDBOX": "process"}
if os.geteuid() == 0:
    OF_STEPS["CHANGES_STEP_ACCOUNT"] = "root"
for said, usual in OF_STEPS.items():
    os.environ.setdefault(said, usual)

SERVER = "CHANGES_TEST_SERVER"
FAILED_FILE = "TESTS_FAILED_FILE"
TEMPLATE = "changes"
# The server is thrown away with all it holds, so it need not be ready for any crash; statistics and
# clean-up by itself would only come at moments that differ from run to run.
SETTINGS = [
    "synchronous_commit = off",
    "wal_level = minimal",
    "max_wal_senders = 0",
    "max_wal_size = 256MB",
    "max_connections = 300",
    "autovacuum = off",
]
# What nohup, or a shell that starts something in the background, lets it ignore.
OF_SHELLS = (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT)
MEMORY = Path("/dev/shm")
MEMORY_MIN_BYTES = 3 * 1024**3
LEAVES_WITHIN_S = 0.5


# One worker takes all files of this folder: it starts one browser, busy while systems of the others wait.
OF_ONE_WORKER = "tests/browser/"
# What takes ten seconds and more, the longest first: begun last, it would keep one processor idle.
BEGUN_FIRST = [
    "browser/test_every_page.py",
    "faults/test_up_faults.py",
    "vcs/test_remotes.py",
    "scenarios/test_scenarios.py",
    "vcs/test_hg_mirror.py",
    "faults/test_server_faults.py",
    "app/test_demo.py",
    "app/test_worker.py",
    "app/test_migrations.py",
    "app/doctor/test_command.py",
    "builds/test_state_machine.py",
    "faults/test_agent_faults.py",
    "builds/test_concurrency.py",
    "projects/test_sync_hg.py",
    "agent/test_agent_process.py",
    "app/doctor/test_rows.py",
    "app/test_cli_try.py",
    "app/test_report.py",
    "app/test_cli.py",
    "scenarios/test_original_agents.py",
    "app/embedded/test_postgres.py",
    "agent/test_links.py",
    "app/up/test_main.py",
    "scenarios/test_keeping.py",
    "scenarios/test_documented.py",
    "app/test_cli_queue.py",
    "web/test_original_store.py",
    "agent/test_hello.py",
    "agent/test_hostile.py",
]


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
    # Where there are no other processes, the tests run in this one.
    os.environ.update(OF_STEPS)
    Running.folder = Path(tempfile.mkdtemp(prefix="changes-tests-", dir=place_for_server()))
    Running.folder.chmod(0o711)
    Running.home = Home(Running.folder)
    Running.home.open()
    _configure(Running.home.folder("postgres") / cluster.LOCAL)
    Running.postgres = Postgres(Running.home, PostgresOptions(fsync=False))
    Running.postgres.start()
    migrate.upgrade(Running.postgres.url)
    os.environ[SERVER] = Running.postgres.url


def pytest_collection_finish() -> None:
    """Thousands of tests and all of the product live as long as this process: who looks through them for
    garbage again and again spends a third of the time on it.
    """
    gc.collect()
    garbage.leave_out_what_is_here()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    ranks = {Path(__file__).parent / name: rank for rank, name in enumerate(BEGUN_FIRST)}
    items.sort(key=lambda item: ranks.get(item.path, len(ranks)))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Whole files, and the folder of one worker as if it were one."""
    if config.getvalue("dist") != "loadfile":
        return None
    scheduler = LoadFileScheduling(config, log)
    file_of = scheduler._split_scope

    def together(nodeid: str) -> str:
        return OF_ONE_WORKER if nodeid.startswith(OF_ONE_WORKER) else str(file_of(nodeid))

    scheduler._split_scope = together
    return scheduler


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """What failed, for whoever wants to repeat it: scripts/repeat-failed."""
    if path := os.environ.get(FAILED_FILE):
        reports = [*terminalreporter.getreports("failed"), *terminalreporter.getreports("error")]
        names = dict.fromkeys(report.nodeid for report in reports)
        Path(path).write_text("".join(f"{name}\n" for name in names))


def place_for_server() -> Path | None:
    """Memory where there is enough of it: for a disk the 400 files of each copy are half a second."""
    if MEMORY.is_dir() and os.access(MEMORY, os.W_OK) and not os.statvfs(MEMORY).f_flag & os.ST_NOEXEC:
        free_bytes = min(shutil.disk_usage(MEMORY).free, psutil.virtual_memory().available)
        if free_bytes > MEMORY_MIN_BYTES:
            return MEMORY
    # As root the server runs under an account of its own, which may not enter a private TMPDIR.
    return Path("/tmp") if os.geteuid() == 0 else None


def _configure(path: Path) -> None:
    path.write_text("\n".join([*SETTINGS, ""]))
    path.chmod(0o644)


def pytest_unconfigure(config: pytest.Config) -> None:
    if Running.postgres is not None and Running.home is not None and Running.folder is not None:
        Running.postgres.stop()
        Running.home.close()
        shutil.rmtree(Running.folder)
        Running.postgres = None


def url_of(name: str) -> str:
    return os.environ[SERVER].replace(f"/{TEMPLATE}?", f"/{name}?")


@contextmanager
def connected_to_server() -> Iterator[psycopg.Connection]:
    url = url_of("postgres").replace("postgresql+psycopg://", "postgresql://")
    with psycopg.connect(url, autocommit=True) as connection:
        yield connection


@contextmanager
def copy_of_template() -> Iterator[str]:
    name = f"test_{new().hex}"
    with connected_to_server() as connection:
        connection.execute(f"create database {name} template {TEMPLATE} strategy file_copy".encode())
    try:
        yield url_of(name)
    finally:
        with connected_to_server() as connection:
            _wait_until_left(connection, name)
            connection.execute(f"drop database {name} with (force)".encode())


def _wait_until_left(connection: psycopg.Connection, name: str) -> None:
    """Whoever has just hung up is gone in a millisecond; a drop that meets him pauses for a hundred."""
    ends_at = time.monotonic() + LEAVES_WITHIN_S
    inside = "select exists (select from pg_stat_activity where datname = %s)"
    while connection.execute(inside, [name]).fetchone() == (True,) and time.monotonic() < ends_at:
        time.sleep(0.001)


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
    database.close()


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


@pytest.fixture
def hears_hangups() -> Iterator[None]:
    """For what is started meanwhile, even when somebody runs the tests under nohup or in the background."""
    ignored = [number for number in OF_SHELLS if signal.getsignal(number) == signal.SIG_IGN]
    before = {number: signal.signal(number, signal.SIG_DFL) for number in ignored}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture(scope="session")
def worker_database() -> Iterator[db.Database]:
    with copy_of_template() as url:
        database = db.Database(url, pool_size=2)
        yield database
        database.close()


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
