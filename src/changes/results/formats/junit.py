"""JUnit XML, as Changes always read it and as today's test runners write it.

The file is other people's: it is read in one pass and bounded memory, declares no entities,
reaches no network, and everything kept of it is clipped. Pure: bytes in, values out.
"""

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import BinaryIO, Literal, cast

from lxml import etree

from changes.results.formats.excerpt import Excerpt, clip_name, excerpt

Result = Literal[
    "failed", "passed", "skipped", "quarantined_passed", "quarantined_failed", "quarantined_skipped"
]

# Of several runs of one test in one file the first in this order is the result.
WORST_FIRST: tuple[Result, ...] = (
    "failed",
    "passed",
    "skipped",
    "quarantined_passed",
    "quarantined_failed",
    "quarantined_skipped",
)
QUARANTINED: Mapping[Result, Result] = {
    "passed": "quarantined_passed",
    "failed": "quarantined_failed",
    "skipped": "quarantined_skipped",
}

FAILING_TAGS = frozenset({"failure", "error"})
DECIDING_TAGS = FAILING_TAGS | {"skipped"}
# These describe a test; nobody printed them.
SILENT_TAGS = frozenset({"properties", "test-artifacts"})
# Surefire notes with these the runs of a test before the one that counted.
RERUN_TAGS = frozenset({"flakyFailure", "flakyError", "rerunFailure", "rerunError"})
# googletest has no element for a disabled test, only this word.
SKIPPING_STATUSES = frozenset({"notrun", "disabled", "skipped"})
BITTEN_ROOT = "unittest-results"

READ_BYTES = 64 * 1024
HEADING_COLUMNS = 78
DURATION_MAX_MS = 2**31 - 1
DECLARED_ENCODING = re.compile(
    rb"""^(?:\xef\xbb\xbf)?<\?xml[^>]*?\sencoding\s*=\s*["']([A-Za-z0-9._:-]+)["']"""
)
# Written so that it cannot backtrack: the attribute may be megabytes of digits.
DECIMAL = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]{1,3})?")


class Malformed(ValueError):
    """The file is not a usable report from this line on; tests before it are good."""

    def __init__(self, cause: str, line: int) -> None:
        super().__init__(f"line {line}: {cause}")
        self.cause = cause
        self.line = line


@dataclass(frozen=True)
class Limits:
    """How much of a report is kept; lengths count characters."""

    text_chars: int = 65536
    name_chars: int = 2048
    parts: int = 16
    tests: int = 1_000_000


@dataclass(frozen=True, slots=True)
class TestSeen:
    """One test as the report has it; `name` is the full one and says which test it is."""

    name: str
    package: str
    result: Result
    duration_ms: int | None = None
    message: str = ""
    reruns: int = 0
    owner: str | None = None
    file: str | None = None
    line: int | None = None

    @property
    def sha1(self) -> str:
        return hashlib.sha1(self.name.encode(), usedforsecurity=False).hexdigest()

    @property
    def short_name(self) -> str:
        return self.name[len(self.package) + 1 :] if self.package else self.name

    @property
    def is_quarantined(self) -> bool:
        return self.result.startswith("quarantined_")


DEFAULT_LIMITS = Limits()


def parse(stream: BinaryIO, *, limits: Limits = DEFAULT_LIMITS) -> Iterator[TestSeen]:
    """Every test case in the order of the file; Malformed comes after those before the fault."""
    target = _Target(limits)
    line = 0
    try:
        for line in _fed_lines(stream, target):  # noqa: B007  (the handlers below say how far it came)
            if target.finished:
                yield from target.take()
    except etree.XMLSyntaxError as error:
        yield from target.take()
        raise Malformed(_first_line(error.msg), error.lineno or line) from None
    except _Refused as refusal:
        yield from target.take()
        raise Malformed(str(refusal), line + 1) from None


def merge_duplicates(tests: Iterable[TestSeen], *, limits: Limits = DEFAULT_LIMITS) -> list[TestSeen]:
    """One entry for each name, where the name stood first: runners repeat a test for its tear-down."""
    merged: dict[str, TestSeen] = {}
    for test in tests:
        known = merged.get(test.name)
        merged[test.name] = test if known is None else _merge(known, test, limits)
    return list(merged.values())


def package_of(name: str) -> str:
    """The package in a full name whose class is not known apart: all before the last separator."""
    return name.rpartition(_separator(name))[0]


def parse_duration_ms(text: str | None) -> int | None:
    """Seconds as runners write them: 0.25, 1,234.5, 0,25 or 0.25s; nonsense is no duration."""
    number = (text or "").strip().removesuffix("s")
    if "." in number or number.count(",") > 1:
        number = number.replace(",", "")
    number = number.replace(",", ".")
    if not DECIMAL.fullmatch(number):
        return None
    duration_ms = float(number) * 1000
    return round(duration_ms) if 0 <= duration_ms <= DURATION_MAX_MS else 0


class _Refused(ValueError):
    """Well-formed so far, and yet no report of ours."""


def _fed_lines(stream: BinaryIO, target: "_Target") -> Iterator[int]:
    """Feed the file line by line, so that the line of a fault is known; yields lines done."""
    chunk = stream.readline(READ_BYTES)
    if not chunk:
        raise _Refused("the file is empty")
    parser = _parser(target, chunk)
    line = 0
    while chunk:
        parser.feed(chunk)
        line += chunk.endswith(b"\n")
        yield line
        chunk = stream.readline(READ_BYTES)
    parser.close()


def _parser(target: "_Target", beginning: bytes) -> etree.XMLParser:
    # huge_tree stays off: libxml2's own limits on one tag, comment or CDATA section are wanted.
    # resolve_entities is left at "internal", for without it an attribute's `&amp;` arrives as `&#38;`;
    # nothing else can be resolved, as entities are declared in a DOCTYPE and the target refuses that.
    return etree.XMLParser(
        target=cast("etree.ParserTarget", target),
        encoding=_encoding_to_force(beginning),
        no_network=True,
        load_dtd=False,
        huge_tree=False,
    )


def _encoding_to_force(beginning: bytes) -> str | None:
    """UTF-8 where the declared encoding does not exist, or cannot be true of these bytes."""
    match = DECLARED_ENCODING.match(beginning)
    if match is None:
        return None
    declared = match[1].decode("ascii")
    # Who can read the declaration byte by byte is not looking at UTF-16 or UTF-32.
    if declared.lower().startswith(("utf-16", "utf16", "utf-32", "utf32", "ucs")):
        return "utf-8"
    try:
        etree.XMLParser(encoding=declared)
    except LookupError:
        return "utf-8"
    return None


class _Target:
    """Hears the parser and gathers finished test cases until they are taken."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.finished: list[TestSeen] = []
        self.tests_seen = 0
        self.saw_root = False
        self.case: _Case | None = None
        self.depth_in_case = 0
        self.listening: Excerpt | None = None

    def take(self) -> list[TestSeen]:
        taken, self.finished = self.finished, []
        return taken

    def doctype(self, *_names: str) -> None:
        # A report needs none, and entities are declared in nothing else.
        raise _Refused("the file has a DOCTYPE, which is not allowed")

    def start(self, tag: str, attributes: Mapping[str, str]) -> None:
        if self.case is not None:
            self.depth_in_case += 1
            if self.depth_in_case == 1:
                self.listening = self.case.open_part(_local_name(tag), attributes)
            return
        name = _local_name(tag)
        if not self.saw_root:
            self.saw_root = True
            _refuse_foreign_root(name)
        if name == "testcase":
            self._open_case(attributes)

    def data(self, text: str) -> None:
        if self.listening is not None:
            self.listening.add(text)

    def end(self, _tag: str) -> None:
        if self.depth_in_case:
            self.depth_in_case -= 1
            if not self.depth_in_case:
                self.listening = None
        elif self.case is not None:
            self.finished.append(self.case.close())
            self.case = None

    def close(self) -> None:
        """The parser asks every target for this."""

    def _open_case(self, attributes: Mapping[str, str]) -> None:
        self.tests_seen += 1
        if not attributes.get("name"):
            raise _Refused("a testcase has no name")
        if self.tests_seen > self.limits.tests:
            raise _Refused(f"the file has more than {self.limits.tests} tests")
        self.case = _Case(attributes, self.limits)


class _Case:
    """A test case between its start and its end."""

    def __init__(self, attributes: Mapping[str, str], limits: Limits) -> None:
        self.attributes = attributes
        self.limits = limits
        self.tags: set[str] = set()
        self.reruns = 0
        self.parts: list[_Part] = []
        self.parts_left_out = 0

    def open_part(self, tag: str, attributes: Mapping[str, str]) -> Excerpt | None:
        """Where the text of this element goes, if it is wanted."""
        self.reruns += tag in RERUN_TAGS
        if tag in DECIDING_TAGS:
            self.tags.add(tag)
        if tag in SILENT_TAGS:
            return None
        if len(self.parts) >= self.limits.parts:
            self.parts_left_out += 1
            return None
        headline = attributes.get("message") or attributes.get("type") or ""
        part = _Part(tag, headline, Excerpt(self.limits.text_chars))
        self.parts.append(part)
        return part.excerpt

    def close(self) -> TestSeen:
        attributes = self.attributes
        package, name = _names(attributes, self.limits.name_chars)
        owner, file = attributes.get("owner"), attributes.get("file")
        return TestSeen(
            name=name,
            package=package,
            result=self._result(),
            duration_ms=parse_duration_ms(attributes.get("time")),
            message=self._message(),
            reruns=max(self.reruns, _whole_number(attributes.get("rerun")) or 0),
            owner=clip_name(owner, self.limits.name_chars) if owner else None,
            file=clip_name(file, self.limits.name_chars) if file else None,
            line=_whole_number(attributes.get("line")),
        )

    def _result(self) -> Result:
        """A failure anywhere in the case counts, also behind output or a skip."""
        result: Result = "passed"
        if self.tags & FAILING_TAGS:
            result = "failed"
        elif self.tags or self.attributes.get("status", "").lower() in SKIPPING_STATUSES:
            result = "skipped"
        return QUARANTINED[result] if self.attributes.get("quarantined") else result

    def _message(self) -> str:
        last_failure = self.attributes.get("last_failure_output")
        if not self.parts and not last_failure:
            return ""
        pieces = [excerpt(last_failure or "", self.limits.text_chars)]
        pieces += [part.text(self.limits.text_chars) for part in self.parts]
        if self.parts_left_out:
            pieces.append(f" -- {self.parts_left_out} more parts left out --")
        return "\n".join(piece for piece in pieces if piece)


@dataclass(frozen=True, slots=True)
class _Part:
    """What one element inside a test case says."""

    tag: str
    headline: str
    excerpt: Excerpt

    def text(self, limit_chars: int) -> str:
        body = self.excerpt.text().strip("\n")
        if not body.strip():
            body = ""
        # Most runners repeat the message as the first line of the text; say it once.
        if self.headline and self.headline not in body:
            body = f"{excerpt(self.headline, limit_chars)}\n{body}".rstrip("\n")
        heading = f" {self.tag[:HEADING_COLUMNS]} ".center(HEADING_COLUMNS, "=")
        return f"{heading}\n{body}" if body else ""


def _refuse_foreign_root(name: str) -> None:
    if name == BITTEN_ROOT:
        raise _Refused("this is a Bitten report; write JUnit XML instead")


def _local_name(tag: str) -> str:
    return tag.rpartition("}")[2] if tag.startswith("{") else tag


def _names(attributes: Mapping[str, str], limit_chars: int) -> tuple[str, str]:
    """The package and the full name."""
    name = clip_name(attributes["name"], limit_chars)
    package = clip_name(attributes.get("classname", ""), limit_chars)
    if package:
        return package, f"{package}{_separator(package)}{name}"
    return package_of(name), name


def _separator(name: str) -> str:
    """Names like //path:target and src/x.test.ts are paths; any other is dotted."""
    begins_like_a_word = name[:1].isascii() and name[:1].isalnum()
    return "." if begins_like_a_word and "/" not in name else "/"


def _whole_number(text: str | None) -> int | None:
    return int(text) if text and re.fullmatch(r"[0-9]{1,9}", text) else None


def _first_line(text: str | None) -> str:
    return (text or "not XML").partition("\n")[0]


def _merge(one: TestSeen, other: TestSeen, limits: Limits) -> TestSeen:
    durations_ms = [test.duration_ms for test in (one, other) if test.duration_ms is not None]
    messages = dict.fromkeys(test.message for test in (one, other) if test.message)
    return replace(
        one,
        result=min(one.result, other.result, key=WORST_FIRST.index),
        duration_ms=min(sum(durations_ms), DURATION_MAX_MS) if durations_ms else None,
        message=excerpt("\n\n".join(messages), limits.text_chars * limits.parts),
        reruns=max(one.reruns, other.reruns),
        owner=one.owner or other.owner,
    )
