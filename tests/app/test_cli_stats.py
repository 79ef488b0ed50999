"""`changes stats`, as a person and as a script calls it."""

import json
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from changes.app.cli import server as servers
from changes.app.cli.main import main

SUMS = {
    "count": 4,
    "passRate": 0.75,
    "durationP50": 61.2,
    "durationP95": 90.0,
    "queuedP50": 0.5,
    "queuedP95": None,
}
NOTHING = {**SUMS, "count": 0, "passRate": None}
ANSWER = {
    "total": SUMS,
    "days": [{"day": "2026-11-20", **NOTHING}, {"day": "2026-11-21", **SUMS}],
    "plans": [{"name": "unit tests", **SUMS}],
}


class FarSide:
    def __init__(self) -> None:
        self.asked: list[tuple[str, dict[str, Any]]] = []

    def get(self, path: str, **query: object) -> object:
        self.asked.append((path, query))
        return ANSWER

    def stream(self, path: str, **query: object) -> Iterator[bytes]:
        self.asked.append((path, query))
        yield b"day,count\r\n"
        yield b"2026-11-21,4\r\n"


@pytest.fixture
def far_side(monkeypatch: pytest.MonkeyPatch) -> FarSide:
    far_side = FarSide()
    monkeypatch.setattr(servers, "connect", lambda: far_side)
    return far_side


def run(monkeypatch: pytest.MonkeyPatch, *words: str) -> None:
    monkeypatch.setattr(sys, "argv", ["changes", "stats", *words])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 0


def test_days_on_which_something_was_built_are_told(
    monkeypatch: pytest.MonkeyPatch, far_side: FarSide, capsys: pytest.CaptureFixture[str]
) -> None:
    run(monkeypatch, "hello", "--days", "7")

    told = capsys.readouterr()
    assert far_side.asked == [("/projects/hello/statistics/", {"days": 7, "of": ""})]
    assert [line.split() for line in told.out.splitlines()[1:]] == [
        ["2026-11-21", "4", "75.0", "%", "61.2", "s", "90.0", "s", "0.5", "s", "-"]
    ]
    assert "4 builds, 75.0 % passed" in told.err


@pytest.mark.usefixtures("far_side")
def test_plans_are_another_table(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    run(monkeypatch, "hello", "--table", "plans")

    assert "unit tests" in capsys.readouterr().out


def test_a_spreadsheet_gets_the_rows_of_the_server(
    monkeypatch: pytest.MonkeyPatch, far_side: FarSide, capsys: pytest.CaptureFixture[str]
) -> None:
    run(monkeypatch, "--csv", "--table", "nodes")

    asked = {"days": 30, "of": "", "format": "csv", "table": "nodes"}
    assert far_side.asked == [("/statistics/", asked)]
    assert capsys.readouterr().out == "day,count\n2026-11-21,4\n"


@pytest.mark.usefixtures("far_side")
def test_a_script_gets_what_the_api_answers(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run(monkeypatch, "--json")

    assert json.loads(capsys.readouterr().out) == ANSWER
