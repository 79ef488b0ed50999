"""Unpacks what was kept: nothing is written through a link, whoever made it and wherever it leads."""

import errno
import json
import os
import stat
import tarfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from changes.agent.accounts import ROOT, Account
from changes.agent.keeping.archives import (
    DEPTH_MAX,
    FOLDER,
    FOLDER_MODES,
    MANIFEST,
    MODES,
    READ_BYTES,
    XATTR,
    XATTR_KEPT,
    BadArchive,
    forget,
    is_kept,
    opened,
    zstd,
)
from changes.agent.keeping.roots import Root

MANIFEST_MAX_BYTES = 1024 * 1024
MEMBERS_MAX = 4_000_000
UNPACKED_MAX_BYTES = 64 * 2**30
NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
OWNER_MAY_FILL = 0o700


def roots_in(path: Path) -> list[str]:
    """What an archive says it holds, in its order."""
    with reading(path) as tar:
        return manifest_of(tar)


@contextmanager
def reading(path: Path) -> Iterator[tarfile.TarFile]:
    try:
        with (
            zstd().open(path, "rb") as compressed,
            tarfile.open(fileobj=compressed, mode="r|", encoding="utf-8") as tar,
        ):
            yield tar
    except (tarfile.TarError, EOFError, zstd().ZstdError, ValueError, RecursionError) as error:
        raise BadArchive(f"The archive cannot be read: {error}") from error


def manifest_of(tar: tarfile.TarFile) -> list[str]:
    first = tar.next()
    file = tar.extractfile(first) if first is not None and first.name == MANIFEST else None
    if file is None or first is None or first.size > MANIFEST_MAX_BYTES:
        raise BadArchive("The archive does not say what it holds.")
    said = json.loads(file.read())
    if not isinstance(said, list) or not all(isinstance(each, str) for each in said):
        raise BadArchive("The archive does not say what it holds.")
    return said


@dataclass
class Unpacked:
    members: int = 0
    size_bytes: int = 0
    # Roots that nobody asked for.
    passed_over: list[str] = field(default_factory=list)


def unpack(path: Path, roots: Sequence[Root], account: Account, *, whiteouts: bool = False) -> Unpacked:
    """What is there already stays: a checkout wins over what was kept. Raises BadArchive, OSError."""
    wanted = {root.said: root for root in roots}
    with reading(path) as tar:
        said = manifest_of(tar)
        unpacking = Unpacking({str(number): wanted.get(each) for number, each in enumerate(said)}, account)
        unpacking.whiteouts = whiteouts
        try:
            while (info := tar.next()) is not None:
                forget(tar)
                unpacking.add(tar, info)
        finally:
            unpacking.finish()
    unpacking.done.passed_over = [each for each in said if each not in wanted]
    return unpacking.done


class Unpacking:
    def __init__(self, roots: dict[str, Root | None], account: Account) -> None:
        self.done = Unpacked()
        self.whiteouts = False
        self._roots = roots
        self._account = account
        # The way to where the last member was put: names, and the folders that are open.
        self._way: list[tuple[Any, int]] = []
        self._made: set[str] = set()
        self._closed: list[tuple[Path, tuple[str, ...], int]] = []

    def add(self, tar: tarfile.TarFile, info: tarfile.TarInfo) -> None:
        self.done.members += 1
        self.done.size_bytes += info.size
        if self.done.members > MEMBERS_MAX or self.done.size_bytes > UNPACKED_MAX_BYTES:
            raise BadArchive("The archive holds too much.")
        found = self._place(info.name)
        if found is None:
            return
        root, parts = found
        if not parts:
            return
        at = self._enter(root, parts[:-1])
        with suppress(FileExistsError):
            self._make(tar, info, at, (root, parts))

    def _place(self, name: str) -> tuple[Root, tuple[str, ...]] | None:
        number, *rest = name.split("/")
        if number not in self._roots or any(part in ("", ".", "..") for part in rest):
            raise BadArchive(f"The archive holds {name[:200]!r}, which leads elsewhere.")
        if len(rest) > DEPTH_MAX + 1:
            raise BadArchive("The archive is too deep.")
        root = self._roots[number]
        return None if root is None else (root, (*root.parts, *rest))

    def _make(
        self, tar: tarfile.TarFile, info: tarfile.TarInfo, at: int, where: tuple[Root, tuple[str, ...]]
    ) -> None:
        name = where[1][-1]
        if info.isdir():
            os.mkdir(name, OWNER_MAY_FILL, dir_fd=at)
            self._finish_folder(info, at, where)
        elif info.isreg():
            self._write(tar, info, at, where)
        elif info.issym():
            os.symlink(info.linkname, name, dir_fd=at)
            if self._is_of_account(info, where[0]):
                self._own(name, at)
        elif info.islnk():
            self._link(info, at, name)
        elif self.whiteouts and info.ischr() and (info.devmajor, info.devminor) == (0, 0):
            os.mknod(name, stat.S_IFCHR, 0, dir_fd=at)
        else:
            raise BadArchive(
                f"The archive holds {info.name[:200]!r}, which is neither file, folder nor link."
            )

    def _finish_folder(self, info: tarfile.TarInfo, at: int, where: tuple[Root, tuple[str, ...]]) -> None:
        root, parts = where
        folder = os.open(parts[-1], FOLDER, dir_fd=at)
        try:
            set_attributes(folder, info, of_layers=root.is_of_container)
            if self._is_of_account(info, root):
                os.fchown(folder, self._account.uid, self._account.gid)
            if info.mode & OWNER_MAY_FILL == OWNER_MAY_FILL:
                os.fchmod(folder, info.mode & FOLDER_MODES)
            else:
                # Only once it is full: nobody but root could fill it then.
                self._closed.append((root.base, parts, info.mode & FOLDER_MODES))
        finally:
            os.close(folder)

    def _write(
        self, tar: tarfile.TarFile, info: tarfile.TarInfo, at: int, where: tuple[Root, tuple[str, ...]]
    ) -> None:
        content = tar.extractfile(info)
        root, parts = where
        with os.fdopen(os.open(parts[-1], NEW_FILE, 0o600, dir_fd=at), "wb", buffering=0) as file:
            while content is not None and (data := content.read(READ_BYTES)):
                file.write(data)
            set_attributes(file.fileno(), info, of_layers=root.is_of_container)
            if self._is_of_account(info, root):
                os.fchown(file.fileno(), self._account.uid, self._account.gid)
            os.fchmod(file.fileno(), info.mode & MODES)
            os.utime(file.fileno(), (info.mtime, info.mtime))
        self._made.add(info.name)

    def _link(self, info: tarfile.TarInfo, at: int, name: str) -> None:
        """Only to a file that came out of this archive before."""
        found = self._place(info.linkname)
        if found is None or info.linkname not in self._made:
            return
        root, parts = found
        with opened(root.base, parts[:-1]) as other:
            os.link(parts[-1], name, src_dir_fd=other, dst_dir_fd=at, follow_symlinks=False)

    def _is_of_account(self, info: tarfile.TarInfo, root: Root) -> bool:
        """Whether it has to be given to the account of steps; what is of root in a container stays so."""
        return not self._account.is_own and not (root.is_of_container and info.uid == ROOT)

    def _own(self, name: str, at: int) -> None:
        if not self._account.is_own:
            os.chown(name, self._account.uid, self._account.gid, dir_fd=at, follow_symlinks=False)

    def _enter(self, root: Root, parts: tuple[str, ...]) -> int:
        """Most members lie where the one before them does, so folders stay open."""
        names: tuple[Any, ...] = (root, *parts)
        common = 0
        while common < min(len(self._way), len(names)) and self._way[common][0] == names[common]:
            common += 1
        while len(self._way) > common:
            os.close(self._way.pop()[1])
        if not self._way:
            self._way.append((root, os.open(root.base, FOLDER)))
        for name in names[len(self._way) :]:
            at = self._way[-1][1]
            with suppress(FileExistsError):
                # Folders above a root, which the archive does not hold.
                os.mkdir(name, 0o755, dir_fd=at)
                self._own(name, at)
            self._way.append((name, entered(name, at)))
        return self._way[-1][1]

    def finish(self) -> None:
        while self._way:
            os.close(self._way.pop()[1])
        for base, parts, mode in reversed(self._closed):
            with opened(base, parts) as folder:
                os.fchmod(folder, mode)


def entered(name: str, at: int) -> int:
    """A checkout may have brought a link, or a file, where a folder was kept."""
    try:
        return os.open(name, FOLDER, dir_fd=at)
    except OSError as error:
        if error.errno in (errno.ENOTDIR, errno.ELOOP):
            raise BadArchive(f"{name!r} is no folder here: {error.strerror}.") from error
        raise


def set_attributes(descriptor: int, info: tarfile.TarInfo, *, of_layers: bool) -> None:
    for header, value in info.pax_headers.items():
        name = header.removeprefix(XATTR)
        is_wanted = is_kept(name) if of_layers else name.startswith(XATTR_KEPT)
        if header.startswith(XATTR) and is_wanted:
            os.setxattr(descriptor, name, value.encode(errors="surrogateescape"))
