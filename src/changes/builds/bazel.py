"""Targets of Bazel: which of its steps ran one, and what a path of its results is called. Pure."""

from enum import IntEnum
from pathlib import PurePosixPath

# As Bazel names them, and as the agents of the original renamed them.
RESULT_FILES = ("test.xml", "test.bazel.xml")
# Where Bazel links the results of its last run.
LOGS_FOLDER = "bazel-testlogs"


class ResultSource(IntEnum):
    FROM_SELF = 0
    FROM_PARENT = 1


def target_of(path: str, root: str = "") -> str | None:
    """`//server/db:schema_test` for `bazel-testlogs/server/db/schema_test/test.xml`."""
    parts = PurePosixPath(path).parts
    for prefix in (PurePosixPath(root).parts, (LOGS_FOLDER,)):
        if prefix and parts[: len(prefix)] == prefix:
            parts = parts[len(prefix) :]
    if len(parts) < 2 or parts[-1] not in RESULT_FILES:  # noqa: PLR2004 - a target's folder and the file
        return None
    *folders, target = parts[:-1]
    return f"//{'/'.join(folders)}:{target}"
