"""`changes original-agent-url`: it touches the database only, so no server runs here."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from changes.app.cli.main import main
from changes.base import db
from changes.base.errors import Forbidden
from changes.builds.original import keys
from changes.builds.original.models import KeyUse

Command = Callable[..., CompletedProcess[str]]


@pytest.fixture
def run(
    database: db.Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Command:
    monkeypatch.setenv("CHANGES_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("DATABASE_URL", database.url)
    monkeypatch.setenv("BASE_URL", "http://changes.test/")

    def run(*words: str) -> CompletedProcess[str]:
        monkeypatch.setattr(sys, "argv", ["changes", "original-agent-url", *words])
        capfd.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        return CompletedProcess(words, int(ended.value.code or 0), *capfd.readouterr())

    return run


def test_an_address_is_made_listed_and_revoked(run: Command, database: db.Database) -> None:
    url = run("create", "mesos").stdout.strip()
    (listed,) = json.loads(run("list", "--json").stdout)
    secret = url.rpartition("/")[2]
    with database.transaction() as session:
        opened = keys.open_with(session, secret)

    run("revoke", listed["id"])

    assert url == f"http://changes.test/original/{secret}"
    assert (opened.use, listed["name"], listed["use"], listed["revoked"]) == (
        KeyUse.ALLOCATE,
        "mesos",
        "allocate",
        False,
    )
    assert "yes" in run("list").stdout
    with database.transaction() as session, pytest.raises(Forbidden):
        keys.open_with(session, secret)


def test_a_key_without_a_name_is_refused(run: Command) -> None:
    assert run("create", " ").returncode != 0
