"""`changes artifacts`, `changes disk`, `changes retention`: what they ask of the server and make of it."""

import hashlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from changes.app.cli import server as servers
from changes.app.cli.main import main

BUILD, STEP = "b" * 32, "5" * 32
BYTES = {"1" * 32: b"<testsuite/>", "2" * 32: b"\x89PNG"}


def a_file(number: int, name: str, **told: Any) -> dict[str, Any]:
    artifact_id = str(number) * 32
    digest = hashlib.sha256(BYTES.get(artifact_id, b"")).hexdigest()
    about = {"id": artifact_id, "name": name, "size": 12, "sha256": digest, "dateRemoved": None}
    return {**about, "jobstep": {"id": STEP}, **told}


class FarSide:
    def __init__(self) -> None:
        self.files = [a_file(1, "out/junit.xml"), a_file(2, "shot.png")]
        self.answers: dict[str, Any] = {}
        self.asked: list[tuple[str, dict[str, object]]] = []

    def get(self, path: str, **query: object) -> object:
        self.asked.append((path, query))
        return self.answers.get(path, self.files)

    def post(self, path: str, _fields: object = None) -> object:
        self.asked.append((f"POST {path}", {}))
        return None

    def stream(self, path: str) -> Iterator[bytes]:
        yield BYTES[path.split("/")[2]]


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


def test_files_are_listed_and_a_name_obeys_no_terminal(
    far_side: FarSide, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    far_side.files.append(a_file(3, "\x1b[31mred", dateRemoved="2026-11-20T00:00:00"))

    assert run(monkeypatch, "artifacts", BUILD, "--name", "r") == 0

    told = capsys.readouterr().out
    assert "out/junit.xml" in told
    assert "\x1b" not in told
    assert "removed 2026-11-20" in told
    assert far_side.asked[0][1]["name"] == "r"


def test_files_are_fetched_into_a_folder(
    far_side: FarSide, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert run(monkeypatch, "artifacts", BUILD, "--download", str(tmp_path)) == 0

    assert (tmp_path / "out/junit.xml").read_bytes() == b"<testsuite/>"
    assert sorted(path.name for path in tmp_path.rglob("*") if path.is_file()) == ["junit.xml", "shot.png"]
    assert far_side.files


def test_files_of_several_steps_do_not_overwrite_each_other(
    far_side: FarSide, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    far_side.files = [a_file(1, "a.xml"), a_file(2, "a.xml", jobstep={"id": "6" * 32})]

    assert run(monkeypatch, "artifacts", BUILD, "--download", str(tmp_path)) == 0

    assert (tmp_path / STEP / "a.xml").read_bytes() == b"<testsuite/>"
    assert (tmp_path / ("6" * 32) / "a.xml").read_bytes() == b"\x89PNG"


def test_a_file_never_leaves_the_folder(
    far_side: FarSide, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    far_side.files = [a_file(1, "../outside.xml")]

    assert run(monkeypatch, "artifacts", BUILD, "--download", str(tmp_path / "within")) == 1

    assert not (tmp_path / "outside.xml").exists()


def test_bytes_that_changed_on_the_way_are_not_kept(
    far_side: FarSide, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    far_side.files = [a_file(1, "a.xml", sha256="0" * 64)]

    assert run(monkeypatch, "artifacts", BUILD, "--download", str(tmp_path)) == 1

    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_the_disk_is_told(
    far_side: FarSide, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    place = {"folder": "/srv", "free_bytes": 10**9, "total_bytes": 10**11, "free_min_bytes": 2 * 10**9}
    kinds = [{"kind": "artifacts", "bytes": 5 * 10**9}]
    why = "only 1.0 GB are free"
    far_side.answers["/disk/"] = {"isPaused": True, "why": why, "places": [place], "kinds": kinds}

    assert run(monkeypatch, "disk") == 0

    told = capsys.readouterr().out
    assert "Paused: only 1.0 GB are free." in told
    assert "artifacts  5.00" in told


@pytest.mark.parametrize(("words", "is_done"), [([], True), (["--dry-run"], False)])
def test_what_is_kept_no_longer_is_told_and_let_go(
    far_side: FarSide,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: list[str],
    is_done: bool,  # noqa: FBT001 -- a column of the table above
) -> None:
    kind = {"kind": "artifacts", "items": 3, "bytes": 2**21, "bytesBack": 2**20}
    far_side.answers["/retention/"] = {"months": [], "kinds": [kind]}

    assert run(monkeypatch, "retention", *words) == 0

    assert "artifacts  3     1.0" in capsys.readouterr().out
    assert (("POST /retention/", {}) in far_side.asked) == is_done
