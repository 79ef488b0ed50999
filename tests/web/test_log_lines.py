"""Cutting what is printed into lines, wherever the pieces end."""

from hypothesis import given
from hypothesis import strategies as st

from changes.results.log_following import Newest
from changes.web.log_lines import LINES_MAX, OPEN_MAX_BYTES, News, Place, read_on

BEGINNING = Place(0, 1)


def said(news: News) -> list[tuple[int, bytes, bool]]:
    return [(line.number, line.text, line.is_open) for line in news.lines]


def test_a_line_without_its_end_is_shown_and_read_again() -> None:
    news = read_on(BEGINNING, Newest(0, b"one\ntwo\nthr"))

    assert said(news) == [(1, b"one", False), (2, b"two", False), (3, b"thr", True)]
    assert (news.end, news.total) == (Place(8, 3), 3)


def test_what_follows_begins_with_the_line_that_was_open() -> None:
    news = read_on(Place(8, 3), Newest(8, b"three\n"))

    assert said(news) == [(3, b"three", False)]
    assert (news.end, news.total) == (Place(14, 4), 3)


def test_after_a_jump_the_first_whole_line_has_its_right_number() -> None:
    news = read_on(Place(100, 7), Newest(1000, b"half\nwhole\n", newlines_before=50))

    assert said(news) == [(52, b"whole", False)]
    assert (news.end, news.total) == (Place(1011, 53), 52)


def test_of_very_many_lines_the_last_are_told_with_their_own_numbers() -> None:
    news = read_on(BEGINNING, Newest(0, b"x\n" * (LINES_MAX + 5)))

    assert (len(news.lines), news.lines[0].number, news.total) == (LINES_MAX, 6, LINES_MAX + 5)


def test_a_line_that_never_ends_is_not_read_again_and_again() -> None:
    endless = b"." * (OPEN_MAX_BYTES + 1)

    first = read_on(BEGINNING, Newest(0, endless))
    more = read_on(first.end, Newest(len(endless), b"..."))
    last = read_on(more.end, Newest(len(endless) + 3, b".\nnext\n"))

    assert [len(first.lines), len(more.lines)] == [1, 0]
    assert first.end == Place(len(endless), 1, is_within=True)
    assert (more.total, said(last), last.total) == (1, [(2, b"next", False)], 2)


def test_each_line_has_the_time_at_which_it_was_read() -> None:
    news = read_on(Place(10, 4), Newest(10, b"one\ntwo\nthree", (10, 1000, 14, 2000)))

    assert [line.time_ms for line in news.lines] == [1000, 2000, 2000]


@given(st.lists(st.binary(max_size=20).map(lambda piece: piece.replace(b"x", b"\n")), max_size=8))
def test_however_it_is_cut_into_pieces_the_lines_are_the_same(pieces: list[bytes]) -> None:
    whole = b"".join(pieces)
    shown: dict[int, bytes] = {}
    place, printed = BEGINNING, b""
    for piece in pieces:
        printed += piece
        news = read_on(place, Newest(place.offset, printed[place.offset :]))
        shown |= {line.number: line.text for line in news.lines}
        place = news.end

    at_once = read_on(BEGINNING, Newest(0, whole))

    assert list(shown.values()) == [line.text for line in at_once.lines]
    assert place == at_once.end
