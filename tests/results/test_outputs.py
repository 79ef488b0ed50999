"""Two outputs beside each other."""

from hypothesis import given
from hypothesis import strategies as st

from changes.results import outputs
from changes.results.outputs import LINES_MAX, Pair

LINES = st.lists(st.sampled_from(["a", "b", "c", "same", ""]), max_size=30).map("\n".join)


def kinds(left: str, right: str) -> list[str]:
    return [pair.kind for pair in outputs.compare(left, right).pairs]


def test_lines_that_differ_stand_beside_each_other() -> None:
    assert kinds("begin\nexpected 3\nend", "begin\nexpected 7\nend") == ["same", "changed", "same"]


def test_what_only_one_said_stands_alone() -> None:
    assert kinds("a\nb\nc", "a\nc") == ["same", "removed", "same"]
    assert kinds("a\nc", "a\nb\nc") == ["same", "added", "same"]


def test_equal_texts_are_shown_whole_and_called_equal() -> None:
    text = "\n".join(str(number) for number in range(100))

    told = outputs.compare(text, text)

    assert (told.is_same, len(told.pairs)) == (True, 100)


def test_far_from_what_differs_equal_lines_are_counted() -> None:
    same = [f"line {number}" for number in range(50)]

    told = outputs.compare("\n".join(["x", *same, "x"]), "\n".join(["y", *same, "y"]))

    (skipped,) = [pair.skipped for pair in told.pairs if pair.kind == "skipped"]
    assert skipped == 44
    assert not told.is_same


def test_of_long_texts_the_end_is_compared_and_the_cut_is_said() -> None:
    long = "\n".join(f"line {number}" for number in range(LINES_MAX + 100))

    told = outputs.compare(long, f"{long}\nmore")

    assert told.is_cut
    assert told.pairs[-1] == Pair("added", right=outputs.Side(LINES_MAX + 101, "more"))


@given(LINES, LINES)
def test_no_line_is_lost_or_made_up(left: str, right: str) -> None:
    left, right = left.rstrip("\n"), right.rstrip("\n")
    pairs = outputs.compare(left, right).pairs
    skipped = sum(pair.skipped for pair in pairs)

    for shown in (pairs, list(outputs.unified(pairs))):
        lefts = [pair.left.text for pair in shown if pair.left]
        rights = [pair.right.text for pair in shown if pair.right]
        assert len(lefts) + skipped == len(left.split("\n"))
        assert len(rights) + skipped == len(right.split("\n"))


def test_one_below_the_other_all_of_the_left_comes_first() -> None:
    pairs = list(outputs.unified(outputs.compare("a\nb\nend", "c\nd\nend").pairs))

    assert [pair.kind for pair in pairs] == ["removed", "removed", "added", "added", "same"]
