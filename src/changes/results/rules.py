"""Which files of a step we read, decided by name alone."""

from fnmatch import fnmatchcase
from pathlib import PurePosixPath

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
