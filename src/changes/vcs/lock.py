"""One process at a time changes a mirror; the lock is a file beside it and dies with its holders."""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from changes.vcs.errors import TimedOut

RETRY_S = 0.05


@contextmanager
def locked(mirror_path: Path, timeout_s: float, *, shared: bool = False) -> Iterator[int]:
    """Alone with the mirror, or with others that only read it.

    A tool that inherits the descriptor holds the lock too, as long as it lives.
    """
    mirror_path.parent.mkdir(parents=True, exist_ok=True)
    lock_path = mirror_path.with_name(mirror_path.name + ".lock")
    descriptor = os.open(lock_path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        _take(descriptor, fcntl.LOCK_SH if shared else fcntl.LOCK_EX, time.monotonic() + timeout_s)
        yield descriptor
    finally:
        os.close(descriptor)


def _take(descriptor: int, kind: int, ends_at: float) -> None:
    while True:
        try:
            fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
        except BlockingIOError as error:
            if time.monotonic() >= ends_at:
                raise TimedOut("another process holds the mirror") from error
            time.sleep(RETRY_S)
        else:
            return
