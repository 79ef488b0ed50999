"""Cutting what is printed into lines, wherever the pieces end."""

from hypothesis import given
from hypothesis import strategies as st

from changes.web.log_lines import LINES_MAX, OPEN_MAX_BYTES, Place, read_on

BEGINNING = Place(0, 1)


def test_a_line_without_its_end_is_shown_and_read_again() -> None:
    news = read_on(BEGINNING, 0, b"one\ntwo\nthr")

    assert (news.lines, news.first, news.is_last_open) == (["one", "two", "thr"], 1, True)
    assert news.end == Place(8, 3)


def test_what_follows_begins_with_the_line_that_was_open() -> None:
    news = read_on(Place(8, 3), 8, b"three\n")

    assert (news.lines, news.first, news.is_last_open) == (["three"], 3, False)
    assert news.end == Place(14, 4)


def test_what_was_skipped_is_counted_up_to_the_next_whole_line() -> None:
    news = read_on(Place(100, 7), 1000, b"half\nwhole\n")

    assert (news.lines, news.skipped_bytes, news.end.offset) == (["whole"], 905, 1011)


def test_of_very_many_lines_the_last_are_shown_with_their_own_numbers() -> None:
    news = read_on(BEGINNING, 0, b"x\n" * (LINES_MAX + 5))

    assert (len(news.lines), news.first, news.skipped_bytes) == (LINES_MAX, 6, 10)


def test_a_line_that_never_ends_is_not_read_again_and_again() -> None:
    endless = b"." * (OPEN_MAX_BYTES + 1)

    assert read_on(BEGINNING, 0, endless).end == Place(len(endless), 2)


@given(st.lists(st.binary(max_size=20).map(lambda piece: piece.replace(b"x", b"\n")), max_size=8))
def test_however_it_is_cut_into_pieces_the_lines_are_the_same(pieces: list[bytes]) -> None:
    whole = b"".join(pieces)
    shown: dict[int, str] = {}
    place, printed = BEGINNING, b""
    for piece in pieces:
        printed += piece
        news = read_on(place, place.offset, printed[place.offset :])
        shown |= dict(enumerate(news.lines, news.first))
        place = news.end

    at_once = read_on(BEGINNING, 0, whole)

    assert list(shown.values()) == at_once.lines
    assert place == at_once.end
