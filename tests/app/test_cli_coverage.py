"""`changes coverage`, as a person and as a script calls it."""

import copy
import json
import sys
from typing import Any

import pytest

from changes.app.cli import server as servers
from changes.app.cli.main import main

GAP = {
    "filename": "a.py",
    "first": 2,
    "last": 3,
    "lines": [
        {"number": 1, "text": "def greet():", "isAdded": False, "coverage": "C"},
        {"number": 2, "text": "    quit()", "isAdded": True, "coverage": "U"},
        {"number": 3, "text": "", "isAdded": True, "coverage": "U"},
    ],
    "numLeftOut": 4,
}
PATCH = {
    "linesCovered": 2,
    "linesUncovered": 2,
    "problem": "",
    "files": [
        {"filename": "a.py", "linesCovered": 0, "linesUncovered": 2},
        {"filename": "b.py", "linesCovered": 2, "linesUncovered": 0},
    ],
    "gaps": [GAP],
}
BASE = {"share": 0.7, "sha": "0123456789abcdef", "build": {"number": 7}}
ANSWER: dict[str, Any] = {
    "linesCovered": 3,
    "linesUncovered": 1,
    "share": 0.75,
    "numFiles": 2,
    "base": BASE,
    "patch": PATCH,
    "notInRepository": {"count": 2, "names": ["/usr/lib/os.py"]},
}


class FarSide:
    def __init__(self) -> None:
        self.asked: list[str] = []
        self.answer = copy.deepcopy(ANSWER)

    def get(self, path: str) -> object:
        self.asked.append(path)
        return self.answer


@pytest.fixture
def far_side(monkeypatch: pytest.MonkeyPatch) -> FarSide:
    far_side = FarSide()
    monkeypatch.setattr(servers, "connect", lambda: far_side)
    return far_side


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    def run(*words: str) -> str:
        monkeypatch.setattr(sys, "argv", ["changes", "coverage", "1234", *words])
        with pytest.raises(SystemExit) as ended:
            main()
        assert ended.value.code == 0
        return capsys.readouterr().out

    return run


def test_a_build_is_told_in_few_lines(far_side: FarSide, told: Any) -> None:
    assert told().splitlines() == [
        "75.0% (3 of 4) of all lines, 2 files",
        "  +5.0 points against build #7 of 0123456789ab",
        "50.0% (2 of 4) of the lines that it adds",
        "  a.py: 2 did not run",
        "2 names in its reports, such as /usr/lib/os.py, are no files of the commit",
    ]
    assert far_side.asked == ["/builds/1234/coverage/summary/"]


@pytest.mark.usefixtures("far_side")
def test_new_lines_that_did_not_run_are_shown_with_their_code(told: Any) -> None:
    shown = told("--uncovered").splitlines()

    at = shown.index("a.py:2-3")
    assert shown[at + 1 : at + 5] == [
        "       1  def greet():",
        "!      2      quit()",
        "!      3",
        "         4 more lines",
    ]


def test_what_nobody_knows_is_said(far_side: FarSide, told: Any) -> None:
    far_side.answer |= {"base": None, "share": None, "linesCovered": 0, "linesUncovered": 0}
    far_side.answer["patch"]["problem"] = "The files of the commit cannot be read."

    shown = told()

    assert "none (0 of 0) of all lines" in shown
    assert "no build of a commit below it has coverage to compare with" in shown
    assert "The files of the commit cannot be read." in shown


@pytest.mark.parametrize("lost", ["build", "base"])
def test_without_lines_there_is_nothing_to_compare(far_side: FarSide, told: Any, lost: str) -> None:
    (far_side.answer if lost == "build" else far_side.answer["base"])["share"] = None

    assert "which has no lines" in told()


@pytest.mark.usefixtures("far_side")
def test_a_script_gets_what_the_api_answers(told: Any) -> None:
    assert json.loads(told("--json")) == ANSWER
