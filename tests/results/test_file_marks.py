"""A file that is read like a log: any of its lines, without reading all before them."""

from collections.abc import Callable

import pytest
from sqlalchemy.orm import Session

from changes.base import ids, storage
from changes.base.settings import Settings
from changes.results import file_marks, log_reading
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

    marks = file_marks.of_file(file.id, file.key)

    assert len(marks.offsets) > 4
    assert all(marks.of_line(number).newlines < number for number in (1, 2, 40_000, 80_001))
    assert marks.of_line(80_001).offset > 4_000_000


def test_one_endless_line_and_an_empty_file_have_their_lines(session: Session, stored: MakeFile) -> None:
    endless, empty = stored(b"x" * 3_000_000), stored(b"")

    assert log_reading.line_count(session, endless) == 1
    assert log_reading.lines(session, endless, 1, 5)[0].size_bytes == 3_000_000
    assert (log_reading.line_count(session, empty), log_reading.lines(session, empty, 1, 5)) == (0, [])
