"""Files over bytes that lie elsewhere, as the readers of archives want them, and with limits."""

import bz2
import io
import lzma
import sys
import zlib
from collections.abc import Iterator
from typing import Protocol

from changes.base.errors import Invalid, TooLarge
from changes.results.contents import Content

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

BLOCK_BYTES = 256 * 1024
PIECE_BYTES = 1024 * 1024
GZIP_WINDOW = 16 + zlib.MAX_WBITS
LZMA_MEMORY_MAX_BYTES = 128 * 1024 * 1024
# Of a window of zstd; what its own program takes without being asked twice.
ZSTD_WINDOW_LOG_MAX = 27


class Readable(Protocol):
    def read(self, size: int, /) -> bytes: ...
    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int: ...
    def tell(self) -> int: ...


class Limited:
    """Refuses to be read in one go by more than so much: a head that says it is a gigabyte stays unread."""

    def __init__(self, inner: Readable, at_once_max_bytes: int) -> None:
        self.inner = inner
        self.at_once_max_bytes = at_once_max_bytes

    def read(self, size: int = -1) -> bytes:
        if size > self.at_once_max_bytes:
            raise TooLarge("The list of its files is too long to be shown; download it to look inside.")
        return self.inner.read(self.at_once_max_bytes if size < 0 else size)

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        return self.inner.seek(offset, whence)

    def tell(self) -> int:
        return self.inner.tell()

    def seekable(self) -> bool:
        return True

    def readable(self) -> bool:
        return True

    def close(self) -> None:
        """Nothing is held open."""


class Ranged:
    """A file that is read by spans, of which the last block stays at hand."""

    def __init__(self, content: Content) -> None:
        self.content = content
        self.at = 0
        self.block_begin = 0
        self.block = b""

    def read(self, size: int) -> bytes:
        end = min(self.content.size_bytes, self.at + size)
        if end <= self.at:
            return b""
        begin = self.at - self.block_begin
        if not (begin >= 0 and end - self.block_begin <= len(self.block)):
            last = min(self.content.size_bytes, max(end, self.at + BLOCK_BYTES))
            self.block_begin, begin = self.at, 0
            self.block = b"".join(self.content.read((self.at, last)))
        data = self.block[begin : begin + end - self.at]
        self.at += len(data)
        return data

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self.at, io.SEEK_END: self.content.size_bytes}[whence]
        self.at = base + offset
        if self.at < 0:
            self.at = 0
            raise OSError("before the beginning")
        return self.at

    def tell(self) -> int:
        return self.at


class Decompressor(Protocol):
    @property
    def needs_input(self) -> bool: ...
    @property
    def eof(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int = -1) -> bytes: ...


class Gzip:
    """zlib's own object, spoken to as the others are."""

    def __init__(self) -> None:
        self.inner = zlib.decompressobj(GZIP_WINDOW)

    @property
    def eof(self) -> bool:
        return self.inner.eof

    @property
    def needs_input(self) -> bool:
        return not self.inner.unconsumed_tail

    @property
    def unused_data(self) -> bytes:
        return self.inner.unused_data

    def decompress(self, data: bytes, max_length: int = -1) -> bytes:
        return self.inner.decompress(self.inner.unconsumed_tail + data, max_length)


def decompressor(compression: str) -> Decompressor:
    if compression == "gz":
        return Gzip()
    if compression == "bz2":
        return bz2.BZ2Decompressor()
    if compression == "xz":
        return lzma.LZMADecompressor(memlimit=LZMA_MEMORY_MAX_BYTES)
    window = {int(zstd.DecompressionParameter.window_log_max): ZSTD_WINDOW_LOG_MAX}
    return zstd.ZstdDecompressor(options=window)


class Unpacked:
    """Goes forward only, a piece at a time, and not further than the limit."""

    def __init__(self, chunks: Iterator[bytes], compression: str, size_max_bytes: int) -> None:
        self.chunks = chunks
        self.compression = compression
        self.left_bytes = size_max_bytes
        self.inner = decompressor(compression) if compression else None
        self.waiting = b""
        self.at = 0

    def read(self, size: int) -> bytes:
        while len(self.waiting) < size:
            piece = self.piece()
            if not piece:
                break
            self.waiting += piece
        data, self.waiting = self.waiting[:size], self.waiting[size:]
        self.at += len(data)
        return data

    def piece(self) -> bytes:
        """Empty at the end."""
        found = next(self.chunks, b"") if self.inner is None else self.unpack(self.inner)
        self.left_bytes -= len(found)
        if self.left_bytes < 0:
            raise TooLarge("It becomes too large when it is unpacked; download it to look inside.")
        return found

    def unpack(self, inner: Decompressor) -> bytes:
        while True:
            data = b""
            if inner.eof:
                # Some write one after the other into the same file.
                rest = inner.unused_data or next(self.chunks, b"")
                if not rest.strip(b"\0"):
                    return b""
                inner = self.inner = decompressor(self.compression)
                data = rest
            elif inner.needs_input:
                data = next(self.chunks, b"")
                if not data:
                    return b""
            try:
                found = inner.decompress(data, PIECE_BYTES)
            except (lzma.LZMAError, zstd.ZstdError) as error:
                raise Invalid(f"The archive cannot be unpacked: {error}.") from error
            if found:
                return found

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        wanted = offset if whence == io.SEEK_SET else self.at + offset
        if whence == io.SEEK_END or wanted < self.at:
            raise OSError("this goes forward only")
        while self.at < wanted:
            if not self.read(min(PIECE_BYTES, wanted - self.at)):
                break
        return self.at

    def tell(self) -> int:
        return self.at
