"""Robot Framework's `output.xml`, of versions 4 to 7. Pure."""

import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from html import unescape
from typing import BinaryIO

from changes.results.formats import xml_stream
from changes.results.formats.excerpt import clip_name
from changes.results.formats.seen import (
    DEFAULT_LIMITS,
    Limits,
    Outcome,
    Refused,
    Result,
    TestSeen,
    milliseconds,
    parse_duration_ms,
)
from changes.results.formats.words import Words
from changes.results.formats.xml_records import Element, Records, result_in

ROOTS = frozenset({"robot"})
TEXTS = ("status",)
RESULTS: Mapping[str, Result] = {
    "PASS": "passed",
    "FAIL": "failed",
    "SKIP": "skipped",
    "NOT RUN": "skipped",
}
TIME = "%Y%m%d %H:%M:%S.%f"
# Its tests have passed in the file; Robot counts them as failed when it reads it again.
TEARDOWN_FAILED = "Suite teardown failed:"
# `rebot --merge` writes so above what a test said in both runs, and what names each of the two.
MERGED = "re-executed and results merged"
OLD_STATUS, NEW_MESSAGE, OLD_MESSAGE = "Old status:", "New message:", "Old message:"
HTML = "*HTML*"
LINE_ENDS = re.compile(r"<(?:br|hr|/p|/div|/li|/tr)\b[^<>]{0,200}>")
TAGS = re.compile(r"</?[A-Za-z][^<>]{0,500}>")


def parse(stream: BinaryIO, *, limits: Limits = DEFAULT_LIMITS) -> Iterator[TestSeen]:
    return xml_stream.read(stream, lambda: _Target(limits))


class _Target(Records):
    def __init__(self, limits: Limits) -> None:
        super().__init__(limits, TEXTS)
        self.suites: list[str] = []
        self.status: Element | None = None

    def opened(self, element: Element) -> None:
        if element.name == "suite":
            self.suites.append(clip_name(element.attributes.get("name", ""), self.limits.name_chars))
        elif element.name == "test":
            self.status = None

    def closed(self, element: Element) -> None:
        if element.name == "status" and self.parent == "test":
            self.status = element
        elif element.name == "test":
            self._close_test(element)
        elif element.name == "status" and self.parent == "suite":
            self._close_status_of_suite(element)
        elif element.name == "suite":
            self.suites.pop()

    def _close_test(self, test: Element) -> None:
        if self.status is None:
            raise Refused("a test has no status")
        result = result_in(RESULTS, self.status.attributes.get("status", ""), self.limits)
        text = self.status.text
        outcome = Outcome(result, took_ms(self.status.attributes), self._words(text), int(MERGED in text))
        self.found(".".join(self.suites), self.named(test, "name"), outcome)

    def _close_status_of_suite(self, status: Element) -> None:
        text = status.text
        if text.startswith(TEARDOWN_FAILED):
            self.found("", ".".join(self.suites), Outcome("failed", message=self._words(text)))

    def _words(self, text: str) -> str:
        words, said = Words(self.limits), plain(text)
        if MERGED in said:
            new, _, old = said.partition(OLD_STATUS)
            words.add("message", new.partition(NEW_MESSAGE)[2].strip())
            words.add("message of the run before", old.partition(OLD_MESSAGE)[2].strip())
        else:
            words.add("message", said)
        return words.text()


def plain(text: str) -> str:
    """What is said in HTML, in letters only."""
    if not text.startswith(HTML):
        return text
    lines = LINE_ENDS.sub("\n", text.removeprefix(HTML))
    return unescape(TAGS.sub("", lines)).strip()


def took_ms(status: Mapping[str, str]) -> int | None:
    """Version 7 says how long, those before it from when to when."""
    if "elapsed" in status:
        return parse_duration_ms(status["elapsed"])
    try:
        began, ended = (datetime.strptime(status[name], TIME) for name in ("starttime", "endtime"))  # noqa: DTZ007 - only their difference counts
    except (KeyError, ValueError):
        return None
    return milliseconds((ended - began).total_seconds())
