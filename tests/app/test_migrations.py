"""The line of migrations, and the page that explains how to add to it."""

import os
import re
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest
from alembic.script import ScriptDirectory

from changes.app import migrate, revision
from changes.app.embedded.processes import wait_until
from changes.app.migrate import SchemaDiffers, TablesInUse
from changes.app.revision import SchemaTooNew

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs/developers/migrations.md"
HEAD = ScriptDirectory(str(revision.MIGRATIONS)).get_current_head() or ""
NEXT, NEXT_BUT_ONE = (f"{int(HEAD) + more:04}" for more in (1, 2))
BEGIN = f"""
revision = "{NEXT}"
down_revision = "{HEAD}"
branch_labels = None
depends_on = None

def upgrade():
    from alembic import op
"""
# Hands the limits that migrations run under to whoever looks at the table it makes.
LIMITS = """
    op.execute("create table limits as select current_setting('lock_timeout') as lock,"
               " current_setting('statement_timeout') as statement")
"""
ALTERS = """
    op.execute("create table half_done (number integer)")
    op.execute("alter table author add column nickname text")
"""


def ask(url: str, statement: str) -> list[tuple[object, ...]]:
    with psycopg.connect(url.replace("+psycopg", "", 1), autocommit=True) as connection:
        cursor = connection.execute(statement.encode())
        return cursor.fetchall() if cursor.description else []


def tables(url: str) -> int:
    return len(ask(url, "select 1 from information_schema.tables where table_schema = 'public'"))


@pytest.fixture
def empty(database_url: str) -> str:
    ask(database_url, "drop schema public cascade")
    ask(database_url, "create schema public")
    return database_url


@pytest.fixture
def one_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file of one more migration, in a copy of the folder."""
    folder = tmp_path / "migrations"
    shutil.copytree(revision.MIGRATIONS, folder, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(revision, "MIGRATIONS", folder)
    return folder / "versions" / f"{NEXT}_one_more.py"


def test_models_and_migrations_agree(database_url: str) -> None:
    migrate.check(database_url)


def test_the_migrations_are_one_line() -> None:
    scripts = ScriptDirectory(str(revision.MIGRATIONS))

    assert len(scripts.get_heads()) == 1
    assert len(scripts.get_bases()) == 1


def test_an_upgrade_of_what_is_up_to_date_does_nothing(database_url: str) -> None:
    before = ask(database_url, "select xmin, version_num from alembic_version")

    migrate.upgrade(database_url)

    assert ask(database_url, "select xmin, version_num from alembic_version") == before


def test_an_empty_database_is_filled(empty: str) -> None:
    migrate.upgrade(empty)

    migrate.check(empty)


def test_two_upgrades_at_once_do_not_clash(empty: str) -> None:
    with ThreadPoolExecutor(1) as pool:
        other = pool.submit(
            subprocess.run, upgrade_command(empty), check=True, capture_output=True, timeout=60
        )
        migrate.upgrade(empty)
        other.result()

    migrate.check(empty)


def upgrade_command(url: str) -> list[str]:
    code = "import sys; from changes.app import migrate; migrate.upgrade(sys.argv[1])"
    return [sys.executable, "-c", code, url]


def test_one_that_waits_for_another_upgrade_is_patient(empty: str, one_more: Path) -> None:
    one_more.write_text(BEGIN + ALTERS)
    shorten_lock_timeout(one_more)

    with ThreadPoolExecutor(1) as pool, psycopg.connect(empty.replace("+psycopg", "", 1)) as first:
        first.execute("select pg_advisory_xact_lock(hashtext('changes migrations'))")
        second = pool.submit(migrate.upgrade, empty)
        waits = (
            "select 1 from pg_stat_activity where wait_event = 'advisory' and now() - query_start > '100ms'"
        )
        assert wait_until(lambda: bool(ask(empty, waits)), 90)
        first.rollback()
        second.result()

    assert ask(empty, "select version_num from alembic_version") == [(NEXT,)]


def shorten_lock_timeout(migration: Path) -> None:
    environment = migration.parents[1] / "env.py"
    environment.write_text(environment.read_text().replace('LOCK_TIMEOUT = "5s"', 'LOCK_TIMEOUT = "50ms"'))


def test_a_database_of_a_newer_version_is_refused_in_one_sentence(database_url: str) -> None:
    ask(database_url, "update alembic_version set version_num = '9999'")

    with pytest.raises(SchemaTooNew, match=r"^The database is of a newer version \(schema 9999\): [^.]*\.$"):
        migrate.upgrade(database_url)
    with pytest.raises(SchemaDiffers):
        migrate.check(database_url)


def test_migrations_run_under_time_limits(database_url: str, one_more: Path) -> None:
    one_more.write_text(BEGIN + LIMITS)

    migrate.upgrade(database_url)

    assert ask(database_url, "select lock, statement from limits") == [("5s", "10min")]


def test_a_table_in_use_is_not_waited_for_and_nothing_is_changed(database_url: str, one_more: Path) -> None:
    one_more.write_text(BEGIN + ALTERS)
    shorten_lock_timeout(one_more)
    before = tables(database_url)

    with psycopg.connect(database_url.replace("+psycopg", "", 1)) as somebody:
        somebody.execute("lock table author")
        with pytest.raises(TablesInUse, match="Nothing was changed"):
            migrate.upgrade(database_url)

    assert tables(database_url) == before
    migrate.upgrade(database_url)
    assert tables(database_url) == before + 1


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ("alter table author drop column email cascade", "email"),
        ("alter table author add column shoe_size integer", "shoe_size"),
        ("alter table author alter column name drop not null", "modify_nullable"),
        ("alter table task alter column attempts drop default", "modify_default"),
        ("drop index ix_task_open", "ix_task_open"),
        ("create table stray (number integer)", "stray"),
    ],
)
def test_a_check_names_the_difference(database_url: str, change: str, name: str) -> None:
    ask(database_url, change)

    with pytest.raises(SchemaDiffers, match=name):
        migrate.check(database_url)


def test_a_check_of_an_empty_database_says_what_to_do(empty: str) -> None:
    with pytest.raises(SchemaDiffers, match=r"has schema none, this version needs .*: changes db upgrade"):
        migrate.check(empty)


def test_a_reset_deletes_everything_and_makes_it_anew(database_url: str) -> None:
    ask(database_url, "create table stray (number integer)")

    migrate.reset(database_url)

    migrate.check(database_url)


@pytest.mark.system
def test_the_page_on_migrations_does_what_it_says(database_url: str, tmp_path: Path) -> None:
    """In a copy of the source and what Python has compiled of it: the blocks of the page, in their order."""
    page = PAGE.read_text().replace("0003", NEXT_BUT_ONE).replace("0002", NEXT)
    column, commands, by_hand = re.findall(r"^```\w+\n(.*?)^```$", page, re.DOTALL | re.MULTILINE)
    shutil.copytree(ROOT / "src", tmp_path / "src", ignore=shutil.ignore_patterns("static"))
    shutil.copy(ROOT / "alembic.ini", tmp_path)
    versions = tmp_path / "src/changes/app/migrations/versions"
    models = tmp_path / "src/changes/people/models.py"
    table = '    __tablename__ = "author"\n'
    models.write_text(models.read_text().replace(table, table + column))
    ask(database_url, "insert into author (id, name, email, date_created) values"
                      " (gen_random_uuid(), 'Ann Arbor', 'ann@example.com', now())")  # fmt: skip

    written = run_in(tmp_path, database_url, commands)
    (versions / f"{NEXT_BUT_ONE}_first_names.py").write_text(by_hand)
    run_in(tmp_path, database_url, "changes db upgrade\nchanges db check\n")

    assert 'op.add_column("author", sa.Column("nickname"' in written.replace("'", '"')
    assert ask(database_url, "select nickname from author") == [("Ann",)]


def run_in(folder: Path, database_url: str, commands: str) -> str:
    programs = str(Path(sys.executable).parent)
    env = {
        **os.environ,
        "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(folder / "src"),
        "CHANGES_HOME": str(folder / "home"),
        "DATABASE_URL": database_url,
        "PYTHONDONTWRITEBYTECODE": "",
    }
    done = subprocess.run(
        ["sh", "-e", "-c", commands],
        cwd=folder,
        env=env,
        check=False,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
