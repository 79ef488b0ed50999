"""Files of secrets for git, hg and ssh, which take them by a path only: nothing touches a disk."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def memory_file(content: str) -> Iterator[Path]:
    """Gone when the block ends; until then this account alone may read it by its path."""
    if not hasattr(os, "memfd_create"):
        # macOS keeps no files in memory; this one is ours alone and soon gone.
        with tempfile.NamedTemporaryFile("w", encoding="utf-8", prefix="changes-") as file:
            file.write(content)
            file.flush()
            yield Path(file.name)
        return
    descriptor = os.memfd_create("changes", os.MFD_CLOEXEC)
    try:
        # ssh refuses a key that others could read.
        os.fchmod(descriptor, 0o600)
        with os.fdopen(os.dup(descriptor), "wb") as copy:
            copy.write(content.encode())
        # Not of /proc/self: ssh closes all it inherits, and git's helpers are processes of their own.
        yield Path(f"/proc/{os.getpid()}/fd/{descriptor}")
    finally:
        os.close(descriptor)
