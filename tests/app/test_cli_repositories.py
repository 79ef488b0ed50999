"""`changes repository`: what it asks of the server, with secrets from files and never from arguments."""

import io
import sys
from pathlib import Path
from typing import Any

import pytest

from changes.app.cli import server as servers
from changes.app.cli.main import main

URL, ID = "ssh://git@example.com/a.git", "0" * 32


class FarSide:
    """Knows one repository."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, dict[str, object]]] = []

    def get(self, _path: str, **_query: object) -> list[dict[str, Any]]:
        return [{"id": ID, "url": URL, "status": {"name": "Ready"}, "lastError": None}]

    def post(self, path: str, fields: dict[str, object]) -> dict[str, Any]:
        self.asked.append(("POST", path, fields))
        return {"id": ID, "server": "ssh://example.com", "publicKey": "ssh-ed25519 AAAA"}

    def ask(self, method: str, path: str) -> None:
        self.asked.append((method, path, {}))


@pytest.fixture
def far_side(monkeypatch: pytest.MonkeyPatch) -> FarSide:
    far_side = FarSide()
    monkeypatch.setattr(servers, "connect", lambda: far_side)
    return far_side


def run(monkeypatch: pytest.MonkeyPatch, *words: str, typed: str = "") -> int:
    monkeypatch.setattr(sys, "argv", ["changes", "repository", *words])
    monkeypatch.setattr(sys, "stdin", io.StringIO(typed))
    with pytest.raises(SystemExit) as ended:
        main()
    return int(ended.value.code or 0)


def test_a_password_comes_from_standard_input(far_side: FarSide, monkeypatch: pytest.MonkeyPatch) -> None:
    assert run(monkeypatch, "password", ID, "--user", "zoe", "--file", "-", typed="hunter2\n") == 0

    fields = {"username": "zoe", "password": "hunter2", "shared": False}
    assert far_side.asked == [("POST", f"/repositories/{ID}/credentials/", fields)]


def test_a_key_that_is_made_tells_its_public_half(
    far_side: FarSide, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "hosts").write_text("example.com ssh-rsa AAAA\n")

    assert run(monkeypatch, "key", URL, "--known-hosts", str(tmp_path / "hosts"), "--shared") == 0

    fields = {"shared": True, "make_key": True, "known_hosts": "example.com ssh-rsa AAAA\n"}
    assert far_side.asked == [("POST", f"/repositories/{ID}/credentials/", fields)]
    assert capsys.readouterr().out == "ssh-ed25519 AAAA\n"


def test_what_is_stored_can_be_forgotten(far_side: FarSide, monkeypatch: pytest.MonkeyPatch) -> None:
    assert run(monkeypatch, "forget", URL) == 0

    assert far_side.asked == [("DELETE", f"/repositories/{ID}/credentials/", {})]


def test_an_unknown_address_is_told_in_one_sentence(
    far_side: FarSide, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, "forget", "https://example.com/other.git") == 2

    assert "No repository has the address" in capsys.readouterr().err
    assert far_side.asked == []


@pytest.mark.usefixtures("far_side")
def test_all_are_listed(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(monkeypatch, "list") == 0

    assert URL in capsys.readouterr().out


def test_a_sync_is_asked_for_by_address(far_side: FarSide, monkeypatch: pytest.MonkeyPatch) -> None:
    assert run(monkeypatch, "sync", URL) == 0

    assert far_side.asked == [("POST", f"/repositories/{ID}/sync/", {})]
