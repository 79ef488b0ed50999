"""Fills a database with a believable team's month. Everything in one transaction, by COPY."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import count

import psycopg

from changes.app.demo import (
    cancelled,
    catalogue,
    covered,
    decided,
    fates,
    origins,
    rooms,
    streams,
    targets,
    told,
    verdicts,
    versions,
)
from changes.app.demo.catalogue import ProjectShape
from changes.app.demo.dice import Dice
from changes.app.demo.ground import Builder
from changes.app.demo.month import Month
from changes.app.demo.people import MACHINES
from changes.app.demo.play import Machines, Player
from changes.app.demo.rows import Connection, Ids, Rows
from changes.app.demo.write import Detail, Writer
from changes.base import storage
from changes.base.db import Database
from changes.base.errors import Conflict
from changes.base.storage import Storage
from changes.builds import averages
from changes.results import partitions, testdays
from changes.results.figures import counting
from changes.results.figures.counting import Days

COUNT_BUILDS = """
update project set last_build_number = counted.number
from (select project_id, max(number) as number from build group by project_id) counted
where counted.project_id = project.id and project.last_build_number < counted.number
"""
RESERVE_TESTS = """
select setval('test_id_seq', nextval('test_id_seq') + 1000000) - 1000000
"""
# From so many builds on we trust ourselves: checking each foreign key would take as long as the rest.
TRUSTED_FROM_BUILDS = 5000
BATCH_BUILDS = 1000
# Longer than the month that is told of.
MONTH_DAYS = 62
# Of so many newest builds each test run is there, and of so many every log.
BUILDS_WITH_TESTS, BUILDS_WITH_LOGS = 2500, 400


PROJECTS, BUILDS = len(catalogue.PROJECTS), 1500


class AlreadyUsed(Conflict):
    """Somebody's real builds may be in this database."""


@dataclass(frozen=True)
class Wanted:
    now: datetime
    projects: int = PROJECTS
    builds: int = BUILDS
    seed: int = 1
    # Into a database that has builds already.
    more: bool = False


@dataclass(frozen=True)
class Into:
    """Where everything goes."""

    database: Database
    storage: Storage
    tell: Callable[[str], None]


def has_builds(into: Into) -> bool:
    with psycopg.connect(into.database.conninfo) as connection:
        return connection.execute("select from build limit 1").fetchone() is not None


def fill(into: Into, wanted: Wanted) -> int:
    """The number of rows that were written."""
    if not wanted.more and has_builds(into):
        raise AlreadyUsed("This database has builds already: `changes demo --fill --more` adds to them.")
    with into.database.transaction() as session:
        partitions.make(session, wanted.now - timedelta(days=MONTH_DAYS), wanted.now)
    with psycopg.connect(into.database.conninfo) as connection:
        written = Fill(connection, into, wanted).run()
    into.tell("Computing averages ...")
    with psycopg.connect(into.database.conninfo, autocommit=True) as connection:
        connection.execute("analyze")
        project_ids = [row[0] for row in connection.execute("select id from project").fetchall()]
    with into.database.transaction() as session:
        averages.update_project_averages(session, project_ids)
    with_sums = True
    while with_sums:
        with into.database.transaction() as session:
            with_sums = testdays.sum_up(session) > 0
    with into.database.transaction() as session:
        today = wanted.now.date()
        month = Days(today - timedelta(days=MONTH_DAYS + 1), today + timedelta(days=1))
        counting.count(session, project_ids, month)
    with into.database.transaction() as session:
        verdicts.tell(session)
        origins.tell(session)
        cancelled.tell(session, wanted.seed)
    # Whoever reads a log asks the process where it lies.
    storage.storage.set(into.storage)
    with into.database.transaction() as session:
        streams.tell(session, into.storage, wanted.seed, wanted.builds)
    with into.database.transaction() as session:
        told.tell(session, wanted.seed)
    with into.database.transaction() as session:
        versions.tell(session, wanted.seed)
        decided.tell(session, wanted.seed)
        covered.tell(session, wanted.seed)
        targets.tell(session, wanted.seed)
    with into.database.transaction() as session:
        rooms.note(session, into.storage)
    return written


class Fill:
    def __init__(self, connection: Connection, into: Into, wanted: Wanted) -> None:
        self.connection, self.into, self.wanted = connection, into, wanted
        self.dice = Dice(wanted.seed)
        self.rows = Rows()
        self.ids = Ids(self.dice, self.reserve())
        self.written = 0

    def run(self) -> int:
        if self.wanted.builds >= TRUSTED_FROM_BUILDS:
            self.trust()
        shapes = self.free_names(catalogue.projects(self.wanted.projects))
        month = Month(self.dice, shapes, self.wanted.now)
        builder = Builder(self.dice, self.ids, self.rows, self.wanted.now)
        ground = builder.build(self.connection, shapes)
        writer = Writer(self.rows, self.ids, ground, self.into.storage, self.wanted.now)
        writer.first_commits(month.first_commits(), builder.since)
        self.copy()
        # The planner knows nothing of tables that were empty a moment ago, and foreign keys are looked up.
        self.connection.execute("analyze")
        self.builds(month, writer)
        self.connection.execute(COUNT_BUILDS)
        return self.written

    def reserve(self) -> int:
        """Numbers for our tests, which nobody else gets meanwhile."""
        row = self.connection.execute(RESERVE_TESTS).fetchone()
        return int(str(row[0])) if row else 1

    def trust(self) -> None:
        """Only an administrator of the database may; anybody else waits a little longer."""
        with suppress(psycopg.errors.InsufficientPrivilege), self.connection.transaction():
            self.connection.execute("set local session_replication_role = replica")

    def free_names(self, shapes: list[ProjectShape]) -> list[ProjectShape]:
        """A second team beside the first has projects of the same names, with a number."""
        rows = self.connection.execute("select slug from project union select url from repository").fetchall()
        taken = {str(row[0]) for row in rows}
        for number in count(1):
            named = [numbered(shape, number) for shape in shapes] if number > 1 else shapes
            if not any(shape.slug in taken or shape.url in taken for shape in named):
                return named
        raise AssertionError("there is always another number")

    def builds(self, month: Month, writer: Writer) -> None:
        player = Player(self.dice, Machines(MACHINES, self.wanted.now))
        for done, request in enumerate(month.requests(self.wanted.builds), start=1):
            left = self.wanted.builds - done
            detail = Detail(
                has_tests=left < BUILDS_WITH_TESTS,
                has_logs=left < BUILDS_WITH_LOGS,
                is_of_commit=not request.change.review,
            )
            placed = writer.ground.projects[request.project.slug]
            drawn, cut = fates.draw(self.dice, placed, request, self.wanted.now)
            plans = zip(placed.shape.plans, drawn, strict=True)
            jobs = [player.play(plan, request.at, fate, cut) for plan, fate in plans]
            state = writer.build(request, jobs, detail)
            month.note(request, state.result, state.date_finished)
            if done % BATCH_BUILDS == 0 or left == 0:
                self.copy()
                self.into.tell(f"{done} of {self.wanted.builds} builds, {self.written} rows")

    def copy(self) -> None:
        self.written += self.rows.copy(self.connection)


def numbered(shape: ProjectShape, number: int) -> ProjectShape:
    repository = f"{shape.repository or shape.slug}-{number}"
    return replace(shape, slug=f"{shape.slug}-{number}", name=f"{shape.name} {number}", repository=repository)
