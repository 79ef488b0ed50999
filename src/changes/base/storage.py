"""Bytes that do not belong into the database: a local folder, or any S3-compatible store by URL."""

import asyncio
import errno
import os
import shutil
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from urllib.parse import unquote, urlparse

import obstore
from obstore.exceptions import BaseError, NotFoundError
from obstore.store import LocalStore, MemoryStore, ObjectStore, from_url

from changes.base.errors import Full, NotFound
from changes.base.slot import Slot

READ_BYTES = 1024 * 1024
# In parts of its own size each byte takes twenty times as long.
AT_ONCE_BYTES = 4 * READ_BYTES
# So much is left on the disk for those who cannot wait, as the database that may lie on the same one.
LEFT_MIN_BYTES = 32 * 1024 * 1024
NO_ROOM = (errno.ENOSPC, errno.EDQUOT)
NO_ROOM_WORDS = tuple(os.strerror(number) for number in NO_ROOM)
# What a store raises that cannot be used.
StorageError = BaseError


class Storage:
    def __init__(self, url: str) -> None:
        self.store = open_store(url)
        parts = urlparse(url)
        self.folder = Path(unquote(parts.path)) if parts.scheme == "file" else None

    async def write(self, key: str, chunks: AsyncIterator[bytes]) -> None:
        """The object appears whole or not at all, and is on disk when this returns."""
        self.refuse_when_full()
        with told_when_full():
            async with obstore.open_writer_async(self.store, key) as writer:
                async for chunk in chunks:
                    await writer.write(chunk)
            await asyncio.to_thread(self.flush, key)

    def put(self, key: str, data: bytes) -> None:
        self.refuse_when_full()
        with told_when_full():
            obstore.put(self.store, key, data)
            self.flush(key)

    def put_pieces(self, key: str, pieces: Iterator[bytes]) -> None:
        """As `write` does, for who has no event loop."""
        self.refuse_when_full()
        with told_when_full():
            with obstore.open_writer(self.store, key) as writer:
                for piece in pieces:
                    writer.write(piece)
            self.flush(key)

    def put_all(self, items: Mapping[str, bytes]) -> None:
        """Many small ones: each is asked of the disk once, and each folder once."""
        self.refuse_when_full()
        with told_when_full():
            self.put_each(items)

    def put_each(self, items: Mapping[str, bytes]) -> None:
        for key, data in items.items():
            obstore.put(self.store, key, data)
        if self.folder is not None:
            folder = self.folder
            paths = {path for key in items for path in ((folder / key), *(folder / key).parents)}
            for path in sorted(paths, reverse=True):
                if path == folder or folder in path.parents:
                    fsync(path)

    def flush(self, key: str) -> None:
        """A store behind a network has done so before it answers; the kernel of ours must be asked."""
        if self.folder is None:
            return
        path = self.folder / key
        for each in (path, *path.parents):
            fsync(each)
            if each == self.folder:
                return

    def read(self, key: str, span: tuple[int, int] | None = None) -> Iterator[bytes]:
        """Opened at once, so that whoever passes the bytes on knows before the first whether it is there.

        A span is where to begin, and before which byte to end.
        """
        try:
            found = obstore.get(self.store, key, options={"range": span} if span else {})
        except (NotFoundError, FileNotFoundError):
            raise NotFound(f"The stored file {key!r} is gone.") from None
        begin, end = found.range
        if end - begin <= AT_ONCE_BYTES:
            whole = bytes(found.bytes())
            return iter((whole,) if whole else ())
        return (bytes(chunk) for chunk in found.stream(min_chunk_size=READ_BYTES))

    def size_of(self, key: str) -> int | None:
        """None when it is not there."""
        try:
            return int(obstore.head(self.store, key)["size"])
        except (NotFoundError, FileNotFoundError):
            return None

    def delete(self, key: str) -> None:
        obstore.delete(self.store, key)

    def keys(self, prefix: str) -> Iterator[tuple[str, int, datetime]]:
        """All that lies below, with its size and when it was written."""
        for found in obstore.list(self.store, prefix):
            yield from ((each["path"], each["size"], each["last_modified"]) for each in found)

    def refuse_when_full(self) -> None:
        if self.folder is not None and shutil.disk_usage(self.folder).free < LEFT_MIN_BYTES:
            raise Full(f"The disk of {self.folder} is full.")


@contextmanager
def told_when_full() -> Iterator[None]:
    try:
        yield
    except (OSError, BaseError) as error:
        # The store tells by words alone what the system said.
        if getattr(error, "errno", None) in NO_ROOM or any(words in str(error) for words in NO_ROOM_WORDS):
            raise Full("There is no room left where files are stored.") from error
        raise


def fsync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def open_store(url: str) -> ObjectStore:
    parts = urlparse(url)
    if parts.scheme == "memory":
        return MemoryStore()
    if parts.scheme == "file":
        folder = Path(unquote(parts.path))
        folder.mkdir(parents=True, exist_ok=True)
        return LocalStore(folder)
    return from_url(url)


storage: Slot[Storage] = Slot("blob storage")
