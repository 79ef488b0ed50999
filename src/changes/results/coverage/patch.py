"""Whether the lines that a change brings are covered: known by it and its own coverage alone. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

from changes.projects.diffs import FileDiff, Line
from changes.results.formats.line_marks import COVERED, NOTHING, Marks
from changes.results.formats.seen import storable

FILES_KEPT, GAPS_KEPT = 300, 40
# Of one gap, with what stands around it.
LINES_AROUND, LINES_KEPT, CHARACTERS_KEPT = 2, 12, 300
NEW_SIDE = ("added", "same")
# A letter for each line of the change, as the original had them.
CODE_OF = {NOTHING: "N", COVERED: "C"}


@dataclass(frozen=True)
class FileOfPatch:
    path: str
    covered: int
    uncovered: int
    partial: int


@dataclass(frozen=True)
class GapLine:
    """`state` is one of line_marks; of lines that the change did not bring it is NOTHING."""

    number: int
    text: str
    state: int
    is_added: bool


@dataclass(frozen=True)
class Gap:
    """New lines that did not run, and what stands around them."""

    path: str
    first: int
    last: int
    lines: Sequence[GapLine]
    # How many more there would be to show.
    left_out: int = 0


@dataclass(frozen=True)
class PatchCoverage:
    """`file_count` and `gap_count` are of all of them, the lists are the first."""

    covered: int = 0
    uncovered: int = 0
    file_count: int = 0
    gap_count: int = 0
    files: Sequence[FileOfPatch] = field(default_factory=list)
    gaps: Sequence[Gap] = field(default_factory=list)

    @property
    def has_lines(self) -> bool:
        return self.covered + self.uncovered > 0


def sums(added: Mapping[str, int], marks: Mapping[str, Marks]) -> tuple[int, int]:
    """How many of the added lines ran, and how many did not."""
    mine = [marks[path].within(lines) for path, lines in added.items() if path in marks]
    return sum(each.lines_covered for each in mine), sum(each.lines_uncovered for each in mine)


def of_patch(
    files: Sequence[FileDiff], added: Mapping[str, int], marks: Mapping[str, Marks]
) -> PatchCoverage:
    """Those with most uncovered lines first."""
    mine = {path: marks[path].within(lines) for path, lines in added.items() if path in marks}
    told = [
        FileOfPatch(path, each.lines_covered, each.lines_uncovered, each.partial.bit_count())
        for path, each in mine.items()
        if each.executable
    ]
    told.sort(key=lambda each: (-each.uncovered, each.path))
    places = {each.path: place for place, each in enumerate(told)}
    shown = sorted((file for file in files if file.path in places), key=lambda file: places[file.path])
    gaps = [gap for file in shown for gap in gaps_of(file, mine[file.path])]
    return PatchCoverage(
        covered=sum(each.covered for each in told),
        uncovered=sum(each.uncovered for each in told),
        file_count=len(told),
        gap_count=len(gaps),
        files=told[:FILES_KEPT],
        gaps=gaps[:GAPS_KEPT],
    )


def codes_of_added(files: Sequence[FileDiff], marks: Mapping[str, Marks]) -> list[str]:
    """N, U or C for each line that it adds, in the order of the diff."""
    return [
        CODE_OF.get(marks.get(file.path, Marks()).state(line.new), "U")
        for file in files
        for line in file.lines
        if line.kind == "added" and line.new is not None
    ]


def gaps_of(file: FileDiff, marks: Marks) -> Iterator[Gap]:
    """Hunk by hunk, since nobody knows what stands between two of them."""
    for is_new, group in groupby(file.lines, key=lambda line: line.kind not in ("hunk", "note")):
        lines = [line for line in group if line.kind in NEW_SIDE and line.new] if is_new else []
        yield from gaps_in(file.path, lines, marks)


def gaps_in(path: str, lines: Sequence[Line], marks: Marks) -> Iterator[Gap]:
    """What is hardly apart is one."""
    bare = [place for place, line in enumerate(lines) if is_uncovered(line, marks)]
    while bare:
        begin = end = bare.pop(0)
        while bare and bare[0] - end <= 2 * LINES_AROUND + 1:
            end = bare.pop(0)
        around = lines[max(0, begin - LINES_AROUND) : end + LINES_AROUND + 1]
        kept = [shown(line, marks) for line in around[:LINES_KEPT]]
        first, last = lines[begin].new or 0, lines[end].new or 0
        yield Gap(path, first, last, kept, len(around) - len(kept))


def is_uncovered(line: Line, marks: Marks) -> bool:
    return line.kind == "added" and bool(marks.uncovered >> ((line.new or 1) - 1) & 1)


def shown(line: Line, marks: Marks) -> GapLine:
    number, is_added = line.new or 0, line.kind == "added"
    text = storable(line.text)[:CHARACTERS_KEPT]
    return GapLine(number, text, marks.state(number) if is_added else NOTHING, is_added)


# --- as it is kept ------------------------------------------------------------------------


def frozen(told: PatchCoverage) -> dict[str, Any]:
    return {
        "covered": told.covered,
        "uncovered": told.uncovered,
        "file_count": told.file_count,
        "gap_count": told.gap_count,
        "files": [[storable(each.path), each.covered, each.uncovered, each.partial] for each in told.files],
        "gaps": [
            {
                "path": storable(gap.path),
                "span": [gap.first, gap.last],
                "lines": [[each.number, each.text, each.state, each.is_added] for each in gap.lines],
                "left_out": gap.left_out,
            }
            for gap in told.gaps
        ],
    }


def thawed(kept: Mapping[str, Any]) -> PatchCoverage:
    if not kept:
        return PatchCoverage()
    return PatchCoverage(
        covered=kept["covered"],
        uncovered=kept["uncovered"],
        file_count=kept["file_count"],
        gap_count=kept["gap_count"],
        files=[FileOfPatch(*each) for each in kept["files"]],
        gaps=[
            Gap(gap["path"], first, last, [GapLine(*each) for each in gap["lines"]], gap["left_out"])
            for gap in kept["gaps"]
            for first, last in [gap["span"]]
        ],
    )
