"""A log in parts of whole lines."""

from hypothesis import given
from hypothesis import strategies as st

from changes.web.pages import logview
from changes.web.pages.logview import Cut

THREE = b"a\nbb\nccc\n"


def test_the_end_of_a_log_are_its_last_lines() -> None:
    assert logview.to_end(THREE, 0, 2) == Cut(["bb", "ccc"], 2, 9)


def test_what_begins_in_the_middle_of_a_line_begins_with_the_next() -> None:
    assert logview.to_end(b"\x9f half\nwhole\n", 100) == Cut(["whole"], 107, 113)


def test_a_last_line_without_its_end_is_shown_and_known_as_open() -> None:
    assert logview.to_end(b"a\nbb", 0) == Cut(["a", "bb"], 0, 4, open_bytes=2)


def test_from_a_place_on_lines_come_whole_or_later() -> None:
    assert logview.from_start(THREE[:4], 0, size=9) == Cut(["a"], 0, 2)
    assert logview.from_start(b"a\nbb", 0, size=4) == Cut(["a", "bb"], 0, 4)


def test_a_line_longer_than_a_part_does_not_end_the_way() -> None:
    assert logview.from_start(b"x" * 10, 0, size=99).end == 10


@given(st.binary(max_size=200).map(lambda data: data.replace(b"x", b"\n")))
def test_parts_follow_each_other_without_loss(data: bytes) -> None:
    lines: list[str] = []
    at = 0
    while at < len(data):
        cut = logview.from_start(data[at : at + 50], at, len(data))
        assert cut.end > at
        lines, at = [*lines, *cut.lines], cut.end

    assert "".join(lines).encode("utf-8", "replace").count(b"\n") == 0
    assert at == len(data)


def test_a_tail_has_twenty_lines_in_colour() -> None:
    tail = logview.tail(b"line\n" * 30 + b"\x1b[31mred\x1b[0m\n", is_whole=True)

    assert len(tail) == 20
    assert [(piece.text, piece.classes) for piece in tail[-1]] == [("red", "ansi-1")]
    assert "".join(piece.text for piece in tail[0]) == "line"
