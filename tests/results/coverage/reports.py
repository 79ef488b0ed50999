"""Reading a report of the corpus, and what of it tests compare."""

import io
from pathlib import Path

from changes.results.formats import coverage_reports
from changes.results.formats.line_marks import DEFAULT_LIMITS, CoverageLimits, FileSeen, Marks
from changes.results.formats.seen import Malformed

CORPUS = Path(__file__).parent / "corpus"


def read(data: bytes, *, limits: CoverageLimits = DEFAULT_LIMITS) -> list[FileSeen]:
    return list(coverage_reports.parse(io.BytesIO(data), limits=limits))


def of_corpus(name: str) -> dict[str, Marks]:
    return {seen.name: seen.marks for seen in read((CORPUS / name).read_bytes())}


def codes(found: dict[str, Marks]) -> dict[str, str]:
    """Of files that have any line."""
    return {name: marks.codes() for name, marks in found.items() if marks.executable}


def until_fault(data: bytes) -> tuple[list[FileSeen], Malformed | None]:
    files: list[FileSeen] = []
    try:
        for seen in coverage_reports.parse(io.BytesIO(data)):
            files.append(seen)  # noqa: PERF402 - what came before the fault counts
    except Malformed as fault:
        return files, fault
    return files, None


def marked(codes: str) -> Marks:
    """`P` is a line that ran only partly."""
    executable = covered = partial = 0
    for place, code in enumerate(codes):
        executable |= (code != "N") << place
        covered |= (code == "C") << place
        partial |= (code == "P") << place
    return Marks(executable, covered, partial)


def cobertura(files: dict[str, str], *, source: str = "") -> bytes:
    """A report that says this of each file."""
    lines = {"U": 'hits="0"', "C": 'hits="3"', "P": 'hits="1" branch="true" condition-coverage="50% (1/2)"'}
    classes = "".join(
        f'<class name="c" filename="{name}"><methods/><lines>'
        + "".join(
            f'<line number="{number}" {lines[code]}/>\n'
            for number, code in enumerate(codes, start=1)
            if code != "N"
        )
        + "</lines></class>\n"
        for name, codes in files.items()
    )
    sources = f"<sources><source>{source}</source></sources>" if source else ""
    return f'<?xml version="1.0"?>\n<coverage>{sources}<classes>\n{classes}</classes></coverage>'.encode()
