"""Compressed logs, of which any part can be read without the rest. Pure.

A blob is a row of zstd frames, each with half a megabyte of the log, and at its end the table that the
seekable format of zstd asks for: any `zstd` unpacks it whole, and tools that know the format read parts of
it. Behind a frame may stand when its bytes were read, as a frame that others skip. Which bytes and lines
are in which frame is kept beside the blob, so that one look into it is enough.
"""

import struct
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from changes.base.errors import ChangesError

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

FRAME_BYTES = 512 * 1024
# Of what is written while somebody waits, and of what is kept.
QUICK_LEVEL, KEPT_LEVEL = 1, 3
SKIPPED_MAGIC, TABLE_MAGIC, FOOTER_MAGIC = 0x184D2A5D, 0x184D2A5E, 0x8F92EAB1
SKIPPED_HEAD = struct.Struct("<II")
TABLE_ENTRY = struct.Struct("<II")
TABLE_FOOTER = struct.Struct("<IBI")
FRAME = struct.Struct("<IIII")


class Damaged(ChangesError):
    """What is stored is not what was written."""


class Frame(NamedTuple):
    """How long it is, as it was and as it is stored; how long the times behind it are; its ends of lines."""

    size_bytes: int
    stored_bytes: int
    times_bytes: int
    newlines: int


@dataclass(frozen=True)
class Piece:
    """Bytes of a log, and when they were read: byte and milliseconds in turns, counted from its beginning."""

    data: bytes
    times: Sequence[int] = ()


class Place(NamedTuple):
    """Of one frame: where it begins in what was compressed and in the blob, and how many lines end before."""

    number: int
    offset: int
    stored_at: int
    newlines: int


FIRST = Place(0, 0, 0, 0)


# --- writing ---------------------------------------------------------------------------------------


def compress(piece: Piece, level: int) -> tuple[Frame, bytes]:
    options: dict[int, int] = {
        zstd.CompressionParameter.compression_level: level,
        zstd.CompressionParameter.checksum_flag: 1,
    }
    stored = zstd.ZstdCompressor(options=options).compress(piece.data, zstd.ZstdCompressor.FLUSH_FRAME)
    times = skipped(piece.times)
    return Frame(len(piece.data), len(stored), len(times), piece.data.count(b"\n")), stored + times


def skipped(times: Sequence[int]) -> bytes:
    """As differences, of which most are small."""
    if not times:
        return b""
    before = (0, 0, *times)
    told = struct.pack(f"<{len(times)}q", *(now - then for now, then in zip(times, before, strict=False)))
    packed = zstd.compress(told, KEPT_LEVEL)
    return SKIPPED_HEAD.pack(SKIPPED_MAGIC, len(packed)) + packed


def table(frames: Iterable[Frame]) -> bytes:
    """The end of a blob, as `contrib/seekable_format` of zstd describes it."""
    entries: list[bytes] = []
    for frame in frames:
        entries.append(TABLE_ENTRY.pack(frame.stored_bytes, frame.size_bytes))
        if frame.times_bytes:
            entries.append(TABLE_ENTRY.pack(frame.times_bytes, 0))
    content = b"".join(entries) + TABLE_FOOTER.pack(len(entries), 0, FOOTER_MAGIC)
    return SKIPPED_HEAD.pack(TABLE_MAGIC, len(content)) + content


def packed(pieces: Sequence[Piece], level: int) -> tuple[list[Frame], bytes]:
    """A whole blob of what is at hand."""
    made = [compress(piece, level) for piece in pieces]
    frames = [frame for frame, _ in made]
    return frames, b"".join([*(stored for _, stored in made), table(frames)])


def cut(piece: Piece) -> Iterator[Piece]:
    """In parts that make a frame each."""
    for start in range(0, len(piece.data), FRAME_BYTES):
        data = piece.data[start : start + FRAME_BYTES]
        yield Piece(data, times_within(piece.times, start, start + len(data)))


def times_within(times: Sequence[int], start: int, end: int) -> list[int]:
    """Counted from `start`; the first says when what stands there was read."""
    pairs = list(zip(times[::2], times[1::2], strict=True))
    before = [at for place, at in pairs if place <= start]
    first = [(start, before[-1])] if before else []
    return [
        number
        for place, at in (*first, *(pair for pair in pairs if start < pair[0] < end))
        for number in (place - start, at)
    ]


# --- the index beside it ---------------------------------------------------------------------------


def index(frames: Iterable[Frame]) -> bytes:
    return b"".join(FRAME.pack(*frame) for frame in frames)


def frames_of(index: bytes) -> list[Frame]:
    return [Frame(*told) for told in FRAME.iter_unpack(index)]


def places(frames: Sequence[Frame]) -> Iterator[Place]:
    offset = stored_at = newlines = 0
    for number, frame in enumerate(frames):
        yield Place(number, offset, stored_at, newlines)
        offset += frame.size_bytes
        stored_at += frame.stored_bytes + frame.times_bytes
        newlines += frame.newlines


def place_of_byte(frames: Sequence[Frame], offset: int) -> Place:
    """The frame with this byte, or else the last one."""
    return last_before(frames, lambda place: place.offset <= offset)


def place_of_newline(frames: Sequence[Frame], number: int) -> Place:
    """The frame in which this line ends; the first is number 1."""
    return last_before(frames, lambda place: place.newlines < number)


def last_before(frames: Sequence[Frame], is_before: Callable[[Place], bool]) -> Place:
    found = FIRST
    for place in places(frames):
        if not is_before(place):
            break
        found = place
    return found


# --- reading ---------------------------------------------------------------------------------------


def decompress(frame: Frame, stored: bytes) -> Piece:
    """`stored` are the bytes of the frame and its times. Their checksum is looked at."""
    try:
        data = zstd.ZstdDecompressor().decompress(stored[: frame.stored_bytes], frame.size_bytes + 1)
    except zstd.ZstdError as error:
        raise Damaged(f"A part of the log is damaged: {error}") from None
    if len(data) != frame.size_bytes:
        raise Damaged(f"A part of the log has {len(data)} bytes instead of {frame.size_bytes}.")
    return Piece(data, told(stored[frame.stored_bytes : frame.stored_bytes + frame.times_bytes]))


def told(stored: bytes) -> list[int]:
    """When the bytes were read; not to know it is no reason not to show them."""
    if not stored:
        return []
    try:
        differences = zstd.decompress(stored[SKIPPED_HEAD.size :])
        numbers = struct.unpack(f"<{len(differences) // 8}q", differences)
    except (zstd.ZstdError, struct.error):
        return []
    before, times = [0, 0], list[int]()
    for place, at in zip(numbers[::2], numbers[1::2], strict=False):
        before = [before[0] + place, before[1] + at]
        times += before
    return times
