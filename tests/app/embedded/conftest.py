import contextlib
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import psycopg
import pytest
from tests.conftest import place_for_server

from changes.app.embedded import account as accounts
from changes.app.embedded import binaries
from changes.app.embedded.home import Home
from changes.app.embedded.postgres import Postgres, PostgresOptions


def _open_folder() -> Path:
    # Short, for the sockets, and open to the account the databases run as, which a
    # folder of pytest is not.
    folder = Path(tempfile.mkdtemp(prefix="c-", dir=place_for_server() or "/tmp"))
    folder.chmod(0o711)
    return folder


def _end_all_below(folder: Path) -> list[str]:
    left = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.NoSuchProcess, psutil.AccessDenied):
            if Path(process.cwd()).is_relative_to(folder):
                left.append(" ".join(process.cmdline()))
                process.kill()
    return left


@pytest.fixture
def folder() -> Iterator[Path]:
    """An empty folder; no process may be left in it at the end of the test."""
    folder = _open_folder()
    yield folder
    left = _end_all_below(folder)
    shutil.rmtree(folder, ignore_errors=True)
    assert not left


@pytest.fixture
def home(folder: Path) -> Iterator[Home]:
    with Home(folder / "home") as home:
        yield home


@dataclass(frozen=True)
class Made:
    """A cluster and programs made once: making one takes longer than most tests."""

    data: Path
    installation: binaries.Installation


@pytest.fixture(scope="session")
def made() -> Iterator[Made]:
    folder = _open_folder()
    with Home(folder / "home") as home:
        installation = binaries.within_reach(binaries.find_postgres(), home, accounts.for_servers())
        server = Postgres(home, PostgresOptions(fsync=False, installation=installation))
        server.start()
        server.stop()
    yield Made(home.path / "postgres/data", installation)
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def options(made: Made) -> PostgresOptions:
    return PostgresOptions(fsync=False, installation=made.installation)


@pytest.fixture
def borrow(made: Made) -> Iterator[Callable[[Home], Path]]:
    """Moves the cluster into a home, for this test; the next one finds it as this one left it."""
    borrowed: list[Path] = []

    def borrow(home: Home) -> Path:
        borrowed.append(home.folder("postgres") / "data")
        return made.data.rename(borrowed[0])

    yield borrow
    for data in borrowed:
        _end_all_below(data)
        data.rename(made.data)


@pytest.fixture
def data(folder: Path, borrow: Callable[[Home], Path]) -> Path:
    return borrow(Home(folder / "home"))


@pytest.fixture
def start(home: Home, data: Path, options: PostgresOptions) -> Iterator[Callable[[], Postgres]]:
    """Starts a server on the cluster of this home, as one supervisor after the other would."""
    started: list[Postgres] = []

    def start() -> Postgres:
        server = Postgres(home, options)
        started.append(server)
        server.start()
        return server

    yield start
    for server in started:
        server.stop()


@pytest.fixture
def ask() -> Callable[[Postgres, str], object]:
    def ask(server: Postgres, query: str) -> object:
        with psycopg.connect(server.url.replace("+psycopg", ""), autocommit=True) as connection:
            cursor = connection.execute(query.encode())
            row = cursor.fetchone() if cursor.description else None
            return row[0] if row else None

    return ask
