"""The Test Anything Protocol, versions 12 to 14: subtests, YAML blocks, todo, skip and bail out. Pure."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import BinaryIO

from changes.results.formats.excerpt import Excerpt
from changes.results.formats.lines import lines_of
from changes.results.formats.seen import (
    DEFAULT_LIMITS,
    Limits,
    Malformed,
    Refused,
    Result,
    TestSeen,
    milliseconds,
    name_of,
    storable,
)
from changes.results.formats.words import under_heading

LINE_MAX_BYTES = 64 * 1024
INDENT_OF_SUBTEST = 4
DEPTH_MAX = 32
PLANNED_MAX_DIGITS = 9

FIRST_LETTERS = frozenset("no1BT")
VERSION = re.compile(r"TAP version [0-9]+")
POINT = re.compile(r"(not )?ok(?:\s+([0-9]{1,9}))?(?:\s+-)?(?:\s+(.*))?$")
PLAN = re.compile(r"1\.\.([0-9]+)\s*(?:#.*)?")
# A hash that is not escaped; node-tap adds how long a test took in the same place.
DIRECTIVE = re.compile(r"(?<!\\)#\s*(skip|todo)\S*\s*(.*)$", re.IGNORECASE)
TOOK = re.compile(r"(?<!\\)#\s*time=([0-9]{1,9}(?:\.[0-9]{1,9})?)(ms|s)\s*$")
TOOK_IN_YAML = re.compile(r"duration_ms:\s*([0-9]{1,9}(?:\.[0-9]{1,9})?)\s*$")
# What stands above subtests, and the sums at the end.
HEADING = re.compile(
    r"# Subtest|#\s*(tests|suites|pass|fail|cancelled|skipped|skip|todo|ok|duration_ms)\b[ :]*[0-9.]*\s*$"
)


def parse(stream: BinaryIO, *, limits: Limits = DEFAULT_LIMITS) -> Iterator[TestSeen]:
    """Subtests bear the names of those above them; Malformed comes after the tests before the fault."""
    reader = _Reader(limits)
    number = 0
    try:
        for line in lines_of(stream, LINE_MAX_BYTES):
            number = line.number
            reader.read(storable(line.text))
            yield from reader.take()
        reader.end()
    except Refused as refusal:
        yield from reader.take_all()
        raise Malformed(str(refusal), max(number, 1)) from None
    yield from reader.take_all()


@dataclass(slots=True)
class _Point:
    level: int
    # From the outermost subtest to the point itself.
    names: list[str]
    result: Result
    said: Excerpt
    duration_ms: int | None = None
    # Told by the subtests of it already.
    is_summary: bool = False


@dataclass(slots=True)
class _Reader:
    limits: Limits
    finished: list[TestSeen] = field(default_factory=list)
    # Points of subtests by their depth, until the point that they belong to names them.
    waiting: dict[int, list[_Point]] = field(default_factory=dict)
    waiting_chars: int = 0
    current: _Point | None = None
    yaml_indent: int | None = None
    planned: int | None = None
    points: int = 0
    outer_points: int = 0
    saw_tap: bool = False

    def take(self) -> list[TestSeen]:
        taken, self.finished = self.finished, []
        return taken

    def take_all(self) -> list[TestSeen]:
        self._close_current()
        for points in self.waiting.values():
            for point in points:
                self._finish(point)
        self.waiting = {}
        return self.take()

    def read(self, text: str) -> None:
        body = text.lstrip(" ")
        indent = len(text) - len(body)
        if self.yaml_indent is not None:
            self._read_yaml(body, indent, text)
        elif body.startswith("---") and indent and self.current is not None:
            self.yaml_indent = indent
        elif indent % INDENT_OF_SUBTEST == 0 and self._read_directly(body, indent // INDENT_OF_SUBTEST):
            self.saw_tap = True
        elif (indent or body.startswith("#")) and not (body.startswith("#") and HEADING.match(body)):
            self._note(text.strip().removeprefix("#").removeprefix(" "))

    def end(self) -> None:
        if not self.saw_tap:
            raise Refused("there is no test and no plan in it")
        if self.planned is None:
            raise Refused("there is no plan (1..N), so the runner did not come to its end")
        if self.planned != self.outer_points:
            raise Refused(f"the plan says {self.planned} tests, and {self.outer_points} were reported")

    def _read_directly(self, body: str, level: int) -> bool:
        # Most lines of a long report are diagnostics.
        if body[:1] not in FIRST_LETTERS:
            return False
        if match := POINT.match(body):
            self._open_point(match, min(level, DEPTH_MAX))
            return True
        if match := PLAN.fullmatch(body):
            if len(match[1]) > PLANNED_MAX_DIGITS:
                raise Refused("the plan is too large")
            self.planned = int(match[1]) if not level else self.planned
            return True
        if body.startswith("Bail out!"):
            reason = body.removeprefix("Bail out!").strip()
            raise Refused(
                f"the runner bailed out: {reason[: self.limits.name_chars] or 'no reason was given'}"
            )
        return VERSION.fullmatch(body) is not None

    def _open_point(self, match: re.Match[str], level: int) -> None:
        self._close_current()
        self.points += 1
        self.outer_points += not level
        if self.points > self.limits.tests:
            raise Refused(f"the file has more than {self.limits.tests} tests")
        description = match[3] or ""
        point = _Point(
            level,
            [name_in(description) or f"test {match[2] or self.points}"],
            result_of(description, has_failed=bool(match[1])),
            Excerpt(self._text_chars()),
            duration_in(description),
        )
        if directive := DIRECTIVE.search(description):
            point.said.add(f"{directive[2]}\n")
        self._name_subtests(point)
        self.current = point

    def _text_chars(self) -> int:
        """One test may hold all others, and none of them is finished before it."""
        is_late = self.waiting_chars > self.limits.all_text_chars
        return self.limits.late_text_chars if is_late else self.limits.text_chars

    def _name_subtests(self, point: _Point) -> None:
        """Of two that say the same only the inner one counts: the outer is a sum."""
        deeper = [level for level in self.waiting if level > point.level]
        below = [each for level in deeper for each in self.waiting.pop(level)]
        if not below:
            return
        for each in below:
            each.names[:0] = point.names
        has_cause = any(each.result == "failed" for each in below)
        point.is_summary = point.result != "failed" or has_cause
        if point.level:
            self.waiting.setdefault(point.level, []).extend(below)
        else:
            for each in below:
                self._finish(each)
            self.waiting_chars = 0

    def _close_current(self) -> None:
        point, self.current, self.yaml_indent = self.current, None, None
        if point is None or point.is_summary:
            return
        if point.level:
            self.waiting.setdefault(point.level, []).append(point)
            self.waiting_chars += len(point.said.text())
        else:
            self._finish(point)

    def _finish(self, point: _Point) -> None:
        *above, last = point.names
        package, name = name_of("/".join(above), last, self.limits)
        message = under_heading("diagnostics", point.said.text().strip("\n"))
        self.finished.append(TestSeen(name, package, point.result, point.duration_ms, message))

    def _read_yaml(self, body: str, indent: int, text: str) -> None:
        if body.startswith("...") and indent == self.yaml_indent:
            self.yaml_indent = None
        elif match := TOOK_IN_YAML.fullmatch(body):
            if self.current is not None and self.current.duration_ms is None:
                self.current.duration_ms = milliseconds(float(match[1]) / 1000)
        else:
            self._note(text[self.yaml_indent :])

    def _note(self, text: str) -> None:
        if self.current is not None:
            self.current.said.add(f"{text}\n")


def result_of(description: str, *, has_failed: bool) -> Result:
    """What is still to be done is expected to fail."""
    match = DIRECTIVE.search(description)
    if match is None:
        return "failed" if has_failed else "passed"
    if match[1].lower() == "todo" and not has_failed:
        return "passed"
    return "skipped"


def name_in(description: str) -> str:
    for noise in (DIRECTIVE, TOOK):
        description = noise.sub("", description)
    return description.replace("\\#", "#").replace("\\\\", "\\").strip().removesuffix("{").strip()


def duration_in(description: str) -> int | None:
    match = TOOK.search(description)
    return None if match is None else milliseconds(float(match[1]) / (1000 if match[2] == "ms" else 1))
