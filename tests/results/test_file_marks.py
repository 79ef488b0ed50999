"""A file that is read like a log: any of its lines, without reading all before them."""

import hashlib
from collections.abc import Callable
from datetime import timedelta

import pytest
from sqlalchemy import delete, select
from sqlalchemy.orm import Session
from tests.builds import agents

from changes.base import clock, ids, storage
from changes.base.db import Database
from changes.base.settings import Settings
from changes.base.storage import Storage
from changes.base.task import Task
from changes.results import file_marks, log_reading, orphans
from changes.results.collector import ArtifactCollector
from changes.results.file_marks import STORED_MIN_BYTES
from changes.results.file_models import StoredFile
from changes.results.models import Artifact

MakeFile = Callable[[bytes], Artifact]


@pytest.fixture
def stored(settings: Settings) -> MakeFile:
    assert settings.blob_url

    def store(data: bytes) -> Artifact:
        key = f"artifacts/{ids.new().hex}"
        storage.storage.get().put(key, data)
        return Artifact(id=ids.new(), name="out.log", size_bytes=len(data), sha256="", key=key)

    return store


@pytest.mark.parametrize("end", [b"\n", b""])
def test_any_lines_of_a_large_file_are_found(session: Session, stored: MakeFile, end: bytes) -> None:
    text = b"\n".join(b"line %07d" % number for number in range(1, 400_001))
    file = stored(text + end)

    assert log_reading.line_count(session, file) == 400_000
    for first in (1, 99_999, 250_000, 399_999):
        lines = log_reading.lines(session, file, first, 2)
        assert [(line.number, line.text) for line in lines] == [
            (number, b"line %07d" % number) for number in (first, first + 1)
        ]
        assert log_reading.line_of_offset(session, file, lines[1].offset) == first + 1


def test_marks_lie_close_enough_to_save_reading(stored: MakeFile) -> None:
    file = stored(b"x" * 99 + b"\n" + (b"y" * 99 + b"\n") * 80_000)

    marks = file_marks.of_artifact(file)

    assert len(marks.offsets) > 4
    assert all(marks.of_line(number).newlines < number for number in (1, 2, 40_000, 80_001))
    assert marks.of_line(80_001).offset > 4_000_000


def test_one_endless_line_and_an_empty_file_have_their_lines(session: Session, stored: MakeFile) -> None:
    endless, empty = stored(b"x" * 3_000_000), stored(b"")

    assert log_reading.line_count(session, endless) == 1
    assert log_reading.lines(session, endless, 1, 5)[0].size_bytes == 3_000_000
    assert (log_reading.line_count(session, empty), log_reading.lines(session, empty, 1, 5)) == (0, [])


# --- large ones --------------------------------------------------------------------------------

LARGE = (b"x" * 999 + b"\n") * (STORED_MIN_BYTES // 1000 + 1)
LINES = LARGE.count(b"\n")
DIGEST = hashlib.sha256(LARGE).hexdigest()
MARKS = f"marks/{DIGEST}"


@pytest.fixture
def large(database: Database) -> Artifact:
    """A log that a step left behind, of which the lines were counted when that had ended."""
    key = f"artifacts/{ids.new().hex}"
    storage.storage.get().put(key, LARGE)
    with database.transaction() as session:
        step = agents.a_taken_step(session)
        artifact = agents.leave_behind(session, step, b"", "all/out.log")
        artifact.size_bytes, artifact.sha256, artifact.key = len(LARGE), DIGEST, key
        session.add(StoredFile(sha256=DIGEST, size_bytes=len(LARGE), key=key, date_used=clock.now()))
    file_marks.of_file.cache_clear()
    file_marks.count_logs(step.id)
    file_marks.of_file.cache_clear()
    return artifact


def test_the_lines_of_a_large_log_are_counted_once_for_all_processes(large: Artifact) -> None:
    storage.storage.get().delete(large.key)

    marks = file_marks.of_artifact(large)

    assert marks.newlines_in_all == LINES
    assert marks.of_line(LINES).offset > len(LARGE) - 3 * file_marks.EVERY_BYTES


def test_marks_that_cannot_be_of_the_file_are_not_believed(large: Artifact) -> None:
    counted = []

    for wrong in (b"", b"odd", file_marks.MARK.pack(0, 0), file_marks.MARK.pack(0, 9) * 2, b"\xff" * 32):
        storage.storage.get().put(MARKS, wrong)
        file_marks.of_file.cache_clear()
        counted.append(file_marks.of_artifact(large).newlines_in_all)

    assert counted == [LINES] * 5


def test_marks_go_when_nothing_has_those_bytes_any_more(database: Database, large: Artifact) -> None:
    store = storage.storage.get()
    orphans.sweep(store, older_than=timedelta(0))
    assert stored_marks(store) == [MARKS]

    with database.transaction() as session:
        session.execute(delete(Artifact).where(Artifact.id == large.id))
        session.execute(delete(StoredFile))
    orphans.sweep(store, older_than=timedelta(0))

    assert stored_marks(store) == []


def stored_marks(store: Storage) -> list[str]:
    return [key for key, _, _ in store.keys("marks")]


@pytest.mark.parametrize(
    ("name", "size", "is_counted"),
    [
        ("a.log", STORED_MIN_BYTES, True),
        ("a.log", STORED_MIN_BYTES - 1, False),
        ("alog", STORED_MIN_BYTES, False),
    ],
)
def test_only_large_logs_are_counted_before_somebody_opens_them(
    session: Session, name: str, size: int, *, is_counted: bool
) -> None:
    step = agents.a_taken_step(session)
    agents.leave_behind(session, step, b"", name).size_bytes = size
    session.flush()

    ArtifactCollector().collect(session, step)

    wanted = select(Task).where(Task.name == "results.count_lines_of_logs")
    assert len(session.execute(wanted).all()) == is_counted
