"""`changes why-failed` and `changes card`: what they ask of the server, and what they leave for the agent."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from changes.app.cli import server as servers
from changes.app.cli.main import main

PLACE = {"job": {"name": "tests"}, "step": {"name": "tests"}, "log": {"name": "console"}}
BUILD = {
    "project": {"slug": "hello"},
    "number": 7,
    "status": {"id": "finished", "name": "Finished"},
    "result": {"id": "failed", "name": "Failed"},
    "target": "abc",
    "name": "Mend it",
    "failures": [{"text": "make ended with exit code 2."}],
}
LINES = [
    {
        **PLACE,
        "line": 12,
        "text": "a.c:3: error: no",
        "isNew": False,
        "error": {"builds": 3, "note": "known"},
    },
    {**PLACE, "line": 14, "text": "panic: no", "isNew": True, "error": {"builds": 1, "note": ""}},
]


class FarSide:
    def __init__(self) -> None:
        self.posted: list[tuple[str, dict[str, object]]] = []

    def get(self, path: str, **_query: object) -> Any:
        return LINES if path.endswith("/errors/") else BUILD

    def post(self, path: str, fields: dict[str, object], *, key: str) -> dict[str, Any]:
        assert key
        self.posted.append((path, fields))
        return {}


@pytest.fixture
def far_side(monkeypatch: pytest.MonkeyPatch) -> FarSide:
    far_side = FarSide()
    monkeypatch.setattr(servers, "connect", lambda: far_side)
    monkeypatch.delenv("CHANGES_CARDS", raising=False)
    return far_side


def run(monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    monkeypatch.setattr(sys, "argv", ["changes", *words])
    with pytest.raises(SystemExit) as ended:
        main()
    return int(ended.value.code or 0)


@pytest.mark.usefixtures("far_side")
def test_why_failed_tells_reasons_and_lines(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, "why-failed", "7" * 32) == 0

    assert capsys.readouterr().out.splitlines() == [
        "hello #7 failed  abc  Mend it",
        "  make ended with exit code 2.",
        "  tests, tests, console:",
        "    12: a.c:3: error: no  [seen in 2 other builds; known]",
        "    14: panic: no  [new]",
    ]


@pytest.mark.usefixtures("far_side")
def test_why_failed_answers_as_json(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, "why-failed", "7" * 32, "--json") == 0

    assert json.loads(capsys.readouterr().out) == {"failures": BUILD["failures"], "errors": LINES}


def test_within_a_step_a_card_is_left_for_the_agent(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("CHANGES_CARDS", str(tmp_path))
    (tmp_path / "said").write_text("# All")

    assert run(monkeypatch, "card", str(tmp_path / "said"), "--key", "a", "--style", "error") == 0

    [left] = tmp_path.glob("*.json")
    said = json.loads(left.read_text())
    assert (said["key"], said["style"], said["text"], said["append"]) == ("a", "error", "# All", False)


def test_to_a_step_that_is_named_it_is_sent(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, far_side: FarSide
) -> None:
    (tmp_path / "said").write_text("# All")

    assert run(monkeypatch, "card", str(tmp_path / "said"), "--step", "5" * 32, "--append") == 0

    [(path, fields)] = far_side.posted
    assert path == f"/jobsteps/{'5' * 32}/cards/"
    assert (fields["key"], fields["text"], fields["append"]) == ("default", "# All", True)


@pytest.mark.usefixtures("far_side")
@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["/nowhere/at/all"], "cannot be read"),
        (["--remove"], "no command of a step"),
        (["--remove", "--style", "loud"], "style is one of"),
    ],
)
def test_a_card_that_cannot_be_posted_is_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], words: list[str], complaint: str
) -> None:
    assert run(monkeypatch, "card", *words) == 2

    assert complaint in capsys.readouterr().err
