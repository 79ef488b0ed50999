"""What every parser of reports hands on, and the rules they share. Pure."""

import hashlib
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, NamedTuple

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
DURATION_MAX_MS = 2**31 - 1
# Such as 12.345: longer ones are hardly ever met again.
DURATION_CHARS, DURATIONS_KNOWN = 6, 4096
# Written so that it cannot backtrack: the attribute may be megabytes of digits.
PLAIN_SECONDS = re.compile(r"[0-9]{1,6}(?:\.[0-9]{1,9})?")
DECIMAL = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]{1,3})?")
# What PostgreSQL does not store: NUL, and half of a surrogate pair.
UNSTORABLE = re.compile("[\0\ud800-\udfff]")


class Malformed(ValueError):
    """The file is not a usable report from this line on; tests before it are good."""

    def __init__(self, cause: str, line: int) -> None:
        super().__init__(f"line {line}: {cause}")
        self.cause = cause
        self.line = line


class Refused(ValueError):
    """Well-formed so far, and yet no report of ours; whoever reads the file knows the line."""


@dataclass(frozen=True)
class Limits:
    """How much of a report is kept; lengths count characters."""

    text_chars: int = 65536
    name_chars: int = 2048
    parts: int = 16
    tests: int = 1_000_000
    # Of all files of one test that stand in the report itself.
    file_chars: int = 16 * 1024 * 1024
    # Of all messages together; beyond it each is cut to `late_text_chars`.
    all_text_chars: int = 64 * 1024 * 1024
    late_text_chars: int = 1024


DEFAULT_LIMITS = Limits()


class FileSeen(NamedTuple):
    """A file that stands in the report itself; `kind` is text, image, html or anything else."""

    name: str
    kind: str
    base64: str


class TestSeen(NamedTuple):
    """One test as the report has it; `name` is the full one and says which test it is.

    A tuple, because a report of a million tests makes a million of them: a frozen dataclass takes five times
    as long to be made.
    """

    name: str
    package: str
    result: Result
    duration_ms: int | None = None
    message: str = ""
    reruns: int = 0
    owner: str | None = None
    file: str | None = None
    line: int | None = None
    # Its runner repeated the test, so this entry decides and those before it are attempts.
    is_repeat: bool = False
    files: tuple[FileSeen, ...] = ()

    @property
    def sha1(self) -> str:
        return hashlib.sha1(self.name.encode(), usedforsecurity=False).hexdigest()

    @property
    def short_name(self) -> str:
        return self.name[len(self.package) + 1 :] if self.package else self.name

    @property
    def is_quarantined(self) -> bool:
        return self.result.startswith("quarantined_")


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a test went, apart from what it is called."""

    result: Result
    duration_ms: int | None = None
    message: str = ""
    reruns: int = 0
    is_repeat: bool = False


def test_of(package: str, name: str, outcome: Outcome, limits: Limits) -> TestSeen:
    """`name` is the one within the package; neither is kept longer than allowed."""
    package, name = name_of(package, name, limits)
    return TestSeen(
        name=name,
        package=package,
        result=outcome.result,
        duration_ms=outcome.duration_ms,
        message=outcome.message,
        reruns=outcome.reruns,
        is_repeat=outcome.is_repeat,
    )


def merge_duplicates(tests: Iterable[TestSeen], *, limits: Limits = DEFAULT_LIMITS) -> list[TestSeen]:
    """One entry for each name, where the name stood first: runners repeat a test for its tear-down."""
    found = list(tests)
    if len({test.name for test in found}) == len(found):
        return found
    by_name: dict[str, list[TestSeen]] = {}
    for test in found:
        by_name.setdefault(test.name, []).append(test)
    return [_merged(tests, limits) if len(tests) > 1 else tests[0] for tests in by_name.values()]


class TextBudget:
    """Files of a gigabyte may hold that much in messages: beyond a sum of them each is cut short."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.kept_chars = 0

    def cut(self, test: TestSeen) -> TestSeen:
        if not test.message:
            return test
        if self.kept_chars <= self.limits.all_text_chars:
            self.kept_chars += len(test.message)
            return test
        # What passed is not kept with its words anyway.
        late = "" if test.result == "passed" else excerpt(test.message, self.limits.late_text_chars)
        return test._replace(message=late)


def full_name(package: str, name: str) -> str:
    return f"{package}{separator(package)}{name}" if package else name


def package_of(name: str) -> str:
    """The package in a full name whose class is not known apart: all before the last separator."""
    return name.rpartition(separator(name))[0]


# Tests of one package come together.
@lru_cache(maxsize=128)
def separator(name: str) -> str:
    """Names like //path:target and src/x.test.ts are paths; any other is dotted."""
    begins_like_a_word = name[:1].isascii() and name[:1].isalnum()
    return "." if begins_like_a_word and "/" not in name else "/"


def name_of(package: str, name: str, limits: Limits) -> tuple[str, str]:
    """The package and the full name, neither longer than allowed, and both fit to be stored."""
    package = clip_name(storable(package), limits.name_chars)
    name = clip_name(storable(name), limits.name_chars)
    return package, full_name(package, name)


def storable(text: str) -> str:
    return UNSTORABLE.sub("\N{REPLACEMENT CHARACTER}", text) if UNSTORABLE.search(text) else text


def parse_duration_ms(text: str | None) -> int | None:
    """Seconds as runners write them: 0.25, 1,234.5, 0,25 or 0.25s; nonsense is no duration."""
    if not text:
        return None
    return _known_duration_ms(text) if len(text) <= DURATION_CHARS else _duration_ms(text)


def _duration_ms(text: str) -> int | None:
    # As most write it; the other ways take three times as long to be told apart.
    if PLAIN_SECONDS.fullmatch(text):
        return round(float(text) * 1000)
    number = text.strip().removesuffix("s")
    if "," in number:
        if "." in number or number.count(",") > 1:
            number = number.replace(",", "")
        number = number.replace(",", ".")
    if not DECIMAL.fullmatch(number):
        return None
    duration_ms = float(number) * 1000
    return round(duration_ms) if 0 <= duration_ms <= DURATION_MAX_MS else 0


# Most tests are short, and of those of ten thousand many took the same thousandths.
_known_duration_ms = lru_cache(maxsize=DURATIONS_KNOWN)(_duration_ms)


def milliseconds(seconds: object) -> int | None:
    """Of a number as JSON has it; what cannot be true is 0, as in the original."""
    if isinstance(seconds, bool) or not isinstance(seconds, (int, float)):
        return None
    if isinstance(seconds, float) and math.isnan(seconds):
        return None
    if isinstance(seconds, int) and abs(seconds) > DURATION_MAX_MS:
        return 0
    duration_ms = seconds * 1000
    return round(duration_ms) if 0 <= duration_ms <= DURATION_MAX_MS else 0


def whole_number(text: str | None) -> int | None:
    return int(text) if text and re.fullmatch(r"[0-9]{1,9}", text) else None


def _merged(tests: Sequence[TestSeen], limits: Limits) -> TestSeen:
    """All at once: a report may have one test a million times, and each would be joined with all before."""
    durations_ms = [test.duration_ms for test in tests if test.duration_ms is not None]
    result, reruns = tests[0].result, tests[0].reruns
    for other in tests[1:]:
        worst = min(result, other.result, key=WORST_FIRST.index)
        result = other.result if other.is_repeat else worst
        reruns = reruns + 1 if other.is_repeat else max(reruns, other.reruns)
    return tests[0]._replace(
        result=result,
        duration_ms=min(sum(durations_ms), DURATION_MAX_MS) if durations_ms else None,
        message=_together(dict.fromkeys(filter(None, (test.message for test in tests))), limits),
        reruns=reruns,
        owner=next(filter(None, (test.owner for test in tests)), None),
    )


def _together(messages: Iterable[str], limits: Limits) -> str:
    """Each that differs from the others, as far as there is room."""
    kept = Excerpt(limits.text_chars * limits.parts)
    for number, message in enumerate(messages):
        kept.add(f"\n\n{message}" if number else message)
    return kept.text()
