"""Reading a report of the corpus, and what of it tests compare."""

import io
from pathlib import Path

from changes.results.formats import detect
from changes.results.formats.seen import Limits, Malformed, TestSeen, merge_duplicates

CORPUS = Path(__file__).parent / "corpus"
LIMITS = Limits()
Outline = list[tuple[str, str, int | None]]


def read(data: bytes, name: str = "", *, limits: Limits = LIMITS) -> list[TestSeen]:
    return merge_duplicates(detect.parse(io.BytesIO(data), name, limits=limits))


def of_corpus(name: str) -> list[TestSeen]:
    return read((CORPUS / name).read_bytes(), name)


def outline(tests: list[TestSeen]) -> Outline:
    return [(test.name, test.result, test.duration_ms) for test in tests]


def results(tests: list[TestSeen]) -> dict[str, str]:
    return {test.name: test.result for test in tests}


def until_fault(data: bytes, name: str = "") -> tuple[list[TestSeen], Malformed | None]:
    tests: list[TestSeen] = []
    try:
        for test in detect.parse(io.BytesIO(data), name):
            tests.append(test)  # noqa: PERF402 - what came before the fault counts
    except Malformed as fault:
        return tests, fault
    return tests, None
