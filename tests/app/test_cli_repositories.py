"""`changes repository`: what it asks of the server, with secrets from files and never from arguments."""

from pathlib import Path

import pytest
from tests.app import far_sides
from tests.app.far_sides import FarSide

URL, ID = "ssh://git@example.com/a.git", "0" * 32
KNOWN = {"id": ID, "url": URL, "status": {"name": "Ready"}, "lastError": None}
MADE = {"id": ID, "server": "ssh://example.com", "publicKey": "ssh-ed25519 AAAA"}


@pytest.fixture
def far_side(monkeypatch: pytest.MonkeyPatch) -> FarSide:
    return far_sides.connect(monkeypatch, [KNOWN], MADE)


def run(monkeypatch: pytest.MonkeyPatch, *words: str, typed: str = "") -> int:
    return far_sides.run(monkeypatch, "repository", *words, typed=typed)


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
