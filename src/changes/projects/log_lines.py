"""What a project says of lines of its logs: which tell what went wrong, and which tell of nothing. Pure.

In `.changes.yml` they are mappings, in the option of a project one in each line:

    fatal licence server: ^FlexLM .* denied
    ignore: ^ERROR: telemetry is off
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import re2

from changes.base.errors import Invalid

SEVERITIES = ("fatal", "error", "warning", "ignore")
KEYS = ("pattern", "name", "severity")
PATTERNS_MAX, PATTERN_MAX, NAME_MAX = 50, 500, 40
# What a pattern may take when it is compiled: one that repeats too much is refused, not slow.
MEMORY_MAX_BYTES = 256 * 1024


class Unreadable(Invalid):
    """Not a regular expression of RE2, or one that takes too much memory."""


@dataclass(frozen=True)
class LogLine:
    """`pattern` is a regular expression of RE2, which looks at one line."""

    pattern: str
    name: str = ""
    severity: str = "error"


def read(said: Any) -> list[LogLine]:
    """Raises Invalid with what is wrong with the first that is wrong."""
    if not isinstance(said, list):
        raise Invalid(f"log_errors must be a list of patterns, or of mappings with {', '.join(KEYS)}")
    if len(said) > PATTERNS_MAX:
        raise Invalid(f"log_errors has at most {PATTERNS_MAX} patterns")
    return [read_one(each) for each in said]


def read_one(said: Any) -> LogLine:
    fields = {"pattern": said} if isinstance(said, str) else said
    if not isinstance(fields, dict) or not all(isinstance(each, str) for each in fields.values()):
        raise Invalid(f"one of log_errors is a pattern, or a mapping of texts: {', '.join(KEYS)}")
    unknown = sorted(str(key) for key in set(fields) - set(KEYS))
    if unknown:
        raise Invalid(f"one of log_errors has an unknown key {unknown[0]!r} (allowed: {', '.join(KEYS)})")
    return checked(
        LogLine(fields.get("pattern", ""), fields.get("name", ""), fields.get("severity", "error"))
    )


def checked(line: LogLine) -> LogLine:
    if line.severity not in SEVERITIES:
        raise Invalid(f"severity must be one of {', '.join(SEVERITIES)}; it is {line.severity[:40]!r}")
    if len(line.name) > NAME_MAX or not line.name.isprintable():
        raise Invalid(f"the name of a pattern has at most {NAME_MAX} characters")
    if not line.pattern or len(line.pattern) > PATTERN_MAX or "\n" in line.pattern:
        raise Invalid(f"a pattern has 1 to {PATTERN_MAX} characters on one line")
    problem = problem_of(line.pattern)
    if problem:
        raise Invalid(f"the pattern {line.pattern!r} is no regular expression of RE2: {problem}")
    return line


def problem_of(pattern: str) -> str:
    """Empty for a good one. One that fits every line, also an empty one, tells nothing."""
    try:
        made = compiled(pattern)
    except Unreadable as error:
        return error.message
    return "it fits an empty line, so it fits every line" if made.search(b"") is not None else ""


def compiled(pattern: str) -> Any:
    """For lines as bytes, of which several may be looked through at once. Raises Unreadable."""
    options = re2.Options()
    options.log_errors = False
    options.never_nl = True
    options.max_mem = MEMORY_MAX_BYTES
    try:
        return re2.compile(f"(?m){pattern}".encode("utf-8", "replace"), options)
    except re2.error as error:
        told = error.args[0] if error.args else ""
        why = told.decode("utf-8", "replace") if isinstance(told, bytes) else str(told)
        raise Unreadable(why) from None


def of_text(text: str) -> list[LogLine]:
    """Of the option of a project."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if len(lines) > PATTERNS_MAX:
        raise Invalid(f"there are at most {PATTERNS_MAX} patterns")
    return [of_line(line) for line in lines]


def of_line(line: str) -> LogLine:
    said, colon, pattern = line.partition(": ")
    severity, _, name = said.partition(" ")
    if not colon or severity not in SEVERITIES:
        raise Invalid(f"a line begins with one of {', '.join(SEVERITIES)}, as in “error licence: ^FlexLM”")
    return checked(LogLine(pattern.strip(), name.strip(), severity))


def problem(text: str) -> str | None:
    try:
        of_text(text)
    except Invalid as error:
        return f"Errors in logs: {error.message}."
    return None


def frozen(lines: Sequence[LogLine]) -> list[dict[str, str]]:
    return [asdict(each) for each in lines]


def thawed(kept: Sequence[Mapping[str, str]] | None) -> list[LogLine]:
    return [
        LogLine(each["pattern"], each.get("name", ""), each.get("severity", "error")) for each in kept or ()
    ]
