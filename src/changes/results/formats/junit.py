"""JUnit XML, as Changes always read it and as today's test runners write it. Pure: bytes in, values out.

The file is other people's: everything kept of it is clipped, and how it is read is in xml_stream.py.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import BinaryIO

from changes.results.formats import xml_stream
from changes.results.formats.excerpt import Excerpt, clip_name, excerpt
from changes.results.formats.seen import (
    DEFAULT_LIMITS,
    QUARANTINED,
    FileSeen,
    Limits,
    Malformed,
    Refused,
    Result,
    TestSeen,
    merge_duplicates,
    package_of,
    parse_duration_ms,
    separator,
    whole_number,
)
from changes.results.formats.words import Part, joined
from changes.results.formats.xml_stream import Gathering, local_name

__all__ = [
    "Limits",
    "Malformed",
    "Result",
    "TestSeen",
    "merge_duplicates",
    "package_of",
    "parse",
    "parse_duration_ms",
]

FAILING_TAGS = frozenset({"failure", "error"})
DECIDING_TAGS = FAILING_TAGS | {"skipped"}
# These describe a test; nobody printed them.
SILENT_TAGS = frozenset({"properties", "test-artifacts"})
# What a test says of files that it left, to be read by test_files.py like what others print.
FILE_PROPERTIES = frozenset({"attachment", "testattachment", "screenshot", "video", "trace"})
# Surefire notes with these the runs of a test before the one that counted.
RERUN_TAGS = frozenset({"flakyFailure", "flakyError", "rerunFailure", "rerunError"})
# googletest has no element for a disabled test, only this word.
SKIPPING_STATUSES = frozenset({"notrun", "disabled", "skipped"})
# CTest says so of a test that it skipped because it is not there, and counts it as failed itself.
NOT_THERE = "Unable to find executable"
BITTEN_ROOT = "unittest-results"

# Of a case that has no other attribute nothing else is to be looked at.
PLAIN_ATTRIBUTES = frozenset({"classname", "name", "time"})

# A runner that repeats a test writes an entry for each run. Which entries before it make one a
# repetition: pytest leaves those that it ran again empty, as if passed; Go runs again what failed.
REPEATS_IN_PYTEST: frozenset[Result] = frozenset({"passed"})
REPEATS_IN_GO: frozenset[Result] = frozenset({"failed"})
NO_REPEATS: frozenset[Result] = frozenset()


def parse(stream: BinaryIO, *, limits: Limits = DEFAULT_LIMITS) -> Iterator[TestSeen]:
    """Every test case in the order of the file; Malformed comes after those before the fault."""
    return xml_stream.read(stream, lambda: _Target(limits))


class _Target(Gathering):
    """Hears each element of a file that may have millions: what most of them need is done first."""

    def __init__(self, limits: Limits) -> None:
        super().__init__()
        self.limits = limits
        self.tests_seen = 0
        self.saw_root = False
        # Attributes of cases that have ended and that nothing was in: most of all, put into words together,
        # as a call for each costs more than the words.
        self.plain: list[Mapping[str, str]] = []
        self.suites: list[str] = []
        # The attributes of the case that is open, and what is in it, once there is something.
        self.attributes: Mapping[str, str] | None = None
        self.case: _Case | None = None
        self.is_case_of_suite = False
        self.depth_in_case = 0
        self.listening: Excerpt | None = None
        self.repeats_after = NO_REPEATS
        self.earlier: dict[str, Result] = {}

    def start(self, tag: str, attributes: Mapping[str, str]) -> None:
        if self.attributes is not None:
            self.depth_in_case += 1
            if self.depth_in_case == 1:
                self._open_part(local_name(tag), attributes)
            elif self.case is not None:
                self.case.note(local_name(tag), attributes)
        elif tag == "testcase" and self.saw_root:
            self._open_case(attributes)
        else:
            self._open_other(local_name(tag), attributes)

    def data(self, text: str) -> None:
        if self.listening is not None:
            self.listening.add(text)

    def end(self, tag: str) -> None:
        if self.depth_in_case:
            self.depth_in_case -= 1
            if not self.depth_in_case:
                self.listening = None
                if self.is_case_of_suite:
                    self._close_case()
        elif self.attributes is not None:
            if self.case is None:
                self.plain.append(self.attributes)
                self.attributes = None
            else:
                self._close_case()
        elif self.suites and local_name(tag) == "testsuite":
            self.suites.pop()

    def _open_other(self, name: str, attributes: Mapping[str, str]) -> None:
        if not self.saw_root:
            self.saw_root = True
            _refuse_foreign_root(name)
        if name == "testcase":
            self._open_case(attributes)
        elif name == "testsuite":
            self._open_suite(attributes)
        elif name == "property" and attributes.get("name") == "go.version":
            self._finish_plain()
            self.repeats_after = REPEATS_IN_GO
        elif name in FAILING_TAGS and self.suites:
            self._open_case_of_suite(name, attributes)

    def _open_suite(self, attributes: Mapping[str, str]) -> None:
        self._finish_plain()
        name = attributes.get("name", "")
        self.suites.append(clip_name(name, self.limits.name_chars))
        self.repeats_after = REPEATS_IN_PYTEST if name == "pytest" else NO_REPEATS
        self.earlier = {}

    def _open_case(self, attributes: Mapping[str, str]) -> None:
        self.tests_seen += 1
        name = attributes.get("name")
        if not name:
            # googletest reports so what failed outside of any test.
            name = attributes.get("classname") or (self.suites[-1] if self.suites else "")
            if "name" not in attributes or not name:
                raise Refused("a testcase has no name")
            attributes = {**attributes, "name": name, "classname": ""}
        if self.tests_seen > self.limits.tests:
            raise Refused(f"the file has more than {self.limits.tests} tests")
        self.attributes = attributes

    def _open_case_of_suite(self, tag: str, attributes: Mapping[str, str]) -> None:
        """What a suite says of itself: it did not load, or could not be torn down."""
        self._open_case({"name": self.suites[-1]})
        self.is_case_of_suite, self.depth_in_case = True, 1
        self._open_part(tag, attributes)

    def _open_part(self, tag: str, attributes: Mapping[str, str]) -> None:
        if self.case is None:
            self.case = _Case(self.attributes or {}, self.limits)
        self.listening = self.case.open_part(tag, attributes)

    def take(self) -> list[TestSeen]:
        self._finish_plain()
        return super().take()

    def _close_case(self) -> None:
        self._finish_plain()
        if self.case is not None:
            self._finish([self.case.close()])
        self.attributes, self.case, self.is_case_of_suite = None, None, False

    def _finish_plain(self) -> None:
        if self.plain:
            plain, self.plain = self.plain, []
            self._finish(self._in_words(plain))

    def _finish(self, tests: list[TestSeen]) -> None:
        if self.repeats_after:
            for place, test in enumerate(tests):
                if self.earlier.get(test.name) in self.repeats_after:
                    tests[place] = test._replace(is_repeat=True)
                self.earlier[test.name] = test.result
        self.finished += tests

    def _in_words(self, plain: Iterable[Mapping[str, str]]) -> list[TestSeen]:
        """Those of a class come together, so what begins their names is put together once."""
        limit_chars, found = self.limits.name_chars, []
        package: str | None = None
        prefix = ""
        for attributes in plain:
            name = attributes["name"]
            if attributes.get("classname") != package:
                package = attributes.get("classname")
                prefix = f"{package}{separator(package)}" if package and len(package) <= limit_chars else ""
            is_usual = prefix and name != package and len(name) <= limit_chars
            if is_usual and package and PLAIN_ATTRIBUTES.issuperset(attributes):
                duration_ms = parse_duration_ms(attributes.get("time"))
                found.append(TestSeen(prefix + name, package, "passed", duration_ms))
            else:
                found.append(_Case(attributes, self.limits).close())
        return found


class _Case:
    """A test case between its start and its end."""

    def __init__(self, attributes: Mapping[str, str], limits: Limits) -> None:
        self.attributes = attributes
        self.limits = limits
        self.tags: set[str] = set()
        self.reruns = 0
        self.parts: list[Part] = []
        self.parts_left_out = 0
        self.attached: list[str] = []
        self.files: list[FileSeen] = []
        self.files_chars = 0
        self.files_left_out = 0

    def open_part(self, tag: str, attributes: Mapping[str, str]) -> Excerpt | None:
        """Where the text of this element goes, if it is wanted."""
        self.reruns += tag in RERUN_TAGS
        headline = attributes.get("message") or attributes.get("type") or ""
        if tag in DECIDING_TAGS:
            is_not_there = tag == "skipped" and headline == NOT_THERE
            self.tags.add("failure" if is_not_there else tag)
            # Node runs what is still to be done, and does not mind that it fails.
            if tag == "skipped" and attributes.get("type") == "todo":
                self.tags.add("todo")
        if tag in SILENT_TAGS:
            return None
        if len(self.parts) >= self.limits.parts:
            self.parts_left_out += 1
            return None
        part = Part(tag, excerpt(headline, self.limits.text_chars), Excerpt(self.limits.text_chars))
        self.parts.append(part)
        return part.excerpt

    def note(self, tag: str, attributes: Mapping[str, str]) -> None:
        """What stands within a part of the case."""
        if tag == "property":
            self.note_property(attributes)
        elif tag == "artifact" and "base64" in attributes:
            self.note_file(attributes)

    def note_file(self, attributes: Mapping[str, str]) -> None:
        encoded = attributes["base64"]
        is_too_much = self.files_chars + len(encoded) > self.limits.file_chars
        if is_too_much or len(self.files) >= self.limits.parts:
            self.files_left_out += 1
            return
        self.files_chars += len(encoded)
        name = clip_name(attributes.get("name", ""), self.limits.name_chars)
        self.files.append(FileSeen(name, attributes.get("type", "").lower()[:16], encoded))

    def note_property(self, attributes: Mapping[str, str]) -> None:
        is_file = attributes.get("name", "").lower() in FILE_PROPERTIES
        if is_file and attributes.get("value") and len(self.attached) < self.limits.parts:
            self.attached.append(clip_name(attributes["value"], self.limits.name_chars))

    def close(self) -> TestSeen:
        attributes = self.attributes
        package, name = _names(attributes, self.limits.name_chars)
        owner, file = attributes.get("owner"), attributes.get("file")
        reruns = whole_number(attributes["rerun"]) or 0 if "rerun" in attributes else 0
        return TestSeen(
            name=name,
            package=package,
            result=self._result(),
            duration_ms=parse_duration_ms(attributes.get("time")),
            message=self._message(),
            reruns=max(self.reruns, reruns),
            owner=clip_name(owner, self.limits.name_chars) if owner else None,
            file=clip_name(file, self.limits.name_chars) if file else None,
            line=whole_number(attributes.get("line")),
            files=tuple(self.files),
        )

    def _result(self) -> Result:
        """A failure anywhere in the case counts, also behind output or a skip."""
        result: Result = "passed"
        if self.tags:
            result = "failed" if self.tags & FAILING_TAGS and "todo" not in self.tags else "skipped"
        elif "status" in self.attributes and self.attributes["status"].lower() in SKIPPING_STATUSES:
            result = "skipped"
        return QUARANTINED[result] if self.attributes.get("quarantined") else result

    def _message(self) -> str:
        last_failure = self.attributes.get("last_failure_output")
        if not self.parts and not last_failure and not self.attached and not self.files_left_out:
            return ""
        pieces = [excerpt(last_failure or "", self.limits.text_chars)]
        pieces += [part.text(self.limits.text_chars) for part in self.parts]
        pieces += [f"[[ATTACHMENT|{path}]]" for path in self.attached]
        if self.files_left_out:
            pieces.append(f"({self.files_left_out} of its files are too many or too large, and left out)")
        return joined(pieces, self.parts_left_out)


def _refuse_foreign_root(name: str) -> None:
    if name == BITTEN_ROOT:
        raise Refused("this is a Bitten report; write JUnit XML instead")


def _names(attributes: Mapping[str, str], limit_chars: int) -> tuple[str, str]:
    """The package and the full name."""
    name = attributes["name"]
    package = attributes.get("classname")
    if package is None:
        # PHPUnit before 6 knew no other.
        package = attributes.get("class", "").replace("\\", ".")
    if len(name) > limit_chars or len(package) > limit_chars:
        name, package = clip_name(name, limit_chars), clip_name(package, limit_chars)
    # CTest and Jest know no classes, and write the name twice.
    if package and package != name:
        return package, f"{package}{separator(package)}{name}"
    return ("" if package else package_of(name)), name
