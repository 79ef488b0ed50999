"""The folder that holds everything a supervisor keeps, and the lock that says who it is.

As root the home lets others pass (0711), because the databases run under an account of
their own and must reach their folders inside; what lies in it is closed one by one.
"""

import fcntl
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Self

from changes.app.embedded import errors
from changes.app.embedded.errors import DiskFull, HomeLocked

FREE_MIN_BYTES = 200 * 1024 * 1024
PASSABLE = 0o711
PRIVATE = 0o700


def default_home(environ: Mapping[str, str]) -> Path:
    if chosen := environ.get("CHANGES_HOME"):
        return Path(chosen).expanduser()
    return Path("/var/lib/changes") if os.geteuid() == 0 else Path.home() / ".changes"


class Home:
    """Usable as a context: inside, the home exists, has room, and is ours alone."""

    def __init__(self, path: Path) -> None:
        self.path = path.expanduser().resolve()
        self._lock: int | None = None

    def __enter__(self) -> Self:
        self.open()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def logs(self) -> Path:
        return self.path / "logs"

    def open(self) -> None:
        try:
            self._make()
            self._take_lock()
        except OSError as error:
            if refusal := errors.refusal_of(error, self.path):
                raise refusal from error
            raise

    def close(self) -> None:
        """Give the lock back; a kill -9 does the same."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def folder(self, name: str) -> Path:
        """A folder of the home that the account of the databases may pass through."""
        path = self.path / name
        make_folder(path, PASSABLE if os.geteuid() == 0 else PRIVATE)
        return path

    def _make(self) -> None:
        make_folder(self.path, PASSABLE if os.geteuid() == 0 else PRIVATE)
        make_folder(self.logs, PRIVATE)
        free_bytes = shutil.disk_usage(self.path).free
        if free_bytes < FREE_MIN_BYTES:
            raise DiskFull(
                f"The disk that holds {self.path} has only {free_bytes // 1024**2} MB left and"
                f" {FREE_MIN_BYTES // 1024**2} MB are needed: free some space, or choose another folder"
                " with CHANGES_HOME."
            )

    def _take_lock(self) -> None:
        # Others must not even open the file: a reader could hold the lock as well.
        lock = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = os.pread(lock, 20, 0).decode().strip() or "unknown"
            os.close(lock)
            raise HomeLocked(
                f"{self.path} is in use by another supervisor (process {holder}): stop that one,"
                " or choose another folder with CHANGES_HOME."
            ) from error
        os.ftruncate(lock, 0)
        os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)
        self._lock = lock


def make_folder(path: Path, mode: int) -> None:
    """Make the folder, or open one of ours far enough; what the owner opened wider stays so."""
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        path.mkdir(mode=mode)
        missing_rights = mode
    except FileExistsError:
        missing_rights = mode & ~path.stat().st_mode
    if missing_rights:
        path.chmod(mode | (path.stat().st_mode & 0o7777))
