"""`changes flaky`, `changes failures`, `changes quarantine`: what they ask of the server."""

import json
import sys
from typing import Any

import pytest

from changes.app.cli import server as servers
from changes.app.cli.main import main

TEST = {"name": "a.one", "hash": "1" * 40}
HELD = {"id": "f" * 32, "test": TEST, "owner": "zoe", "dateExpires": "2026-12-24T00:00:00", "reason": "races"}
ANSWERS: dict[str, Any] = {
    "/projects/hello/flaky/": {
        "bill": {"days": 30, "tests": 1, "reruns": 4, "redBuilds": 2, "lostMs": 90_000},
        "tests": [{"score": 61, "test": TEST, "quarantine": None, "evidence": ["it rained", "it snowed"]}],
    },
    "/failures/": [
        {
            "builds": 3,
            "changes": 2,
            "runs": 9,
            "headline": "KeyError: 'x'",
            "place": "shop/cart.py add",
            "trackerUrl": None,
            "verdict": "bug",
            "note": "",
        }
    ],
    "/projects/hello/quarantine/": {"live": [HELD], "ended": []},
}


class FarSide:
    def __init__(self) -> None:
        self.asked: list[tuple[str, str, object]] = []

    def get(self, path: str, *, test: str = "", **_query: object) -> object:
        found = ANSWERS[path]
        is_other = test and test not in TEST.values()
        return {**found, "live": []} if is_other else found

    def post(self, path: str, fields: dict[str, object], *, key: str) -> list[dict[str, Any]]:
        assert key
        self.asked.append(("POST", path, fields))
        return [HELD]

    def ask(self, method: str, path: str) -> None:
        self.asked.append((method, path, None))


@pytest.fixture
def far_side(monkeypatch: pytest.MonkeyPatch) -> FarSide:
    far_side = FarSide()
    monkeypatch.setattr(servers, "connect", lambda: far_side)
    return far_side


def run(monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    monkeypatch.setattr(sys, "argv", ["changes", *words])
    with pytest.raises(SystemExit) as ended:
        main()
    return int(ended.value.code or 0)


@pytest.mark.usefixtures("far_side")
def test_flaky_tests_are_told_with_bill_and_evidence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, "flaky", "hello") == 0

    told = capsys.readouterr()
    assert told.out.splitlines()[1].split() == ["61", "a.one", "it", "rained;", "it", "snowed"]
    assert "2 builds turned red, 4 runs again, 2 minutes lost" in told.err


def test_a_terminal_obeys_no_name_of_a_test(
    far_side: FarSide, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    name = "a\x1b]0;owned\x07\u202eb\n61  forged"
    told = {**ANSWERS["/projects/hello/flaky/"]}
    told["tests"] = [{**told["tests"][0], "test": {**TEST, "name": name}}]
    monkeypatch.setattr(far_side, "get", lambda *_path, **_query: told)

    assert run(monkeypatch, "flaky", "hello") == 0

    (_, row) = capsys.readouterr().out.splitlines()
    assert "a\ufffd]0;owned\ufffd\ufffdb 61  forged" in row


@pytest.mark.usefixtures("far_side")
def test_failures_of_all_projects_are_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, "failures") == 0

    assert capsys.readouterr().out.splitlines()[1].split() == [
        *["3", "2", "9", "bug", "KeyError:", "'x'", "shop/cart.py", "add"]
    ]


@pytest.mark.usefixtures("far_side")
@pytest.mark.parametrize("words", [("flaky", "hello"), ("failures",), ("quarantine", "list", "hello")])
def test_what_is_told_is_told_as_json_too(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], words: tuple[str, ...]
) -> None:
    assert run(monkeypatch, *words, "--json") == 0

    assert json.loads(capsys.readouterr().out) in ANSWERS.values()


def test_tests_are_put_into_quarantine(
    far_side: FarSide, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = ("quarantine", "add", "hello", "a.one", "--owner", "zoe", "--reason", "races", "--days", "7")

    assert run(monkeypatch, *asked) == 0

    fields = {"tests": ["a.one"], "owner": "zoe", "reason": "races", "days": 7, "passes": 20, "force": False}
    assert far_side.asked == [("POST", "/projects/hello/quarantine/", fields)]
    assert capsys.readouterr().out == "a.one until 2026-12-24 00:00\n"


@pytest.mark.parametrize("test", [TEST["name"], TEST["hash"]])
def test_a_test_counts_again(far_side: FarSide, monkeypatch: pytest.MonkeyPatch, test: str) -> None:
    assert run(monkeypatch, "quarantine", "remove", "hello", test) == 0

    assert far_side.asked == [("DELETE", f"/projects/hello/quarantine/{HELD['id']}/", None)]


def test_a_test_that_is_not_there_is_named(
    far_side: FarSide, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, "quarantine", "remove", "hello", "a.one", "a.two") == 1

    assert "Not in quarantine: a.two" in capsys.readouterr().err
    assert far_side.asked == []
