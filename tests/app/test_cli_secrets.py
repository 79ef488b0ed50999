"""`changes secret`: what it asks of the server; a value is never an argument."""

import getpass
import json
from pathlib import Path

import pytest
from tests.app import far_sides
from tests.app.far_sides import FarSide

WRONG_USAGE = 2
KEPT = {"name": "DEPLOY_KEY", "dateModified": "2026-01-02T03:04:05"}


@pytest.fixture
def far_side(monkeypatch: pytest.MonkeyPatch) -> FarSide:
    return far_sides.connect(monkeypatch, [KEPT], KEPT)


def run(monkeypatch: pytest.MonkeyPatch, *words: str, typed: str = "") -> int:
    return far_sides.run(monkeypatch, "secret", *words, typed=typed)


def value_of(far_side: FarSide) -> object:
    ((method, path, fields),) = far_side.asked
    assert (method, path, fields["name"]) == ("POST", "/projects/demo/secrets/", "DEPLOY_KEY")
    return fields["value"]


def test_a_value_is_asked_for_where_nobody_sees_it(
    far_side: FarSide, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(getpass, "getpass", lambda _prompt: "hunter2")

    assert run(monkeypatch, "set", "demo", "DEPLOY_KEY") == 0

    assert value_of(far_side) == "hunter2"
    told = capsys.readouterr()
    assert "hunter2" not in told.out + told.err


def test_a_value_comes_from_standard_input_without_the_end_of_its_line(
    far_side: FarSide, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run(monkeypatch, "set", "demo", "DEPLOY_KEY", "--file", "-", typed="hunter2\n") == 0

    assert value_of(far_side) == "hunter2"


def test_a_value_of_many_lines_is_kept_as_it_is(
    far_side: FarSide, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "key").write_text("begin\nmiddle\nend\n")

    assert run(monkeypatch, "set", "demo", "DEPLOY_KEY", "--file", str(tmp_path / "key")) == 0

    assert value_of(far_side) == "begin\nmiddle\nend\n"


def test_a_value_is_no_argument(far_side: FarSide, monkeypatch: pytest.MonkeyPatch) -> None:
    assert run(monkeypatch, "set", "demo", "DEPLOY_KEY", "hunter2") == WRONG_USAGE

    assert far_side.asked == []


@pytest.mark.parametrize("words", [(), ("--json",)])
def test_names_are_listed(
    far_side: FarSide,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: tuple[str, ...],
) -> None:
    assert run(monkeypatch, "list", "demo", *words) == 0

    told = capsys.readouterr().out
    assert "DEPLOY_KEY" in told
    assert not words or json.loads(told) == [KEPT]


def test_a_secret_is_forgotten(far_side: FarSide, monkeypatch: pytest.MonkeyPatch) -> None:
    assert run(monkeypatch, "remove", "demo", "DEPLOY_KEY") == 0

    assert far_side.asked == [("DELETE", "/projects/demo/secrets/DEPLOY_KEY/", {})]
