"""What is inside an archive, without unpacking it: a list that ends somewhere, and one file at a time.

Archives are other people's: names are text and nothing else, links are told and not followed, and how much
is read, unpacked and kept in memory has limits, whatever the archive says of itself.
"""

import stat
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, cast

from changes.base.errors import Invalid, NotFound, TooLarge
from changes.results.archive_streams import Limited, Ranged, Unpacked
from changes.results.contents import Content

ENTRIES_MAX = 5_000
NAME_SHOWN_CHARS = 1_000
# Of the list within a ZIP, which its reader takes into memory as a whole: some 50,000 files.
LIST_MAX_BYTES = 4 * 1024 * 1024
# What is unpacked to get at the list, or at one file, of an archive that has to be read from its beginning.
UNPACKED_MAX_BYTES = 512 * 1024 * 1024
MEMBER_MAX_BYTES = 256 * 1024 * 1024
# Nothing that people pack shrinks so much, but for small files.
RATIO_MAX = 500
RATIO_FROM_BYTES = 1024 * 1024
CHUNK_BYTES = 64 * 1024
ENCRYPTED = 0x1
ZIP, TAR = "zip", "tar"
ENDINGS = {
    ".zip": (ZIP, ""),
    ".jar": (ZIP, ""),
    ".war": (ZIP, ""),
    ".whl": (ZIP, ""),
    ".apk": (ZIP, ""),
    ".nupkg": (ZIP, ""),
    ".tar": (TAR, ""),
    ".tar.gz": (TAR, "gz"),
    ".tgz": (TAR, "gz"),
    ".crate": (TAR, "gz"),
    ".tar.xz": (TAR, "xz"),
    ".txz": (TAR, "xz"),
    ".tar.bz2": (TAR, "bz2"),
    ".tbz2": (TAR, "bz2"),
    ".tar.zst": (TAR, "zst"),
    ".tzst": (TAR, "zst"),
}


@dataclass(frozen=True)
class Entry:
    """`why_not` says why its bytes cannot be had; empty where they can."""

    place: int
    name: str
    size_bytes: int
    is_folder: bool = False
    why_not: str = ""


@dataclass(frozen=True)
class Listing:
    entries: list[Entry]
    # Of how many there are, if the archive tells; None when it went on behind the last one read.
    count: int | None


def kind_of(name: str) -> tuple[str, str] | None:
    """Which archive it is, and how it is compressed, by its name; None for what is none."""
    lower = name.lower()
    fitting = [ending for ending in ENDINGS if lower.endswith(ending)]
    return ENDINGS[max(fitting, key=len)] if fitting else None


def listing(content: Content) -> Listing:
    with readable(content) as archive:
        if isinstance(archive, zipfile.ZipFile):
            return listing_of_zip(archive)
        entries: list[Entry] = []
        for place, member in enumerate(archive):
            if place == ENTRIES_MAX:
                return Listing(entries, None)
            entries.append(entry_of_tar(place, member))
        return Listing(entries, len(entries))


def listing_of_zip(archive: zipfile.ZipFile) -> Listing:
    members = archive.infolist()
    shown = members[:ENTRIES_MAX]
    return Listing([entry_of_zip(place, member) for place, member in enumerate(shown)], len(members))


def entry_of_zip(place: int, member: zipfile.ZipInfo) -> Entry:
    mode = member.external_attr >> 16
    why_not = ""
    if stat.S_ISLNK(mode):
        why_not = "a link, which is not followed"
    elif member.flag_bits & ENCRYPTED:
        why_not = "encrypted"
    elif member.file_size > MEMBER_MAX_BYTES:
        why_not = "too large to be read from within"
    elif is_bomb(member):
        why_not = "it would become suspiciously large"
    return Entry(place, member.filename[:NAME_SHOWN_CHARS], member.file_size, member.is_dir(), why_not)


def is_bomb(member: zipfile.ZipInfo) -> bool:
    shrunk = member.file_size > RATIO_MAX * max(1, member.compress_size)
    return member.file_size > RATIO_FROM_BYTES and shrunk


def entry_of_tar(place: int, member: tarfile.TarInfo) -> Entry:
    why_not = ""
    if member.issym() or member.islnk():
        why_not = f"a link to {member.linkname[:NAME_SHOWN_CHARS]!r}, which is not followed"
    elif not member.isdir() and not member.isreg():
        why_not = "no file"
    elif member.size > MEMBER_MAX_BYTES:
        why_not = "too large to be read from within"
    return Entry(place, member.name[:NAME_SHOWN_CHARS], max(0, member.size), member.isdir(), why_not)


@dataclass(frozen=True)
class Member:
    """One file of an archive; `chunks` are read as they are asked for."""

    entry: Entry
    chunks: Iterator[bytes]


def member(content: Content, place: int) -> Member:
    """The archive is opened once to see the entry and once more to read it, as far as it is read."""
    entry = entry_at(content, place)
    if entry.is_folder:
        raise Invalid("This is a folder.")
    if entry.why_not:
        raise Invalid(f"This cannot be read from within the archive: {entry.why_not}.")
    return Member(entry, chunks_of(content, entry))


def entry_at(content: Content, place: int) -> Entry:
    found = next((each for each in listing(content).entries if each.place == place), None)
    if found is None:
        raise NotFound("The archive has no such file, or too many before it.")
    return found


def chunks_of(content: Content, entry: Entry) -> Iterator[bytes]:
    with readable(content) as archive, opened(archive, entry.place) as stream:
        left = min(entry.size_bytes, MEMBER_MAX_BYTES)
        while left and (chunk := stream.read(min(CHUNK_BYTES, left))):
            left -= len(chunk)
            yield chunk


def opened(archive: zipfile.ZipFile | tarfile.TarFile, place: int) -> IO[bytes]:
    if isinstance(archive, zipfile.ZipFile):
        return archive.open(archive.infolist()[place])
    found = next(each for at, each in enumerate(archive) if at == place)
    return cast("IO[bytes]", archive.extractfile(found))


@contextmanager
def readable(content: Content) -> Iterator[zipfile.ZipFile | tarfile.TarFile]:
    """Whatever is wrong with the archive is told in one sentence."""
    kind = kind_of(content.name)
    if kind is None:
        raise Invalid("This is no archive that can be looked into.")
    try:
        yield opened_zip(content) if kind[0] == ZIP else opened_tar(content, kind[1])
    except TooLarge:
        raise
    except (
        zipfile.BadZipFile,
        tarfile.TarError,
        zlib.error,
        EOFError,
        OSError,
        ValueError,
        NotImplementedError,
        RuntimeError,
        StopIteration,
    ) as error:
        raise Invalid(f"The archive cannot be read: {str(error)[:200] or type(error).__name__}.") from error


def opened_zip(content: Content) -> zipfile.ZipFile:
    return zipfile.ZipFile(cast("IO[bytes]", Limited(Ranged(content), LIST_MAX_BYTES)))


def opened_tar(content: Content, compression: str) -> tarfile.TarFile:
    stream = Unpacked(content.read(), compression, UNPACKED_MAX_BYTES)
    return tarfile.TarFile(
        fileobj=cast("IO[bytes]", Limited(stream, LIST_MAX_BYTES)), mode="r", errors="surrogateescape"
    )
