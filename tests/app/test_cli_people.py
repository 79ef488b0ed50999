"""Commands about people: they touch the database only, so no server runs here."""

import io
import json
import sys
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from changes.app.cli.main import main
from changes.base import db
from changes.base.errors import Forbidden
from changes.people import passwords, users

PASSWORD = "correct horse battery"
Command = Callable[..., CompletedProcess[str]]


@pytest.fixture
def run(
    database: db.Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Command:
    monkeypatch.setenv("CHANGES_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("DATABASE_URL", database.url)
    monkeypatch.setenv("BASE_URL", "http://changes.test")

    def run(*words: str, typed: str = "") -> CompletedProcess[str]:
        monkeypatch.setattr(sys, "argv", ["changes", *words])
        monkeypatch.setattr(sys, "stdin", io.StringIO(typed))
        capfd.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        return CompletedProcess(words, int(ended.value.code or 0), *capfd.readouterr())

    return run


def test_a_password_is_set_from_standard_input(run: Command, database: db.Database) -> None:
    run("user", "create", "olga@example.com")

    done = run("user", "password", "olga@example.com", typed=f"{PASSWORD}\n")

    assert (done.returncode, done.stdout) == (0, "")
    assert PASSWORD not in done.stderr
    with database.transaction() as session:
        assert passwords.check(session, "olga@example.com", PASSWORD).email == "olga@example.com"


def test_setting_a_password_signs_out_everywhere(run: Command, database: db.Database) -> None:
    run("user", "create", "olga@example.com")
    with database.transaction() as session:
        cookie = users.open_session(session, users.by_email(session, "olga@example.com").id)

    run("user", "password", "olga@example.com", typed=PASSWORD)

    with database.transaction() as session:
        assert users.signed_in(session, cookie) is None


@pytest.mark.parametrize(
    ("email", "typed"), [("olga@example.com", "short\n"), ("nobody@example.com", PASSWORD)]
)
def test_what_is_wrong_is_told_in_one_sentence(
    run: Command, database: db.Database, email: str, typed: str
) -> None:
    run("user", "create", "olga@example.com")

    done = run("user", "password", email, typed=typed)

    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    with database.transaction() as session, pytest.raises(Forbidden):
        passwords.check(session, "olga@example.com", typed.strip())


def test_a_user_may_be_made_with_a_password(run: Command, database: db.Database) -> None:
    made = run("user", "create", "ravi@example.com", "--password-stdin", "--json", typed=f"{PASSWORD}\n")
    listed = json.loads(run("user", "list", "--json").stdout)

    assert json.loads(made.stdout)["link"].startswith("http://changes.test/auth/link/")
    assert listed == [{"email": "ravi@example.com", "isAdmin": False, "disabled": False}]
    with database.transaction() as session:
        passwords.check(session, "ravi@example.com", PASSWORD)


def test_a_password_that_is_refused_makes_no_user(run: Command) -> None:
    done = run("user", "create", "ravi@example.com", "--password-stdin", typed="short\n")

    assert done.returncode == 1
    assert json.loads(run("user", "list", "--json").stdout) == []
