"""Reads a report of a gigabyte that is nowhere whole, and prints by how much the process grew.

python endless.py junit|files|nunit|xunit|trx|ctest|robot|tap|go
"""

import io
import json
import resource
import sys
from collections.abc import Iterator
from itertools import islice

from changes.results.formats import ctest, go_test, junit, nunit, robot, tap, trx, xunit_net
from changes.results.formats.seen import Limits, TextBudget, merge_duplicates

TESTS = 2000
LINES = 8192
LINE = "x" * 63
# As much as the readers of XML ask for.
LINES_READ_AT_ONCE = 1024
FORMATS = {
    "junit": junit,
    "files": junit,
    "nunit": nunit,
    "xunit": xunit_net,
    "trx": trx,
    "ctest": ctest,
    "robot": robot,
    "tap": tap,
    "go": go_test,
}


def xml_of(kind: str) -> Iterator[str]:
    root, opening, closing = {
        "junit": ("testsuite", '<testcase name="t{}"><failure>', "</failure></testcase>"),
        "nunit": (
            "test-run",
            '<test-case fullname="t{}" result="Failed"><output>',
            "</output></test-case>",
        ),
        "robot": ("robot", '<test name="t{}"><status status="FAIL">', "</status></test>"),
        "xunit": (
            "assembly",
            '<test name="t{}" type="c" result="Fail"><output>',
            "</output></test>",
        ),
        "trx": (
            "TestRun",
            '<UnitTestResult testName="t{}" outcome="Failed"><Output><StdOut>',
            "</StdOut></Output></UnitTestResult>",
        ),
        "ctest": (
            "Site",
            '<Test Status="failed"><Name>t{}</Name><Results><Measurement><Value>',
            "</Value></Measurement></Results></Test>",
        ),
        # Files that stand in the report itself.
        "files": (
            "testsuite",
            '<testcase name="t{}"><test-artifacts><artifact name="a" base64="',
            '"/></test-artifacts></testcase>',
        ),
    }[kind]
    yield f"<{root}>\n"
    for number in range(TESTS):
        yield opening.format(number)
        yield from said()
        yield f"{closing}\n"
    yield f"</{root}>\n"


def tap_lines() -> Iterator[str]:
    for number in range(TESTS):
        yield f"not ok {number + 1} - t{number}\n"
        for line in said():
            yield f"# {line}"
    yield f"1..{TESTS}\n"


def go_lines() -> Iterator[str]:
    for number in range(TESTS):
        common = {"Package": "p", "Test": f"T{number}"}
        line = json.dumps({**common, "Action": "output", "Output": f"{LINE}\n"})
        yield json.dumps({**common, "Action": "run"}) + "\n"
        for _ in range(LINES):
            yield f"{line}\n"
        yield json.dumps({**common, "Action": "fail"}) + "\n"


def said() -> Iterator[str]:
    for _ in range(LINES):
        yield f"{LINE}\n"


class Endless(io.BytesIO):
    """Hands out a line at a time, made when it is asked for."""

    def __init__(self, lines: Iterator[str]) -> None:
        super().__init__()
        self.lines = lines
        self.size_bytes = 0

    def readline(self, _size: int | None = -1, /) -> bytes:
        line = next(self.lines, "").encode()
        self.size_bytes += len(line)
        return line

    def read(self, _size: int | None = -1, /) -> bytes:
        part = "".join(islice(self.lines, LINES_READ_AT_ONCE)).encode()
        self.size_bytes += len(part)
        return part


def peak_kb() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def main(kind: str) -> None:
    limits = Limits()
    stream = Endless({"tap": tap_lines, "go": go_lines}.get(kind, lambda: xml_of(kind))())
    budget = TextBudget(limits)
    before_kb = peak_kb()
    # The files of a test go into the store before the next test is read.
    read = (test._replace(files=()) for test in FORMATS[kind].parse(stream, limits=limits))
    found = merge_duplicates(budget.cut(test) for test in read)
    grown = {"tests": len(found), "size_bytes": stream.size_bytes, "grown_kb": peak_kb() - before_kb}
    sys.stdout.write(json.dumps(grown))


if __name__ == "__main__":
    main(sys.argv[1])
