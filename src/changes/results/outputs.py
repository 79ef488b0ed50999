"""What two failures said, line beside line. Pure, and bounded: a comparison of hostile lines stays short."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

LINES_MAX, LINE_CHARS_MAX = 500, 1000
CONTEXT_LINES = 3


@dataclass(frozen=True)
class Side:
    number: int
    text: str


@dataclass(frozen=True)
class Pair:
    """`kind` is same, changed, removed, added, or skipped: so many equal lines are left out."""

    kind: str
    left: Side | None = None
    right: Side | None = None
    skipped: int = 0


@dataclass(frozen=True)
class Compared:
    pairs: Sequence[Pair]
    is_same: bool
    # Lines of either text that were not looked at.
    is_cut: bool


def compare(left: str, right: str) -> Compared:
    """The ends of long texts: what went wrong stands there."""
    left_lines, right_lines = lines_of(left), lines_of(right)
    is_cut = max(left.count("\n"), right.count("\n")) >= LINES_MAX
    pairs = list(pairs_of(left_lines, right_lines))
    return Compared(pairs, is_same=all(pair.kind in ("same", "skipped") for pair in pairs), is_cut=is_cut)


def lines_of(text: str) -> list[Side]:
    lines = text.rstrip("\n").split("\n")
    first = max(0, len(lines) - LINES_MAX)
    return [Side(number, line[:LINE_CHARS_MAX]) for number, line in enumerate(lines[first:], first + 1)]


def pairs_of(left: Sequence[Side], right: Sequence[Side]) -> Iterator[Pair]:
    matcher = SequenceMatcher(None, [side.text for side in left], [side.text for side in right])
    operations = matcher.get_opcodes()
    for place, (tag, left_from, left_to, right_from, right_to) in enumerate(operations):
        lefts, rights = left[left_from:left_to], right[right_from:right_to]
        if tag == "equal":
            is_first, is_last = place == 0, place == len(operations) - 1
            same = [Pair("same", *both) for both in zip(lefts, rights, strict=True)]
            yield from shortened(same, is_first=is_first, is_last=is_last)
        else:
            yield from beside(lefts, rights)


def beside(lefts: Sequence[Side], rights: Sequence[Side]) -> Iterator[Pair]:
    both = min(len(lefts), len(rights))
    yield from (Pair("changed", *pair) for pair in zip(lefts[:both], rights[:both], strict=True))
    yield from (Pair("removed", left=side) for side in lefts[both:])
    yield from (Pair("added", right=side) for side in rights[both:])


def shortened(same: Sequence[Pair], *, is_first: bool, is_last: bool) -> Iterator[Pair]:
    """Equal lines matter only beside those that differ. Two equal texts are shown whole."""
    before = 0 if is_first else CONTEXT_LINES
    after = 0 if is_last else CONTEXT_LINES
    if (is_first and is_last) or len(same) <= before + after + 1:
        yield from same
        return
    yield from same[:before]
    yield Pair("skipped", skipped=len(same) - before - after)
    yield from same[len(same) - after :]


def unified(pairs: Sequence[Pair]) -> Iterator[Pair]:
    """The same one below the other: of lines that changed together, first all of the left."""
    waiting: list[Pair] = []
    for pair in pairs:
        if pair.kind == "changed":
            yield Pair("removed", left=pair.left)
            waiting.append(Pair("added", right=pair.right))
            continue
        if pair.kind != "removed":
            yield from waiting
            waiting = []
        yield pair
    yield from waiting
