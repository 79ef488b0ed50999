"""Which of the files of a step belong to one of its tests: screenshots, videos, traces. Pure.

Nobody writes it down in one way, so several are known: what the test's own words name as its attachment
(`[[ATTACHMENT|path]]`, as Jenkins and many runners print it), the folder that Playwright makes for each test
(`test-results/<slug>/`), and files that are called as the test is. What stood in the report itself lies in
a folder that says to which test it belongs (report_files.py).
"""

import hashlib
import re
from collections.abc import Iterable, Sequence
from typing import Protocol, TypeVar

ATTACHMENT = re.compile(r"\[\[ATTACHMENT\|([^\]\n]{1,1024})\]\]")
NOT_IN_SLUG = re.compile("[^a-z0-9]+")
# Shorter names are in too many others to mean this test.
NAME_MIN_CHARS = 6
# Playwright cuts long slugs, and puts a digest into the middle.
SLUG_MAX_CHARS = 100
RESULTS_FOLDER = "test-results"
FILES_MAX = 50
# Of files that a report brought with it.
FROM_REPORTS = "files-of-tests"
SLUG_SHOWN_CHARS = 60
FROM_REPORT = re.compile(rf"{FROM_REPORTS}/[a-z0-9-]*[0-9a-f]{{12}}/[^/]+")


class Named(Protocol):
    @property
    def name(self) -> str: ...


File = TypeVar("File", bound=Named)


def of_test(test: str, message: str, files: Sequence[File]) -> list[File]:
    """In their own order; those that belong to it in any of the ways."""
    named = attached(message)
    wanted, folder = slugs(test), f"{folder_of(test)}/"
    return [
        each
        for each in files
        if each.name.startswith(folder)
        or (not is_from_report(each.name) and (is_attached(each.name, named) or is_called(each.name, wanted)))
    ][:FILES_MAX]


def folder_of(test: str) -> str:
    """Where the files lie that a report has of this test: to be read by people, and of no other test."""
    digest = hashlib.sha1(test.encode(), usedforsecurity=False).hexdigest()[:12]
    return f"{FROM_REPORTS}/{slug(test)[-SLUG_SHOWN_CHARS:].strip('-')}-{digest}"


def is_from_report(name: str) -> bool:
    return FROM_REPORT.fullmatch(name) is not None


def attached(message: str) -> list[str]:
    return [found.strip().replace("\\", "/") for found in ATTACHMENT.findall(message)]


def is_attached(name: str, named: Iterable[str]) -> bool:
    """The path in the report may begin above the folder in which the files were looked for."""
    return any(path == name or path.endswith(f"/{name}") for path in named)


def slugs(test: str) -> set[str]:
    """All of the name, and its last part, as they would stand in the name of a file."""
    last = re.split(r"::|[./#> ]", test.rstrip(")]"))[-1]
    found = {slug(test), slug(last), slug(test.replace("::", "-"))}
    return {each[:SLUG_MAX_CHARS] for each in found if len(each) >= NAME_MIN_CHARS}


def slug(text: str) -> str:
    return NOT_IN_SLUG.sub("-", text.lower()).strip("-")


def is_called(name: str, wanted: set[str]) -> bool:
    *folders, base = name.split("/")
    stem = slug(base.rpartition(".")[0] or base)
    if RESULTS_FOLDER in folders[:-1]:
        # Each folder below is that of one test.
        folder = slug(folders[folders.index(RESULTS_FOLDER) + 1])
        return any(
            each == folder or folder.startswith(f"{each}-") or folder.endswith(f"-{each}") for each in wanted
        )
    of_folder = {slug(folder) for folder in folders}
    return any(each in of_folder or stem == each or stem.startswith(f"{each}-") for each in wanted)
