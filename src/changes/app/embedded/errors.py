"""Why a start is refused. Each text is one sentence for the terminal and says what to do."""

import errno
from pathlib import Path

FULL = {errno.ENOSPC, errno.EDQUOT}
CLOSED = {errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST}


class StartRefused(Exception):
    """Nothing can be started as things stand."""


class HomeLocked(StartRefused):
    """Another supervisor uses the same home."""


class HomeNotWritable(StartRefused):
    """The home folder cannot be made or written."""


class HomeNotReachable(StartRefused):
    """A folder above the home is closed to the account the databases run as."""


class DiskFull(StartRefused):
    """The disk of the home is full, or nearly so."""


class SocketPathTooLong(StartRefused):
    """No folder for sockets has a path that fits into a socket address."""


class AccountMissing(StartRefused):
    """We are root, and the account for the databases can be neither found nor made."""


class ServerMissing(StartRefused):
    """Neither a wheel nor the system has the server for this machine."""


class ServerDidNotStart(StartRefused):
    """The server was started and ended, or does not answer."""


class DatabaseOfOtherVersion(StartRefused):
    """The data folder was made by another major version."""


class StartInterrupted(StartRefused):
    """Somebody asked us to stop while something was starting."""


def disk_full(home: Path) -> DiskFull:
    return DiskFull(
        f"The disk that holds {home} is full: free some space, or choose another folder with CHANGES_HOME."
    )


def says_full(text: str) -> bool:
    """A server's last words, in the language its environment gives it."""
    return "No space left on device" in text


def refusal_of(error: OSError, home: Path) -> StartRefused | None:
    """The named reason behind an error of the operating system, if it is one of ours."""
    if error.errno in FULL:
        return disk_full(home)
    if error.errno in CLOSED and _is_inside(error.filename, home):
        return HomeNotWritable(
            f"{error.filename} cannot be written ({error.strerror}): give this account the right to,"
            " or choose another folder with CHANGES_HOME."
        )
    return None


def _is_inside(filename: object, home: Path) -> bool:
    # Any folder on the way to the home counts too: the home may not exist yet.
    if not isinstance(filename, str):
        return False
    return Path(filename).is_relative_to(home) or home.is_relative_to(filename)
