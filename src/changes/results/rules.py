"""Which files of a step we read, decided by name alone."""

import re
from collections.abc import Collection, Mapping
from enum import Enum, auto
from fnmatch import fnmatchcase, translate
from functools import lru_cache
from pathlib import PurePosixPath
from typing import Any

from changes.builds import bazel

JUNIT_PATTERNS = (
    "xunit.xml",
    "junit.xml",
    "nosetests.xml",
    "*.xunit.xml",
    "*.junit.xml",
    "*.nosetests.xml",
)
REPORT_PATTERNS = (
    *JUNIT_PATTERNS,
    # Of Surefire and Gradle.
    "TEST-*.xml",
    "nunit.xml",
    "*.nunit.xml",
    "*.trx",
    "*.tap",
    "gotest.json",
    "*.gotest.json",
)
# Others use these names for other things, too, so only what such a file begins with makes it a report:
# of NUnit, CTest, Robot Framework, the review queue and `go test`.
DOUBTFUL_PATTERNS = (
    "TestResult.xml",
    "Test.xml",
    "output.xml",
    "results.json",
    "test-results.xml",
    "test-results.json",
)
COVERAGE_PATTERNS = (
    # Of Cobertura, JaCoCo or Clover, as its first element says.
    "coverage.xml",
    "*.coverage.xml",
    "cobertura.xml",
    "*.cobertura.xml",
    "cobertura-coverage.xml",
    "jacoco.xml",
    "*.jacoco.xml",
    "jacocoTestReport.xml",
    "clover.xml",
    "*.clover.xml",
    "lcov.info",
    "*.lcov",
    "*.lcov.info",
    "*.coverprofile",
)
# Names that other files have as well: passed over when they do not begin like such a report.
DOUBTFUL_COVERAGE_PATTERNS = (
    "coverage.json",
    "*.coverage.json",
    "coverage.info",
    "cover.out",
    "*.cover.out",
    "coverage.out",
    "coverage.txt",
    "c.out",
)
ANALYTICS_PATTERNS = ("CHANGES_ANALYTICS.json", "*.CHANGES_ANALYTICS.json")
MANIFEST_FILE = "manifest.json"
ATTEMPTS_FOLDER = "test_attempts"


class Kind(Enum):
    REPORT = auto()
    # Passed over when it does not begin like a report.
    DOUBTFUL_REPORT = auto()
    COVERAGE = auto()
    DOUBTFUL_COVERAGE = auto()
    MANIFEST = auto()
    ANALYTICS = auto()


OTHER_KINDS = {
    Kind.DOUBTFUL_REPORT: DOUBTFUL_PATTERNS,
    Kind.COVERAGE: COVERAGE_PATTERNS,
    Kind.DOUBTFUL_COVERAGE: DOUBTFUL_COVERAGE_PATTERNS,
    Kind.ANALYTICS: ANALYTICS_PATTERNS,
}


def is_junit(path: str) -> bool:
    return is_any(path, JUNIT_PATTERNS)


def is_coverage(path: str) -> bool:
    """Also by a name that other files have too."""
    return is_any(path, (*COVERAGE_PATTERNS, *DOUBTFUL_COVERAGE_PATTERNS))


def kind_of(path: str, of_step: Mapping[str, Any]) -> Kind | None:
    """Of a step that ran targets of Bazel, its results are reports too, whatever they are called."""
    if is_any(path, REPORT_PATTERNS) or is_any(path, of_step.get("reports") or ()):
        return Kind.REPORT
    if "targets" in of_step and target_in(path, of_step) is not None:
        return Kind.REPORT
    if path == MANIFEST_FILE:
        return Kind.MANIFEST
    return next((kind for kind, patterns in OTHER_KINDS.items() if is_any(path, patterns)), None)


def is_read(path: str, of_step: Mapping[str, Any]) -> bool:
    return kind_of(path, of_step) is not None


def is_any(path: str, patterns: Collection[str]) -> bool:
    """Of a step that leaves ten thousand files each is asked for, so most patterns are one."""
    names, others = sorted_out(tuple(patterns))
    if names is not None and names.match(path.rpartition("/")[2]):
        return True
    return any(matches(path, pattern) for pattern in others)


@lru_cache(maxsize=256)
def sorted_out(patterns: tuple[str, ...]) -> tuple[re.Pattern[str] | None, tuple[str, ...]]:
    """Those of names as one expression, and those that say something of folders."""
    of_folders = tuple(each for each in patterns if "/" in each.lstrip("/") or each.lstrip("/") == "**")
    of_names = [each.lstrip("/") for each in patterns if each not in of_folders]
    together = "|".join(translate(each) for each in of_names)
    return re.compile(together) if of_names else None, of_folders


def matches(path: str, pattern: str) -> bool:
    """As when files are kept: without a folder the name in any folder, `**` for any folders."""
    parts = PurePosixPath(path).parts
    wanted = PurePosixPath(pattern.lstrip("/")).parts
    if len(wanted) == 1 and wanted[0] != "**":
        return bool(parts) and fnmatchcase(parts[-1], wanted[0])
    reached = {0}
    for each in wanted:
        if each == "**":
            reached = set(range(min(reached, default=len(parts) + 1), len(parts) + 1))
        else:
            reached = {at + 1 for at in reached if at < len(parts) and fnmatchcase(parts[at], each)}
    return bool(parts) and len(parts) in reached


def target_in(path: str, of_step: Mapping[str, Any]) -> str | None:
    return bazel.target_of(path, of_step.get("artifact_search_path") or "")


def attempts_before(path: str, others: Collection[str]) -> int:
    """How often Bazel ran the tests of this report before: it keeps those in a folder beside it."""
    folder = PurePosixPath(path).parent / ATTEMPTS_FOLDER
    return sum(each.endswith(".xml") and PurePosixPath(each).parent == folder for each in others)
