"""TRX, the XML of Visual Studio and `dotnet test --logger trx`. Pure.

The file tells the class of a test only after all results, so these are held until it is known.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import BinaryIO

from changes.results.formats import xml_stream
from changes.results.formats.excerpt import clip_name, excerpt
from changes.results.formats.seen import DEFAULT_LIMITS, Limits, Outcome, Result, TestSeen, milliseconds
from changes.results.formats.words import Words
from changes.results.formats.xml_records import Element, Records, result_in, within

ROOTS = frozenset({"TestRun"})
TEXTS = ("Message", "StackTrace", "StdOut", "StdErr")
RESULTS: Mapping[str, Result] = {
    "Passed": "passed",
    "PassedButRunAborted": "passed",
    "Completed": "passed",
    "Warning": "passed",
    "Failed": "failed",
    "Error": "failed",
    "Timeout": "failed",
    "Aborted": "failed",
    "Disconnected": "failed",
    "NotExecuted": "skipped",
    "NotRunnable": "skipped",
    "Inconclusive": "skipped",
    "Pending": "skipped",
    "InProgress": "skipped",
}
DURATION = re.compile(r"(?:([0-9]{1,4})\.)?([0-9]{1,3}):([0-9]{2}):([0-9]{2}(?:\.[0-9]{1,9})?)")


def parse(stream: BinaryIO, *, limits: Limits = DEFAULT_LIMITS) -> Iterator[TestSeen]:
    return xml_stream.read(stream, lambda: _Target(limits))


@dataclass(frozen=True, slots=True)
class _Held:
    test_id: str
    name: str
    outcome: Outcome


class _Open:
    """A result that is open; one of rows of data has a result for each row within."""

    def __init__(self, limits: Limits) -> None:
        self.words = Words(limits)
        self.has_rows = False


class _Target(Records):
    def __init__(self, limits: Limits) -> None:
        super().__init__(limits, TEXTS)
        self.results: list[_Open] = []
        self.held: list[_Held] = []
        self.held_chars = 0
        self.class_of: dict[str, str] = {}
        self.defining = ""

    def opened(self, element: Element) -> None:
        if element.name == "UnitTestResult":
            if self.results:
                self.results[-1].has_rows = True
            self.results.append(_Open(self.limits))
        elif element.name == "UnitTest":
            self.defining = element.attributes.get("id", "")
        elif element.name == "TestMethod":
            # The assembly follows after a comma.
            package = element.attributes.get("className", "").partition(",")[0]
            self.class_of[self.defining] = clip_name(package, self.limits.name_chars)
            if len(self.class_of) > self.limits.tests:
                self.count()

    def closed(self, element: Element) -> None:
        if element.said is not None and self.results:
            self.results[-1].words.add(element.name, element.text)
        elif element.name == "UnitTestResult" and self.results:
            self._close_result(element, self.results.pop())

    def _close_result(self, element: Element, result: _Open) -> None:
        if result.has_rows:
            return
        self.count()
        message = result.words.text()
        if self.held_chars > self.limits.all_text_chars:
            message = excerpt(message, self.limits.late_text_chars)
        self.held_chars += len(message)
        outcome = Outcome(
            # An error is what is meant where nothing is said.
            result_in(RESULTS, element.attributes.get("outcome", "Error"), self.limits),
            parse_time_ms(element.attributes.get("duration", "")),
            message,
        )
        name = clip_name(self.named(element, "testName"), self.limits.name_chars)
        test_id = clip_name(element.attributes.get("testId", ""), self.limits.name_chars)
        self.held.append(_Held(test_id, name, outcome))

    def take_all(self) -> list[TestSeen]:
        self.tests_seen = 0
        for held in self.held:
            package = self.class_of.get(held.test_id, "")
            self.found(package, within(package, held.name), held.outcome)
        self.held = []
        return self.take()


def parse_time_ms(text: str) -> int | None:
    """`00:00:01.2345678`, with days before a dot."""
    match = DURATION.fullmatch(text)
    if match is None:
        return None
    days, hours, minutes, seconds = (float(each or 0) for each in match.groups())
    return milliseconds(((days * 24 + hours) * 60 + minutes) * 60 + seconds)
