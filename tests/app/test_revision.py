"""Which schema a database has, asked without Alembic; and servers that wait for the one they need."""

from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest
from alembic.script import ScriptDirectory
from structlog.testing import capture_logs

from changes.app import migrate, revision
from changes.app.embedded.processes import wait_until
from changes.app.revision import SchemaTooNew
from changes.base import db

WITHIN_S = 200


def put(url: str, number: str) -> None:
    with psycopg.connect(db.conninfo_of(url)) as connection:
        connection.execute("update alembic_version set version_num = %s", [number])


@pytest.fixture
def empty(database_url: str) -> str:
    with psycopg.connect(db.conninfo_of(database_url)) as connection:
        connection.execute("drop schema public cascade")
        connection.execute("create schema public")
    return database_url


def test_the_files_tell_the_same_line_as_alembic() -> None:
    scripts = ScriptDirectory(str(revision.MIGRATIONS))

    assert revision.known() == [each.revision for each in reversed(list(scripts.walk_revisions()))]


def test_a_database_that_was_upgraded_is_current(database_url: str) -> None:
    assert revision.is_current(database_url)


def test_an_empty_database_has_no_revision(empty: str) -> None:
    assert revision.current(empty) is None


def test_one_of_a_newer_version_is_refused(database_url: str) -> None:
    put(database_url, "9999")

    with pytest.raises(SchemaTooNew, match="newer version"):
        revision.wait_until_current(database_url)


def test_who_waits_goes_on_when_the_schema_is_there(empty: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(revision, "TELL_AFTER_S", 0)
    with capture_logs() as said, ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(revision.wait_until_current, empty)
        assert wait_until(lambda: len(said) > 0, WITHIN_S)
        assert not waiting.done()

        migrate.upgrade(empty)
        waiting.result(WITHIN_S)

    assert said[0]["why"] == "it waits for `changes db upgrade`"


def test_who_waits_for_a_database_that_is_away_says_why(empty: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(revision, "TELL_AFTER_S", 0)
    looked: list[str] = []

    def away_then_there(url: str) -> bool:
        looked.append(url)
        if len(looked) == 1:
            psycopg.connect(host="127.0.0.1", port=1, connect_timeout=1).close()
        return True

    monkeypatch.setattr(revision, "is_current", away_then_there)
    with capture_logs() as said:
        revision.wait_until_current(empty)

    assert "refused" in said[0]["why"]
