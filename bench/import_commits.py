"""A first import of a large repository into rows, against plain `git log` with the same fields; and what a
look costs that finds nothing, against the one `git ls-remote` that it takes.
"""

import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import UUID

from sqlalchemy import delete, func, select, text

from bench import system, vcs_log
from bench.figures import Figure, Goal, Limit, median
from changes.base import db, ids, process
from changes.base.settings import Settings
from changes.projects import mirrors, sync
from changes.projects.models import Branch, Repository, Revision
from changes.projects.rules import RepositoryBackend, RepositoryStatus

COMMITS, FEW, ROUNDS, LOOKS = 50_000, 5_000, 5, 15
# Of the rate of plain `git log`.
GOAL_RATIO = 0.5
# In times the one question that it is.
GOAL_LOOK = 1.5


def measure(*, quick: bool) -> Iterator[Figure]:
    commits = FEW if quick else COMMITS
    with tempfile.TemporaryDirectory(prefix="changes-bench-") as folder, system.running() as up:
        source = Path(folder) / "source.git"
        vcs_log.make(source, commits)
        database = db.Database(up.database.replace("postgresql://", "postgresql+psycopg://"), pool_size=3)
        use(database, Path(folder))
        repository = known(source)
        # The copy is made before: fetching it costs what git takes.
        mirrors.of(repository).update()
        bare, taken = [], []
        for _ in range(ROUNDS):
            bare.append(seconds(lambda: vcs_log.plain(mirrors.of(repository).path)))
            taken.append(imported(repository, commits))
        yield rate_of(commits, bare, taken)
        yield look_of(repository, source)
        database.engine.dispose()


def use(database: db.Database, folder: Path) -> None:
    db.database.set(database)
    process.settings.set(Settings(home=folder))
    mirrors.folder.set(folder / "mirrors")


def known(source: Path) -> Repository:
    with db.transaction() as session:
        repository = Repository(
            id=ids.new(), url=str(source), backend=RepositoryBackend.GIT, status=RepositoryStatus.INACTIVE
        )
        session.add(repository)
        return repository


def imported(repository: Repository, commits: int) -> float:
    """Of an empty table, which it leaves behind again."""
    took_s = seconds(lambda: sync.look(again(repository.id, is_imported=False)))
    with db.transaction() as session:
        count = session.execute(select(func.count()).select_from(Revision)).scalar_one()
        if count != commits:
            raise RuntimeError(f"{count} commits were stored of {commits}")
        # Deleted rows would be cleared away while the next import is measured.
        session.execute(text("truncate revision cascade"))
        session.execute(delete(Branch).where(Branch.repository_id == repository.id))
    return took_s


def again(repository_id: UUID, *, is_imported: bool) -> Repository:
    with db.transaction() as session:
        repository = session.get_one(Repository, repository_id)
        repository.is_imported = is_imported
        return repository


def rate_of(commits: int, bare: list[float], taken: list[float]) -> Figure:
    limit = Limit("plain git log", commits / median(bare))
    goal = Goal("at least", GOAL_RATIO * limit.value)
    return Figure("first import", commits / median(taken), "commits/s", count=commits, limit=limit, goal=goal)


def look_of(repository: Repository, source: Path) -> Figure:
    sync.look(again(repository.id, is_imported=False))
    read = again(repository.id, is_imported=True)
    ask = ["git", "ls-remote", "--heads", "--", str(source)]
    bare = [seconds(lambda: subprocess.run(ask, check=True, capture_output=True)) for _ in range(LOOKS)]
    looks = [seconds(lambda: sync.look(read)) for _ in range(LOOKS)]
    limit = Limit("git ls-remote", 1000 * median(bare))
    goal = Goal("at most", GOAL_LOOK * limit.value)
    return Figure("look without news", 1000 * median(looks), "ms", count=LOOKS, limit=limit, goal=goal)


def seconds(act: Callable[[], object]) -> float:
    began = time.perf_counter()
    act()
    return time.perf_counter() - began
