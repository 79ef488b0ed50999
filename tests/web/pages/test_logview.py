"""A log in parts that fit on a page."""

import pytest
from sqlalchemy.orm import Session
from tests.factories import a_build, a_project
from tests.finished import print_to
from tests.web.conftest import first_step

from changes.builds.models import JobStep
from changes.results import logs
from changes.results.models import LogSource
from changes.web.pages import logview
from changes.web.pages.log_rows import Manner, Row
from changes.web.pages.logview import Shown, Sought

PLAIN = Manner()


@pytest.fixture
def step(session: Session) -> JobStep:
    return first_step(session, a_build(session, a_project(session)))


def printed(session: Session, step: JobStep, data: bytes, *, chunk: int = 0) -> LogSource:
    print_to(session, step, data, chunk=chunk)
    return logs.source_of_step(session, step.id, "console")


def numbers(shown: Shown) -> tuple[int, int, int]:
    return shown.first, shown.last, shown.total


def said(rows: list[Row]) -> list[str]:
    return ["".join(piece.text for piece in row.pieces) for row in rows]


def lines(count: int, end: bytes = b"\n") -> bytes:
    return b"\n".join(b"line %d" % number for number in range(1, count + 1)) + end


@pytest.mark.parametrize(
    ("data", "line", "expected"),
    [
        (lines(1300), None, (1001, 1300, 1300)),
        (lines(1300, b""), None, (1001, 1300, 1300)),
        (lines(1000), None, (751, 1000, 1000)),
        (lines(1000, b""), None, (501, 1000, 1000)),
        (lines(1300), 1, (1, 500, 1300)),
        (lines(1300), 700, (501, 1000, 1300)),
        (lines(1300), 1300, (1251, 1300, 1300)),
        (lines(1300), 10**12, (1251, 1300, 1300)),
        (lines(3), None, (1, 3, 3)),
        (lines(1, b""), 1, (1, 1, 1)),
    ],
    ids=range(10),
)
def test_a_page_has_whole_blocks_around_the_line_that_is_asked_for(
    session: Session, step: JobStep, data: bytes, line: int | None, expected: tuple[int, int, int]
) -> None:
    source = printed(session, step, data, chunk=4000)

    shown = logview.shown(session, source, line, PLAIN)

    assert numbers(shown) == expected
    assert said(shown.rows)[0] == f"line {expected[0]}"


def test_a_log_of_an_older_server_that_counted_nothing_is_counted(session: Session, step: JobStep) -> None:
    source = printed(session, step, lines(1300), chunk=4000)
    source.newlines = None
    session.flush()

    assert numbers(logview.shown(session, source, None, PLAIN)) == (1001, 1300, 1300)


def test_pages_lead_to_each_other_and_to_the_ends(session: Session, step: JobStep) -> None:
    source = printed(session, step, lines(1300))

    middle = logview.shown(session, source, 501, PLAIN)
    ends = [logview.shown(session, source, line, PLAIN) for line in (1, None)]

    assert (middle.before, middle.after) == (1, 1001)
    assert [(each.before, each.after) for each in ends] == [(None, 501), (501, None)]


def test_a_block_is_the_same_whoever_asks_for_it(session: Session, step: JobStep) -> None:
    red = lines(400).replace(b"line 240\n", b"\x1b[31mline 240\n")
    source = printed(session, step, red)

    block = logview.block(session, source, 1, PLAIN)
    page = logview.shown(session, source, 1, PLAIN)

    assert [row.number for row in block] == list(range(251, 401))
    assert block[0].pieces[0].classes == "ansi-1"
    assert block == page.rows[250:]


def test_very_long_lines_come_all_the_same(session: Session, step: JobStep) -> None:
    source = printed(session, step, (b"x" * 40_000 + b"\n") * 300, chunk=500_000)

    block = logview.block(session, source, 0, PLAIN)

    assert len(block) == logview.BLOCK_LINES
    assert {row.left_out for row in block} == {"38,000 more bytes"}


def test_what_is_found_is_told_with_how_far_it_was_looked_for(session: Session, step: JobStep) -> None:
    source = printed(session, step, lines(1000))

    found = logview.search(session, source, Sought(q="line 99"), PLAIN)
    rest = logview.search(session, source, Sought(q="line 99", after=995), PLAIN)

    assert [row.number for row in found.rows] == [99, *range(990, 1000)]
    assert (found.searched_to, found.is_complete) == (1000, True)
    assert [row.number for row in rest.rows] == [996, 997, 998, 999]
    assert ("line 99", "log-match") in [(piece.text, piece.classes) for piece in rest.rows[0].pieces]


def test_of_very_many_hits_the_first_are_told(session: Session, step: JobStep) -> None:
    source = printed(session, step, lines(1000))

    found = logview.search(session, source, Sought(q="^line", regex=True), PLAIN)

    assert (len(found.rows), found.searched_to, found.is_complete) == (200, 200, False)


def test_a_pattern_that_cannot_be_read_is_no_error_of_the_page(session: Session, step: JobStep) -> None:
    source = printed(session, step, lines(10))

    found = logview.search(session, source, Sought(q="(", regex=True), PLAIN)

    assert found.rows == []
    assert "regular expression cannot be read" in found.problem


def test_a_tail_has_twenty_lines_in_colour() -> None:
    tail = logview.tail(b"line\n" * 30 + b"\x1b[31mred\x1b[0m\n", is_whole=True)

    assert len(tail) == 20
    assert [(piece.text, piece.classes) for piece in tail[-1]] == [("red", "ansi-1")]
    assert "".join(piece.text for piece in tail[0]) == "line"


def test_a_tail_begins_with_a_whole_line() -> None:
    assert [line[0].text for line in logview.tail(b"\x9f half\nwhole\nopen", is_whole=False)] == [
        "whole",
        "open",
    ]
