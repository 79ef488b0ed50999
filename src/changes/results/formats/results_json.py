"""`results.json` of the review queue: a list of commands with their exit codes. Pure."""

from collections.abc import Iterator, Mapping
from typing import Any, BinaryIO

from changes.results.formats import json_document
from changes.results.formats.excerpt import excerpt
from changes.results.formats.seen import DEFAULT_LIMITS, Limits, Malformed, TestSeen, milliseconds, name_of
from changes.results.formats.words import under_heading

SIZE_MAX_BYTES = 64 * 1024 * 1024


def parse(stream: BinaryIO, *, limits: Limits = DEFAULT_LIMITS) -> Iterator[TestSeen]:
    """A test passed if it returned 0; whatever of it is missing is taken as nothing."""
    document = json_document.read(stream, limit_bytes=SIZE_MAX_BYTES)
    tests = document.get("tests")
    if not isinstance(tests, list):
        raise Malformed("there is no list `tests`", 1)
    if len(tests) > limits.tests:
        raise Malformed(f"the file has more than {limits.tests} tests", 1)
    for number, test in enumerate(tests, start=1):
        if not isinstance(test, dict):
            raise Malformed(f"test {number} is no object", 1)
        yield _test(number, test, limits)


def _test(number: int, test: Mapping[str, Any], limits: Limits) -> TestSeen:
    code = test.get("returncode", 0)
    if type(code) is not int:
        raise Malformed(f"test {number}: returncode must be a whole number", 1)
    package, name = name_of(
        _text(number, test, "suite"), _text(number, test, "test") or f"test {number}", limits
    )
    output = excerpt(_text(number, test, "output").strip("\n"), limits.text_chars)
    said = under_heading("output", output or f"exit code {code}")
    return TestSeen(
        name=name,
        package=package,
        result="failed" if code else "passed",
        duration_ms=milliseconds(test.get("duration")),
        message=said if code else "",
    )


def _text(number: int, test: Mapping[str, Any], name: str) -> str:
    value = test.get(name)
    if value is not None and not isinstance(value, str):
        raise Malformed(f"test {number}: {name} must be text", 1)
    return value or ""
