"""What stands in a log, found over all of it."""

import re
from threading import BoundedSemaphore

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy.orm import Session
from tests.results.log_texts import BLOB, PACKED, PLAIN, a_log, a_log_of

from changes.base.errors import Invalid, Unavailable
from changes.base.settings import Settings
from changes.results import log_chunks, log_finding, log_frames
from changes.results.log_finding import Found, Wanted, Within

FORMS = (PLAIN, PACKED, BLOB)
TEXTS = st.text(alphabet="ab\n", max_size=60).map(str.encode)
PARTS = st.lists(st.tuples(st.integers(1, 9), st.sampled_from(FORMS)), max_size=8)
PATTERNS = st.sampled_from(["a", "ab", "^b", "a$", "b+a", "^$", "a*", "(a|b)b"])


@pytest.fixture(autouse=True)
def store(settings: Settings) -> Settings:
    return settings


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_frames, "FRAME_BYTES", 3)
    monkeypatch.setattr(log_chunks, "FETCHED_BYTES", 7)
    monkeypatch.setattr(log_finding, "SLICE_BYTES", 5)


def find(session: Session, text: bytes, pattern: str, form: str = PACKED, **how: bool) -> Found:
    return log_finding.find(session, a_log(session, text, form), Wanted(pattern, **how))


def numbers(found: Found) -> list[int]:
    return [line.number for line in found.lines]


@pytest.mark.usefixtures("short")
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=TEXTS, parts=PARTS, pattern=PATTERNS, after=st.integers(0, 5))
def test_the_lines_that_match_are_found_however_the_log_is_stored(
    session: Session, text: bytes, parts: list[tuple[int, str]], pattern: str, after: int
) -> None:
    source = a_log_of(session, text, parts)

    found = log_finding.find(session, source, Wanted(pattern, is_regex=True), Within(after_line=after))

    pieces = text.split(b"\n")
    lines = dict(enumerate(pieces if pieces[-1] else pieces[:-1], 1))
    wanted = {
        number: line for number, line in lines.items() if number > after and re.search(pattern.encode(), line)
    }
    assert {line.number: line.text for line in found.lines} == wanted
    assert all(text[line.offset :].startswith(line.text) for line in found.lines)
    assert (found.is_complete, found.searched_to) == (True, max(after, len(lines)))


@pytest.mark.parametrize("form", FORMS)
def test_words_are_looked_for_as_they_stand(session: Session, form: str) -> None:
    text = b"one (two\nONE (TWO\nsomething\n"

    assert numbers(find(session, text, "(two", form)) == [1]
    assert numbers(find(session, text, "(two", form, ignore_case=True)) == [1, 2]
    assert numbers(find(session, text, r"o.e \(", form, is_regex=True, ignore_case=True)) == [1, 2]


def test_a_pattern_stays_on_its_line(session: Session) -> None:
    text = b"one\ntwo\n"

    assert numbers(find(session, text, r"one\s+two", is_regex=True)) == []
    assert numbers(find(session, text, r"[^x]two", is_regex=True)) == []
    assert numbers(find(session, text, r"^two$", is_regex=True)) == [2]


def test_colours_stand_in_nobodys_way(session: Session) -> None:
    text = b"fine\n\x1b[1;31merror:\x1b[0m broken\n\x1b]8;;http://a\x07link\x1b]8;;\x07ed\n"

    found = find(session, text, "error: broken")

    assert [(line.number, line.offset) for line in found.lines] == [(2, 5)]
    assert found.lines[0].text == b"\x1b[1;31merror:\x1b[0m broken"
    assert numbers(find(session, text, "linked")) == [3]


def test_letters_of_any_language_are_letters(session: Session) -> None:
    text = "Größe\nnichts\n\xff".encode("latin-1") + "Größe\n".encode()

    assert numbers(find(session, text, r"^.*gr\pL+e$", is_regex=True, ignore_case=True)) == []
    assert numbers(find(session, text, "GRÖSSE".replace("SS", "ß"), ignore_case=True)) == [3]


def test_not_more_is_found_than_was_asked_for_and_the_rest_later(session: Session) -> None:
    source = a_log(session, b"yes\nno\n" * 50, PACKED)

    first = log_finding.find(session, source, Wanted("yes"), Within(limit=20))
    second = log_finding.find(session, source, Wanted("yes"), Within(after_line=first.searched_to))

    assert (len(first.lines), first.searched_to, first.is_complete) == (20, 39, False)
    assert (len(second.lines), second.lines[0].number, second.is_complete) == (30, 41, True)


@pytest.mark.usefixtures("short")
def test_a_search_that_takes_too_long_tells_how_far_it_came(session: Session) -> None:
    source = a_log(session, b"yes\nno\n" * 50, PACKED)

    found = log_finding.find(session, source, Wanted("no"), Within(budget_s=0))

    assert not found.is_complete
    assert 0 < found.searched_to < 100
    rest = log_finding.find(session, source, Wanted("no"), Within(after_line=found.searched_to))
    assert len(found.lines) + len(rest.lines) == 50


def test_a_line_that_never_ends_is_looked_through_in_parts(session: Session) -> None:
    source = a_log(
        session, b"one\n" + b"x" * 3_000_000 + b"here" + b"x" * 3_000_000 + b"\nlast here\n", PACKED
    )

    found = log_finding.find(session, source, Wanted("here"))

    assert numbers(found) == [2, 3]
    assert (found.lines[0].offset, found.lines[0].size_bytes) == (4, 6_000_004)
    assert found.lines[1].text == b"last here"


@pytest.mark.parametrize(
    ("wanted", "why"),
    [
        (Wanted(""), "1 to 1,000"),
        (Wanted("x" * 1001), "1 to 1,000"),
        (Wanted("one\ntwo"), "one line"),
        (Wanted("(", is_regex=True), "missing"),
        (Wanted(r"(a)\1", is_regex=True), "escape"),
        (Wanted("(?=a)", is_regex=True), "(?="),
        (Wanted(r"(\pL{1,100}x){9}", is_regex=True), "too large"),
        (Wanted("a{1001}", is_regex=True), "repetition"),
    ],
)
def test_what_cannot_be_looked_for_is_refused_with_words(session: Session, wanted: Wanted, why: str) -> None:
    source = a_log(session, b"a\n")

    with pytest.raises(Invalid) as refused:
        log_finding.find(session, source, wanted)

    assert why in refused.value.message


def test_a_pattern_that_others_need_for_ever_for_is_quick(session: Session) -> None:
    source = a_log(session, (b"a" * 5000 + b"\n") * 20, PACKED)

    found = log_finding.find(session, source, Wanted(r"^(a+)+$x|(a|aa)+b", is_regex=True))

    assert (numbers(found), found.is_complete) == ([], True)


def test_only_so_many_look_at_once(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    source = a_log(session, b"a\n")
    monkeypatch.setattr(log_finding, "looking", BoundedSemaphore(1))
    monkeypatch.setattr(log_finding, "LOOKING_WAIT_S", 0)

    with log_finding.looking, pytest.raises(Unavailable):
        log_finding.find(session, source, Wanted("a"))

    assert numbers(log_finding.find(session, source, Wanted("a"))) == [1]
