"""tar.zst: folders of a step become one file, in the way GNU tar writes and reads it too.

Everything is opened relative to a folder of the agent's own and without following links, whatever
the step has put there: what the agent may read or write is more than what the step may.
"""

import hashlib
import io
import json
import os
import stat
import sys
import tarfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from changes.agent.accounts import ROOT, Account
from changes.agent.errors import AgentError
from changes.agent.keeping.roots import Root

MANIFEST = "roots.json"
XATTR = "SCHILY.xattr."
# Others say something to the kernel (what a program may, who has signed it), and are not for builds.
XATTR_KEPT = "user."
# What replaces a folder of a container, or has another name in it, says so by these.
XATTRS_OF_LAYERS = frozenset({"trusted.overlay.opaque", "trusted.overlay.redirect"})
# In an archive, for whatever account steps have where it is unpacked.
NOT_ROOT = 1
DEPTH_MAX = 200
READ_BYTES = 1024 * 1024
FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
# What may be given to a file; not that it runs as somebody else.
MODES = 0o777
FOLDER_MODES = MODES | stat.S_ISVTX


class BadArchive(AgentError):
    """It cannot be read, or holds what no archive of ours holds."""


@dataclass(frozen=True)
class Packed:
    path: Path
    sha256: str
    size_bytes: int
    members: int = 0
    # What was left out, and why, in sentences.
    left_out: Sequence[str] = ()


def zstd() -> Any:
    """Costs 30 ms and 3 MB, which an agent spends when it first keeps something."""
    if sys.version_info >= (3, 14):
        from compression import zstd as found
    else:
        from backports import zstd as found
    return found


def digest_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def opened(base: Path, parts: Sequence[str]) -> Iterator[int]:
    """The folder at the end of a way on which nothing is a link."""
    at = os.open(base, FOLDER)
    try:
        for part in parts:
            below = os.open(part, FOLDER, dir_fd=at)
            os.close(at)
            at = below
        yield at
    finally:
        os.close(at)


# --- packing ---------------------------------------------------------------------------------


def pack(roots: Sequence[Root], into: Path, account: Account, *, whiteouts: bool = False) -> Packed:
    """Raises OSError, for instance when the disk is full."""
    with (
        zstd().open(into, "wb") as compressed,
        tarfile.open(fileobj=compressed, mode="w|", format=tarfile.PAX_FORMAT, encoding="utf-8") as tar,
    ):
        add_bytes(tar, MANIFEST, json.dumps([root.said for root in roots]).encode())
        packing = Packing(tar, None if account.is_own else account.uid, whiteouts=whiteouts)
        for number, root in enumerate(roots):
            packing.is_of_container = root.is_of_container
            packing.add_root(number, root)
    return Packed(into, digest_of(into), into.stat().st_size, packing.members, tuple(packing.left_out))


def forget(tar: tarfile.TarFile) -> None:
    """It remembers each member, which costs a kilobyte for every file."""
    vars(tar)["members"].clear()


def add_bytes(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    info = tarfile.TarInfo(name)
    info.size = len(content)
    tar.addfile(info, io.BytesIO(content))


class Packing:
    def __init__(self, tar: tarfile.TarFile, owner: int | None, *, whiteouts: bool) -> None:
        self.members = 0
        self.left_out: list[str] = []
        # There some of it belongs to root and has to stay so.
        self.is_of_container = False
        self._tar = tar
        # Where the agent is root, a step may have linked what it may not read itself.
        self._owner = owner
        self._whiteouts = whiteouts
        self._linked: dict[tuple[int, int], str] = {}

    def add_root(self, number: int, root: Root) -> None:
        try:
            if not root.parts:
                with opened(root.base, ()) as at:
                    self._add_entries(at, str(number), 0)
                return
            with opened(root.base, root.parts[:-1]) as at:
                self._add(at, root.parts[-1], str(number), 0)
        except OSError as error:
            self.left_out.append(f"{root.said}: {error.strerror}")

    def _add_entries(self, at: int, into: str, depth: int) -> None:
        if depth > DEPTH_MAX:
            self.left_out.append(f"{into}: too deep")
            return
        for name in sorted(os.listdir(at)):
            self._add(at, name, f"{into}/{name}", depth)

    def _add(self, at: int, name: str, into: str, depth: int) -> None:
        found = os.lstat(name, dir_fd=at)
        info = tarfile.TarInfo(into)
        allowed = FOLDER_MODES if stat.S_ISDIR(found.st_mode) else MODES
        info.mode, info.mtime = stat.S_IMODE(found.st_mode) & allowed, int(found.st_mtime)
        info.uid = ROOT if self.is_of_container and found.st_uid == ROOT else NOT_ROOT
        if stat.S_ISDIR(found.st_mode):
            self._add_folder(at, name, info, depth)
        elif stat.S_ISREG(found.st_mode):
            self._add_file(at, name, info)
        elif stat.S_ISLNK(found.st_mode):
            info.type, info.linkname = tarfile.SYMTYPE, os.readlink(name, dir_fd=at)
            self._put(info)
        elif self._whiteouts and stat.S_ISCHR(found.st_mode) and found.st_rdev == 0:
            info.type = tarfile.CHRTYPE
            self._put(info)
        else:
            self.left_out.append(f"{into}: neither file, folder nor link")

    def _add_folder(self, at: int, name: str, info: tarfile.TarInfo, depth: int) -> None:
        folder = os.open(name, FOLDER, dir_fd=at)
        try:
            info.type = tarfile.DIRTYPE
            info.pax_headers = kept_attributes(folder)
            self._put(info)
            self._add_entries(folder, info.name, depth + 1)
        finally:
            os.close(folder)

    def _add_file(self, at: int, name: str, info: tarfile.TarInfo) -> None:
        with os.fdopen(os.open(name, FILE, dir_fd=at), "rb") as file:
            found = os.fstat(file.fileno())
            is_own = self._owner in (None, found.st_uid) or self.is_of_container
            if not stat.S_ISREG(found.st_mode) or not is_own:
                self.left_out.append(f"{info.name}: not a file of the step's own")
                return
            known = self._linked.get((found.st_dev, found.st_ino))
            if known is not None:
                info.type, info.linkname = tarfile.LNKTYPE, known
                self._put(info)
                return
            if found.st_nlink > 1:
                self._linked[found.st_dev, found.st_ino] = info.name
            info.size = found.st_size
            info.pax_headers = kept_attributes(file.fileno())
            self._put(info, Whole(file, info.size))

    def _put(self, info: tarfile.TarInfo, content: "Whole | None" = None) -> None:
        # Of the names and texts, what is no UTF-8 travels as it is.
        self._tar.addfile(info, content)  # type: ignore[arg-type]
        forget(self._tar)
        self.members += 1


class Whole:
    """As many bytes as the file had at first: somebody may still write to it."""

    def __init__(self, file: IO[bytes], size_bytes: int) -> None:
        self._file = file
        self._left = size_bytes

    def read(self, most: int) -> bytes:
        wanted = min(most, self._left)
        data = self._file.read(wanted)
        self._left -= wanted
        return data.ljust(wanted, b"\0")


def is_kept(attribute: str) -> bool:
    return attribute.startswith(XATTR_KEPT) or attribute in XATTRS_OF_LAYERS


def kept_attributes(descriptor: int) -> dict[str, str]:
    try:
        names = [name for name in os.listxattr(descriptor) if is_kept(name)]
    except (OSError, AttributeError):
        # Not every file system, and not every system, has any.
        return {}
    return {
        f"{XATTR}{name}": os.getxattr(descriptor, name).decode(errors="surrogateescape") for name in names
    }
