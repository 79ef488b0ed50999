"""Which files of a step we read, decided by name alone."""

from collections.abc import Mapping
from fnmatch import fnmatchcase
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


def is_junit(path: str) -> bool:
    name = PurePosixPath(path).name
    return any(fnmatchcase(name, pattern) for pattern in JUNIT_PATTERNS)


def is_report(path: str, of_step: Mapping[str, Any]) -> bool:
    """Of a step that ran targets of Bazel, its results are reports too, whatever they are called."""
    if "targets" in of_step and target_in(path, of_step) is not None:
        return True
    return is_junit(path)


def target_in(path: str, of_step: Mapping[str, Any]) -> str | None:
    return bazel.target_of(path, of_step.get("artifact_search_path") or "")
