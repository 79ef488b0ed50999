"""CTest's own XML, `Testing/<date>/Test.xml`, as it is sent to a dashboard. Pure."""

import base64
import binascii
import zlib
from collections.abc import Iterator, Mapping
from typing import BinaryIO

from changes.results.formats import xml_stream
from changes.results.formats.excerpt import Excerpt
from changes.results.formats.seen import DEFAULT_LIMITS, Limits, Outcome, Result, TestSeen, parse_duration_ms
from changes.results.formats.words import Words
from changes.results.formats.xml_records import Element, Records, result_in

ROOTS = frozenset({"Site"})
TEXTS = ("Name", "Value")
RESULTS: Mapping[str, Result] = {"passed": "passed", "failed": "failed", "notrun": "skipped"}
NOT_THERE = "Unable to find executable"
TOLD = ("Exit Code", "Completion Status", "Fail Reason", "Pass Reason")


def parse(stream: BinaryIO, *, limits: Limits = DEFAULT_LIMITS) -> Iterator[TestSeen]:
    return xml_stream.read(stream, lambda: _Target(limits))


class _Target(Records):
    def __init__(self, limits: Limits) -> None:
        super().__init__(limits, TEXTS)
        self._forget()

    def _forget(self) -> None:
        self.name = ""
        self.measured: dict[str, str] = {}
        self.words = Words(self.limits)

    def opened(self, element: Element) -> None:
        if element.name == "Test":
            self._forget()

    def closed(self, element: Element) -> None:
        if element.name == "Name" and self.parent == "Test":
            self.name = element.text.strip()
        elif element.name == "Value" and element.said is not None:
            self._take_value(self.elements[-1] if self.elements else element, element)
        # The list at the beginning of the file has elements of this name, too.
        elif element.name == "Test" and "Status" in element.attributes:
            self._close_test(element.attributes["Status"])

    def _take_value(self, around: Element, value: Element) -> None:
        if around.name == "NamedMeasurement":
            name = around.attributes.get("name", "")
            if name in TOLD or name == "Execution Time":
                self.measured[name] = value.text.strip()
        elif around.name == "Measurement" and value.said is not None:
            is_packed = value.attributes.get("encoding") == "base64"
            text = unpacked(value.said, self.limits.text_chars) if is_packed else value.text
            self.words.add("output", text)

    def _close_test(self, status: str) -> None:
        result = result_in(RESULTS, status, self.limits)
        if result == "skipped" and self.measured.get("Completion Status") == NOT_THERE:
            # CTest fails because of it.
            result = "failed"
        duration_ms = parse_duration_ms(self.measured.get("Execution Time"))
        if result != "passed":
            told = [f"{name}: {self.measured[name]}" for name in TOLD if self.measured.get(name)]
            self.words.add("ctest", "\n".join(told))
        self.found("", self.name or "(unnamed)", Outcome(result, duration_ms, self.words.text()))


def unpacked(said: Excerpt, limit_chars: int) -> str:
    """The beginning of what was compressed, never more than wanted of it."""
    packed = said.head if said.cut_chars else said.text()
    packed = "".join(packed.split())
    try:
        data = base64.b64decode(packed[: len(packed) // 4 * 4], validate=True)
        unpacking = zlib.decompressobj()
        text = unpacking.decompress(data, limit_chars)
    except (binascii.Error, zlib.error, ValueError):
        return "(the output cannot be unpacked)"
    is_whole = not (said.cut_chars or unpacking.unconsumed_tail)
    return text.decode(errors="replace") + ("" if is_whole else "\n -- CONTENT TRUNCATED --")
