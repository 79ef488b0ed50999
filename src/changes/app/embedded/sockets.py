"""Where a server's socket lies: in the home, or in a short place when the home's path does not do."""

import os
import stat
import tempfile
from pathlib import Path

from changes.app.embedded.account import Account
from changes.app.embedded.errors import SocketPathTooLong

# A socket address holds 107 bytes on Linux, 103 on macOS.
PATH_MAX_BYTES = 103
RECORD = "socket-folder"


def folder_for(server_folder: Path, file_name: str, account: Account) -> Path:
    """The folder for the socket, closed to all but the account; made when it is missing."""
    inside = server_folder / "run"
    if fits(inside / file_name):
        account.make_folder(inside)
        return inside
    return _recorded(server_folder, account) or _make_elsewhere(server_folder, file_name, account)


def fits(path: Path) -> bool:
    # PostgreSQL's clients take a comma for the end of a host.
    return len(os.fsencode(path)) <= PATH_MAX_BYTES and "," not in str(path)


def _recorded(server_folder: Path, account: Account) -> Path | None:
    try:
        folder = Path((server_folder / RECORD).read_text())
        found = folder.lstat()
    except FileNotFoundError:
        return None
    # It lies where everybody writes, and a cleaner may have removed it: trust only our own.
    is_ours = stat.S_ISDIR(found.st_mode) and found.st_uid == account.uid
    return folder if is_ours and stat.S_IMODE(found.st_mode) == stat.S_IRWXU else None


def _make_elsewhere(server_folder: Path, file_name: str, account: Account) -> Path:
    short = [place for place in (tempfile.gettempdir(), "/tmp") if _has_room(place, file_name)]  # noqa: S108 -- mkdtemp below makes a closed folder in it
    if not short:
        raise SocketPathTooLong(
            f"The path of {server_folder} is too long for a socket, and so is that of the temporary"
            " folder: choose a shorter one with CHANGES_HOME or TMPDIR."
        )
    folder = Path(tempfile.mkdtemp(prefix="changes-", dir=short[0]))
    account.make_folder(folder)
    (server_folder / RECORD).write_text(str(folder))
    return folder


def _has_room(place: str, file_name: str) -> bool:
    return fits(Path(place) / "changes-12345678" / file_name)
