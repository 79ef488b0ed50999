"""The XML of xUnit.net, versions 1 to 3: `assemblies` or a single `assembly`. Pure."""

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

ROOTS = frozenset({"assemblies", "assembly"})
TEXTS = ("message", "stack-trace", "output", "reason")
RESULTS: Mapping[str, Result] = {
    "Pass": "passed",
    "Fail": "failed",
    "Skip": "skipped",
    "NotRun": "skipped",
}


def parse(stream: BinaryIO, *, limits: Limits = DEFAULT_LIMITS) -> Iterator[TestSeen]:
    return xml_stream.read(stream, lambda: _Target(limits))


class _Target(Records):
    def __init__(self, limits: Limits) -> None:
        super().__init__(limits, TEXTS)
        self.words = Words(limits)

    def opened(self, element: Element) -> None:
        if element.name in {"test", "error"}:
            self.words = Words(self.limits)

    def closed(self, element: Element) -> None:
        if element.said is not None:
            self.words.add(element.name, element.text)
        elif element.name == "test":
            self._close_test(element)
        elif element.name == "error" and self.parent == "errors":
            # What failed outside of any test: cleaning up a class, a collection, the assembly.
            kind, name = self.named(element, "type"), element.attributes.get("name") or "assembly"
            self.found(name, kind, Outcome("failed", message=self.words.text()))

    def _close_test(self, test: Element) -> None:
        name = self.named(test, "name")
        package = test.attributes.get("type") or package_of(name.partition("(")[0])
        result = result_in(RESULTS, test.attributes.get("result", ""), self.limits)
        outcome = Outcome(result, parse_duration_ms(test.attributes.get("time")), self.words.text())
        self.found(package, within(package, name), outcome)
