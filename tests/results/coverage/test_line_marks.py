from hypothesis import given
from hypothesis import strategies as st
from tests.results.coverage.reports import marked

from changes.results.formats import line_marks
from changes.results.formats.line_marks import COVERED, NOTHING, PARTIAL, UNCOVERED, Marks

CODES = st.text(alphabet="NUPC", max_size=60)


@given(CODES, CODES)
def test_of_two_reports_the_one_that_says_more_of_a_line_counts(one: str, other: str) -> None:
    width = max(len(one), len(other))
    pairs = zip(one.ljust(width, "N"), other.ljust(width, "N"), strict=True)

    together = "".join(max(pair, key="NUPC".index) for pair in pairs)

    assert marked(one) | marked(other) == marked(together)


@given(st.lists(CODES, min_size=1, max_size=6), st.randoms(use_true_random=False))
def test_neither_order_nor_repetition_of_reports_matters(reports: list[str], dice: object) -> None:
    def all_of(given: list[str]) -> Marks:
        merged = Marks()
        for each in given:
            merged |= marked(each)
        return merged

    again = [*reports, *reports[:2]]
    dice.shuffle(again)  # type: ignore[attr-defined]

    assert all_of(again) == all_of(reports)


@given(CODES)
def test_codes_are_those_of_the_original(codes: str) -> None:
    assert marked(codes).codes() == codes.rstrip("N").replace("P", "U")


@given(CODES)
def test_what_the_database_keeps_is_read_as_it_was_written(codes: str) -> None:
    marks = marked(codes)
    width = marks.line_count
    bits = line_marks.packed(marks.covered, width)
    digits = "".join(f"{byte:08b}" for byte in bits)[:width]

    assert line_marks.unpacked(digits) == marks.covered


@given(st.sets(st.integers(min_value=1, max_value=2000)))
def test_numbers_of_lines_and_bits_are_the_same(lines: set[int]) -> None:
    assert line_marks.lines_in(line_marks.bits_of(lines)) == sorted(lines)


def test_a_line_has_one_state() -> None:
    marks = marked("NUPC")

    assert [marks.state(line) for line in range(1, 6)] == [NOTHING, UNCOVERED, PARTIAL, COVERED, NOTHING]


def test_only_some_lines_are_counted_where_only_they_are_asked_for() -> None:
    within = marked("CCUUPN").within(0b010110)

    assert (within.lines_covered, within.lines_uncovered, within.partial.bit_count()) == (1, 2, 1)
