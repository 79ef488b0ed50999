"""Builds that are kept no longer go part by part, and whoever was stopped in the middle is followed."""

import signal
import subprocess
import sys
from uuid import UUID

import pytest
from sqlalchemy import text
from tests import factories, finished
from tests.results.test_keeping import OLD, a_build_of, an_old_build, count, end

from changes.base import clock, storage
from changes.base.db import Database
from changes.base.errors import Conflict
from changes.base.settings import Settings
from changes.builds import pins, removal
from changes.builds.models import Build
from changes.results import keeping, removing, testruns
from changes.results.keeping_rules import Kind
from changes.results.removing import Span

TESTS = 25


@pytest.fixture
def project(database: Database) -> UUID:
    with database.transaction() as session:
        return factories.a_project(session).id


@pytest.fixture
def old(database: Database, project: UUID) -> UUID:
    """With a file, a log, and the runs of some tests, half of which failed."""
    with database.transaction() as session:
        build_id = an_old_build(session, project)
        (step,) = factories.steps_of(session, session.get_one(Build, build_id))
        seen = [
            finished.a_test(f"a.t{number}", "failed" if number % 2 else "passed", message=f"no {number}")
            for number in range(TESTS)
        ]
        testruns.store(session, step, seen)
        end(session, session.get_one(Build, build_id), OLD)
    return build_id


@pytest.fixture
def settings_of_builds(settings: Settings) -> Settings:
    return settings.model_copy(update={"keep_builds_days": 30, "keep_logs_days": 0, "keep_artifacts_days": 0})


@pytest.fixture
def few_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(removing, "RUNS_AT_ONCE", 10)
    monkeypatch.setattr(removing, "FILES_AT_ONCE", 1)
    monkeypatch.setattr(removing, "LOGS_AT_ONCE", 1)


def left(database: Database) -> list[int]:
    """Of the tables that have most of it."""
    tables = ("test_run", "test_message", "test_batch", "artifact", "log_source", "build_removal")
    return [count(database, table) for table in tables]


def test_long_batches_are_cut_and_short_ones_go_together() -> None:
    cut = list(removing.spans([(0, 25), (100, 103)], 10))

    assert cut == [Span(0, 0, 10), Span(0, 10, 20), Span(0, 20, 25), Span(100, 100, 103)]
    together = list(removing.groups(cut, lambda span: span.size, 10))
    assert [len(group) for group in together] == [1, 1, 2]


@pytest.mark.usefixtures("few_at_once")
def test_no_transaction_removes_more_runs_than_it_may(
    database: Database, settings_of_builds: Settings, old: UUID
) -> None:
    seen = [count(database, "test_run") for _ in keeping.pieces(settings_of_builds, Kind.BUILDS)]

    steps = [before - after for before, after in zip([TESTS, *seen], seen, strict=False)]
    assert max(steps) == 10
    assert left(database) == [0, 0, 0, 0, 0, 0]
    assert count(database, f"build where id = '{old}'") == 0


@pytest.mark.usefixtures("few_at_once")
def test_what_was_stopped_in_the_middle_is_gone_on_with_whatever_is_kept_since(
    database: Database, settings: Settings, settings_of_builds: Settings, old: UUID
) -> None:
    for _ in keeping.pieces(settings_of_builds, Kind.BUILDS):
        if 0 < count(database, "test_run") < TESTS:
            break

    done = keeping.clean_kind(storage.storage.get(), settings, Kind.BUILDS, "")

    assert done is not None
    assert done.items == 1
    assert left(database) == [0, 0, 0, 0, 0, 0]
    assert count(database, f"build where id = '{old}'") == 0


def test_a_cleaning_that_is_killed_leaves_the_rest_to_the_next(
    database: Database, settings: Settings, settings_of_builds: Settings, old: UUID
) -> None:
    program = (
        "import os, signal\n"
        "from changes.base import db\n"
        "from changes.base.db import Database\n"
        "from changes.results import removing\n"
        f"db.database.set(Database({database.url!r}))\n"
        "removing.RUNS_AT_ONCE = 10\n"
        "from uuid import UUID\n"
        f"for number, _ in enumerate(removing.parts([UUID('{old}')])):\n"
        "    if number == 3:\n"
        "        os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    with database.transaction() as session:
        removal.begin(session, [old], now=clock.now())

    ended = subprocess.run([sys.executable, "-c", program], check=False, capture_output=True, timeout=60)

    assert ended.returncode == -signal.SIGKILL, ended.stderr.decode()
    assert 0 < count(database, "test_run") < TESTS
    keeping.clean_kind(storage.storage.get(), settings_of_builds, Kind.BUILDS, "")
    assert left(database) == [0, 0, 0, 0, 0, 0]


def test_a_build_whose_removal_has_begun_is_not_pinned_any_more(database: Database, old: UUID) -> None:
    with database.transaction() as session:
        removal.begin(session, [old], now=clock.now())

    with database.transaction() as session, pytest.raises(Conflict, match="is being removed"):
        pins.pin(session, session.get_one(Build, old), by="olga")


@pytest.mark.usefixtures("few_at_once")
def test_runs_of_other_builds_stay(
    database: Database, settings_of_builds: Settings, project: UUID, old: UUID
) -> None:
    with database.transaction() as session:
        young = a_build_of(session, project)
        testruns.store(session, factories.steps_of(session, young)[0], [finished.a_test("a.t1")])

    keeping.clean_kind(storage.storage.get(), settings_of_builds, Kind.BUILDS, "")

    assert count(database, f"build where id = '{old}'") == 0
    assert count(database, "test_run") == 1


@pytest.mark.usefixtures("few_at_once", "old")
def test_how_far_a_cleaning_has_come_is_told_while_it_goes_on(
    database: Database, settings_of_builds: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keeping, "NOTED_EVERY_S", 0)
    seen: list[bool] = []

    def look(*_asked: object) -> int:
        with database.transaction() as session:
            seen.extend(session.execute(text("select is_done from clean_up")).scalars())
        return 0

    monkeypatch.setattr(keeping, "remove_bytes", look)
    done = keeping.clean_kind(storage.storage.get(), settings_of_builds, Kind.BUILDS, "")

    assert done is not None
    assert (done.is_done, done.items) == (True, 1)
    assert False in seen
    assert count(database, "clean_up") == 1
