"""Many trivial builds queued at once: how many end in a minute, and that each of them does."""

import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg

from bench import agents, floor, projects, system
from bench.figures import Figure, Goal, Limit, median
from bench.floor import Floor
from bench.projects import Project
from bench.system import System, wait_until
from bench.wire import Caller

SLOTS = 8
CALLERS = 4
WARM_UP = 40
END_WITHIN_S = 120
LOOK_EVERY_S = 0.01
OURS = "select count(*) from build where status = 3 and result = 1"
FLOOR = "select count(*) from floor_job where state = 2"


def measure(*, quick: bool) -> Iterator[Figure]:
    builds, rounds = (60, 1) if quick else (200, 2)
    with system.running() as up, floor.running(up) as bare, tempfile.TemporaryDirectory() as folder:
        plain = projects.without_checkout(up, "plain")
        repository = Path(folder) / "repository"
        checkout = projects.with_checkout(up, "checkout", repository)
        yield compare("trivial builds, no checkout", Race(up, bare, plain, ()), builds, rounds)
        with_tree = (str(repository), checkout.sha)
        yield compare("trivial builds with checkout", Race(up, bare, checkout, with_tree), builds, rounds)


class Race:
    """The same jobs for the product and for the floor, one after the other, never both at once."""

    def __init__(self, up: System, bare: Floor, project: Project, checkout: tuple[str, ...]) -> None:
        self.up, self.bare, self.project, self.checkout = up, bare, project, checkout

    def ours(self, count: int) -> float:
        def ask(caller: Caller) -> None:
            caller.post("/api/0/builds/", self.project.build)

        with agents.real(self.up, SLOTS):
            projects.build_to_the_end(self.up, self.project)
            self._per_minute(OURS, WARM_UP, self.up.caller, ask)
            return self._per_minute(OURS, count, self.up.caller, ask)

    def floor(self, count: int) -> float:
        def ask(caller: Caller) -> None:
            caller.post("/trigger")

        with floor.agent(self.bare, SLOTS, *self.checkout):
            self._per_minute(FLOOR, WARM_UP, self.bare.caller, ask)
            return self._per_minute(FLOOR, count, self.bare.caller, ask)

    def _per_minute(
        self, counting: str, count: int, connect: Callable[[], Caller], ask: Callable[[Caller], None]
    ) -> float:
        with psycopg.connect(self.up.database, autocommit=True) as database:
            before = counted(database, counting)
            started_at = time.perf_counter()
            ask_many(count, connect, ask)
            wait_until(lambda: counted(database, counting) >= before + count, END_WITHIN_S, LOOK_EVERY_S)
            elapsed_s = time.perf_counter() - started_at
            refuse_more(counted(database, counting) - before, count)
        return 60 * count / elapsed_s


def compare(name: str, race: Race, count: int, rounds: int) -> Figure:
    ours, theirs = [], []
    for _ in range(rounds):
        ours.append(race.ours(count))
        theirs.append(race.floor(count))
    return Figure(
        name,
        median(ours),
        "builds/min",
        count=rounds,
        limit=Limit("bare floor", median(theirs)),
        goal=Goal("at least", 3000, 9000) if not race.checkout else Goal("at least", 0.5 * median(theirs)),
        remark=f"{count} at once, {SLOTS} slots, exactly {count} ended",
    )


def counted(database: psycopg.Connection[tuple[int]], question: str) -> int:
    row = database.execute(question.encode()).fetchone()
    return row[0] if row else 0


def ask_many(count: int, connect: Callable[[], Caller], ask: Callable[[Caller], None]) -> None:
    def ask_some(number: int) -> None:
        caller = connect()
        for _ in range(number, count, CALLERS):
            ask(caller)
        caller.close()

    threads = [threading.Thread(target=ask_some, args=(number,)) for number in range(CALLERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def refuse_more(ended: int, count: int) -> None:
    if ended != count:
        raise RuntimeError(f"{count} builds were asked for and {ended} ended")
