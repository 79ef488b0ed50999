"""NUnit's XML: `test-results` of version 2 and `test-run` of version 3. Pure."""

from collections.abc import Iterator, Mapping
from typing import BinaryIO

from changes.results.formats import xml_stream
from changes.results.formats.seen import (
    DEFAULT_LIMITS,
    Limits,
    Outcome,
    Result,
    TestSeen,
    package_of,
    parse_duration_ms,
)
from changes.results.formats.words import Words
from changes.results.formats.xml_records import Element, Records, result_in, within

ROOTS = frozenset({"test-results", "test-run"})
TEXTS = ("message", "stack-trace", "output")
RESULTS: Mapping[str, Result] = {
    "Passed": "passed",
    "Success": "passed",
    "Warning": "passed",
    "Failed": "failed",
    "Failure": "failed",
    "Error": "failed",
    "NotRunnable": "failed",
    "Cancelled": "failed",
    "Skipped": "skipped",
    "Ignored": "skipped",
    "Inconclusive": "skipped",
}


def parse(stream: BinaryIO, *, limits: Limits = DEFAULT_LIMITS) -> Iterator[TestSeen]:
    return xml_stream.read(stream, lambda: _Target(limits))


class _Target(Records):
    def __init__(self, limits: Limits) -> None:
        super().__init__(limits, TEXTS)
        # Of the suites that are open and of the case, the innermost last.
        self.words: list[Words] = []

    def opened(self, element: Element) -> None:
        if element.name in {"test-suite", "test-case"}:
            self.words.append(Words(self.limits))

    def closed(self, element: Element) -> None:
        if element.said is not None and self.words:
            self.words[-1].add(element.name, element.text)
        elif element.name == "test-case" and self.words:
            self._close_case(element, self.words.pop().text())
        elif element.name == "test-suite" and self.words:
            self._close_suite(element, self.words.pop().text())

    def _close_case(self, case: Element, message: str) -> None:
        name = self.named(case, "fullname", "name")
        # Arguments hold dots of their own.
        package = case.attributes.get("classname") or package_of(name.partition("(")[0])
        duration_ms = parse_duration_ms(case.attributes.get("duration") or case.attributes.get("time"))
        outcome = Outcome(self._result(case.attributes), duration_ms, message)
        self.found(package, within(package, name), outcome)

    def _close_suite(self, suite: Element, message: str) -> None:
        """Its tests have passed before it was torn down; a failed set-up is told by each of them."""
        if suite.attributes.get("site") == "TearDown" and suite.attributes.get("result") == "Failed":
            self.found("", self.named(suite, "fullname", "name"), Outcome("failed", message=message))

    def _result(self, attributes: Mapping[str, str]) -> Result:
        if "result" in attributes:
            return result_in(RESULTS, attributes["result"], self.limits)
        # Before version 2.5.
        if attributes.get("executed") == "False":
            return "skipped"
        return "passed" if attributes.get("success") == "True" else "failed"
