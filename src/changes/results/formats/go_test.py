"""What `go test -json` prints, also by way of gotestsum: one event in each line. Pure."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import BinaryIO

import msgspec

from changes.results.formats.excerpt import Excerpt, clip_name
from changes.results.formats.lines import lines_of
from changes.results.formats.seen import (
    DEFAULT_LIMITS,
    Limits,
    Malformed,
    Outcome,
    Refused,
    Result,
    TestSeen,
    milliseconds,
    storable,
    test_of,
)
from changes.results.formats.words import under_heading

LINE_MAX_BYTES = 1024 * 1024
RESULTS: Mapping[str, Result] = {"pass": "passed", "bench": "passed", "fail": "failed", "skip": "skipped"}
# What a package that failed without a test of it is called; gotestsum does the same.
WITHOUT_TEST = "TestMain"
CEREMONY = re.compile(r"\s*=== (RUN|PAUSE|CONT|NAME) ")
# Before version 1.24 this came between the events.
NOT_BUILT = re.compile(r"FAIL\t(\S{1,1000}) \[(build|setup) failed\]")


class Event(msgspec.Struct, rename="pascal"):
    action: str = ""
    package: str = ""
    import_path: str = ""
    test: str = ""
    elapsed: float | None = None
    output: str = ""
    failed_build: str = ""


EVENT = msgspec.json.Decoder(Event)


def parse(stream: BinaryIO, *, limits: Limits = DEFAULT_LIMITS) -> Iterator[TestSeen]:
    """Each test when it ends; Malformed comes after those before the fault."""
    reader = _Reader(limits)
    number = 0
    try:
        for line in lines_of(stream, LINE_MAX_BYTES):
            number = line.number
            if line.data.startswith(b"{"):
                reader.hear(event_in(line.data, is_whole=line.is_whole))
            elif match := NOT_BUILT.fullmatch(line.text):
                reader.fail_package(match[1], line.text)
            # Anything else is what a command beside it has printed.
            yield from reader.take()
        reader.end()
    except Refused as refusal:
        raise Malformed(str(refusal), max(number, 1)) from None


def event_in(data: bytes, *, is_whole: bool) -> Event:
    if not is_whole:
        raise Refused(f"a line is longer than {LINE_MAX_BYTES // 1024} KiB")
    try:
        return EVENT.decode(data)
    except (msgspec.DecodeError, RecursionError) as error:
        raise Refused(f"it is no event of `go test -json`: {error}") from None
    except UnicodeDecodeError:
        raise Refused("it is no UTF-8") from None


@dataclass(slots=True)
class _Running:
    said: Excerpt
    chars: int = 0


@dataclass(slots=True)
class _Package:
    said: Excerpt
    running: dict[str, _Running] = field(default_factory=dict)
    # Those of this run of the package, and those of runs before it.
    failed: set[str] = field(default_factory=set)
    failed_before: set[str] = field(default_factory=set)


@dataclass(slots=True)
class _Reader:
    limits: Limits
    finished: list[TestSeen] = field(default_factory=list)
    packages: dict[str, _Package] = field(default_factory=dict)
    builds: dict[str, Excerpt] = field(default_factory=dict)
    names: int = 0
    # Of all that runs at this moment.
    chars: int = 0

    def take(self) -> list[TestSeen]:
        taken, self.finished = self.finished, []
        return taken

    def hear(self, event: Event) -> None:
        if event.action == "build-output":
            self._excerpt_of_build(event.import_path).add(storable(event.output))
        elif not event.package:
            return
        elif event.test:
            self._hear_test(self._package(event.package), event)
        elif event.action == "output":
            self._package(event.package).said.add(storable(event.output))
        elif event.action in RESULTS:
            self._end_package(event)

    def end(self) -> None:
        running = [name for package in self.packages.values() for name in package.running]
        if running:
            name = clip_name(storable(running[0]), 200)
            raise Refused(f"it ends while {name} is still running, so the rest is missing")
        if not self.packages:
            raise Refused("there is no event of a package in it")

    def fail_package(self, name: str, said: str) -> None:
        """It could not be built, or failed outside of any test."""
        self._package(name)
        outcome = Outcome("failed", message=under_heading("output", said.strip("\n")))
        self.finished.append(test_of(name, WITHOUT_TEST, outcome, self.limits))

    def _hear_test(self, package: _Package, event: Event) -> None:
        if event.action == "run":
            self._run(package, event.test)
        elif event.action == "output":
            self._note(self._run(package, event.test), event.output)
        elif event.action in RESULTS:
            self._end_test(package, event)

    def _run(self, package: _Package, test: str) -> _Running:
        running = package.running.get(test)
        if running is None:
            self._count_name()
            running = package.running[test] = _Running(Excerpt(self.limits.text_chars))
        return running

    def _note(self, running: _Running, text: str) -> None:
        # Any number of tests may run at once, and none of them ever end.
        if CEREMONY.match(text) or self.chars > self.limits.all_text_chars:
            return
        running.said.add(storable(text))
        running.chars += len(text)
        self.chars += len(text)

    def _end_test(self, package: _Package, event: Event) -> None:
        running = package.running.pop(event.test, None)
        said = ""
        if running is not None:
            self.chars -= running.chars
            said = running.said.text()
        result = RESULTS[event.action]
        if result == "failed":
            package.failed.add(event.test)
        outcome = Outcome(
            result,
            milliseconds(event.elapsed),
            "" if result == "passed" else under_heading("output", said.strip("\n")),
            is_repeat=event.test in package.failed_before,
        )
        self.finished.append(test_of(event.package, event.test, outcome, self.limits))

    def _end_package(self, event: Event) -> None:
        package = self._package(event.package)
        has_failed = event.action == "fail"
        for name in list(package.running):
            # It panicked or was stopped, and the tests that ran did not end.
            ending = Event(action="fail" if has_failed else "skip", package=event.package, test=name)
            self._end_test(package, ending)
        if has_failed and not package.failed:
            build = self.builds.get(event.failed_build)
            self.fail_package(event.package, (build or package.said).text())
        package.failed_before |= package.failed
        package.failed = set()

    def _package(self, name: str) -> _Package:
        package = self.packages.get(name)
        if package is None:
            self._count_name()
            package = self.packages[name] = _Package(Excerpt(self.limits.text_chars))
        return package

    def _excerpt_of_build(self, name: str) -> Excerpt:
        if name not in self.builds:
            self._count_name()
            self.builds[name] = Excerpt(self.limits.text_chars)
        return self.builds[name]

    def _count_name(self) -> None:
        self.names += 1
        if self.names > self.limits.tests:
            raise Refused(f"the file has more than {self.limits.tests} tests")
