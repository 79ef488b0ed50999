"""Many files as one ZIP that is written while it is sent: nothing is kept, however large it becomes."""

import zipfile
from collections.abc import Iterator, Sequence
from datetime import datetime

from changes.base.errors import ChangesError
from changes.base.storage import StorageError
from changes.results.contents import Content

MISSING = "MISSING.txt"
# The least that a ZIP can tell.
FIRST_YEAR, LAST_YEAR = 1980, 2107


class Pipe:
    """What was written and not yet taken; a ZIP that cannot look back writes sizes behind the bytes."""

    def __init__(self) -> None:
        self.written = bytearray()

    def write(self, data: bytes) -> int:
        self.written += data
        return len(data)

    def flush(self) -> None:
        """All of it is taken anyway."""

    def close(self) -> None:
        """Nothing is held open."""

    def taken(self) -> bytes:
        data = bytes(self.written)
        self.written.clear()
        return data


def zipped(files: Sequence[tuple[str, Content, datetime]]) -> Iterator[bytes]:
    """Files whose bytes are lost are named in a file of its own, so that nobody misses them unknowingly."""
    pipe, missing = Pipe(), []
    with zipfile.ZipFile(pipe, "w", zipfile.ZIP_STORED, allowZip64=True) as archive:
        for name, content, written in files:
            try:
                chunks = content.read()
            except (ChangesError, StorageError):
                missing.append(name)
                continue
            with archive.open(head(name, written), "w", force_zip64=True) as entry:
                for chunk in chunks:
                    entry.write(chunk)
                    yield pipe.taken()
            yield pipe.taken()
        if missing:
            archive.writestr(MISSING, "These files are not here any more:\n" + "\n".join(missing) + "\n")
    yield pipe.taken()


def head(name: str, written: datetime) -> zipfile.ZipInfo:
    year = min(max(written.year, FIRST_YEAR), LAST_YEAR)
    made = zipfile.ZipInfo(
        name, (year, written.month, written.day, written.hour, written.minute, written.second)
    )
    made.external_attr = 0o644 << 16
    return made


def safe(name: str) -> str:
    """As a path that every unpacker keeps below where it unpacks."""
    parts = (part.replace("\\", "_").replace(":", "_") for part in name.split("/"))
    kept = ["_" if part in ("..", ".") else part for part in parts if part]
    return "/".join("".join(char if char.isprintable() else "_" for char in part) for part in kept) or "_"
