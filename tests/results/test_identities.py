"""Names of tests into their numbers: the same by memory, by the database and for the first time."""

import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from uuid import UUID

import pytest
from sqlalchemy import delete, select, text, update
from tests import factories

from changes.base import db
from changes.results import identities, models
from changes.results.formats import seen
from changes.results.remembered_tests import remembered

TESTS = [seen.TestSeen(f"suite.test_{number}", "suite", "passed") for number in range(5)]


@pytest.fixture
def project_id(database: db.Database) -> Iterator[UUID]:
    with database.transaction() as session:
        made = factories.a_project(session).id
    yield made
    remembered.forget(made)


def numbers(database: db.Database, project_id: UUID, tests: Sequence[seen.TestSeen]) -> list[int]:
    with database.transaction() as session:
        return identities.numbers_of(session, project_id, tests)


def number_and_fail(database: db.Database, project_id: UUID) -> None:
    with database.transaction() as session:
        identities.numbers_of(session, project_id, TESTS)
        raise ZeroDivisionError


def stored(database: db.Database) -> dict[str, int]:
    with database.transaction() as session:
        return {row[0]: row[1] for row in session.execute(select(models.Test.name, models.Test.id))}


def test_a_test_that_was_met_before_is_not_asked_for_again(
    database: db.Database, project_id: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = numbers(database, project_id, TESTS)
    monkeypatch.setattr(identities, "KNOWN", "select 'nobody may ask this' / 0, %s, %s")

    again = numbers(database, project_id, TESTS[::-1])

    assert again == first[::-1]


def test_a_worker_that_just_began_finds_what_others_wrote(database: db.Database, project_id: UUID) -> None:
    first = numbers(database, project_id, TESTS)
    remembered.forget(project_id)

    assert numbers(database, project_id, TESTS) == first


def test_new_tests_beside_known_ones_get_numbers_of_their_own(
    database: db.Database, project_id: UUID
) -> None:
    first = numbers(database, project_id, TESTS[:2])

    both = numbers(database, project_id, [TESTS[3], *TESTS[:2]])

    assert both[1:] == first
    assert stored(database) == dict(zip([TESTS[3].name, TESTS[0].name, TESTS[1].name], both, strict=True))


def test_numbers_that_were_rolled_back_are_not_remembered(database: db.Database, project_id: UUID) -> None:
    with pytest.raises(ZeroDivisionError):
        number_and_fail(database, project_id)

    assert not remembered.of(project_id)
    assert stored(database) == {}


def test_a_database_that_was_put_back_is_not_trusted_with_what_it_has_lost(
    database: db.Database, project_id: UUID
) -> None:
    numbers(database, project_id, TESTS[:4])
    numbers(database, project_id, TESTS)
    with database.transaction() as session:
        session.execute(delete(models.Test).where(models.Test.name == TESTS[4].name))

    after = numbers(database, project_id, TESTS)

    assert stored(database) == dict(zip([each.name for each in TESTS], after, strict=True))


def test_a_number_that_means_another_test_now_is_not_trusted(database: db.Database, project_id: UUID) -> None:
    before = numbers(database, project_id, TESTS)
    with database.transaction() as session:
        renamed = update(models.Test).where(models.Test.id == before[4])
        session.execute(renamed.values(name="suite.other", name_sha="0" * 40))

    after = numbers(database, project_id, TESTS)

    assert after[:4] == before[:4]
    assert after[4] == stored(database)[TESTS[4].name] != before[4]


def test_two_reports_that_tell_of_a_new_test_at_the_same_time_mean_the_same_one(
    database: db.Database, project_id: UUID
) -> None:
    with ThreadPoolExecutor(1) as other:
        with database.transaction() as session:
            mine = identities.numbers_of(session, project_id, TESTS)
            theirs = other.submit(numbers, database, project_id, TESTS[1:])
            wait_until_somebody_waits_for_us(database)

        assert theirs.result(timeout=60) == mine[1:]


def wait_until_somebody_waits_for_us(database: db.Database) -> None:
    waiting = text(
        "select count(*) from pg_locks join pg_stat_activity using (pid)"
        " where not granted and datname = current_database()"
    )
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        with database.transaction() as session:
            if session.execute(waiting).scalar_one():
                return
        time.sleep(0.01)
    pytest.fail("nobody waits for the tests that we have just written")
