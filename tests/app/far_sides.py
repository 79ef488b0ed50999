"""The server as the command line knows it: it answers one thing, and remembers what was asked of it."""

import io
import sys
from typing import Any

import pytest

from changes.app.cli import server as servers
from changes.app.cli.main import main


class FarSide:
    def __init__(self, listed: list[dict[str, Any]], made: dict[str, Any]) -> None:
        self.listed = listed
        self.made = made
        self.asked: list[tuple[str, str, dict[str, object]]] = []

    def get(self, _path: str, **_query: object) -> list[dict[str, Any]]:
        return self.listed

    def post(self, path: str, fields: dict[str, object]) -> dict[str, Any]:
        self.asked.append(("POST", path, fields))
        return self.made

    def ask(self, method: str, path: str) -> None:
        self.asked.append((method, path, {}))


def connect(monkeypatch: pytest.MonkeyPatch, listed: list[dict[str, Any]], made: dict[str, Any]) -> FarSide:
    far_side = FarSide(listed, made)
    monkeypatch.setattr(servers, "connect", lambda: far_side)
    return far_side


def run(monkeypatch: pytest.MonkeyPatch, *words: str, typed: str = "") -> int:
    """The exit code of `changes` and these words."""
    monkeypatch.setattr(sys, "argv", ["changes", *words])
    monkeypatch.setattr(sys, "stdin", io.StringIO(typed))
    with pytest.raises(SystemExit) as ended:
        main()
    return int(ended.value.code or 0)
