"""Logs of steps that are over, as they are kept: compressed, in one piece, with an index of their lines.

A short one stays where it is, a longer one becomes one row, a large one a blob (log_frames.py). First the new
form is written and read again, then one transaction puts it in the place of the old rows: whoever dies in
between leaves the old rows, and a blob that nobody names. Such blobs, and those that the old rows named, are
swept away a day later (orphans.py). Readers see one form or the other. A log of which something is missing
stays as it is.
"""

import hashlib
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from uuid import UUID

import structlog

from changes.base import db, ids, questions, storage
from changes.base.db import Session
from changes.base.storage import Storage
from changes.results import log_chunks, log_frames
from changes.results.log_chunks import Chunk
from changes.results.log_frames import FRAME_BYTES, KEPT_LEVEL, Frame, Piece

AT_ONCE_S = 60.0
LOOKED_AT = 200
# So short a log in one row is not worth the work.
LEFT_MAX_BYTES = 2048
# So much is packed in one transaction, as long as each of them is not larger.
TOGETHER_MAX_BYTES = 8 * 1024 * 1024
SMALL_MAX_BYTES = 1024 * 1024
# What is not longer, compressed, is kept in its row.
ROW_MAX_BYTES = 8192
LOOSE = """
select source.id, source.size_bytes from log_source source join job_step step on step.id = source.step_id
where not source.is_packed and step.status = 3 and source.date_removed is null
    and not source.id = any(%(but)s)
order by source.id limit %(limit)s
"""
LEAVE = """
update log_source set is_packed = true where id = any(%(ids)s) and size_bytes <= %(max)s and not is_packed
    and (select count(*) from log_chunk where source_id = log_source.id) <= 1
returning id
"""
# Nobody adds to it until we have ended. One that somebody has packed or removed meanwhile is not there.
LOCK = """
select id, size_bytes from log_source
where id = any(%(ids)s) and not is_packed and date_removed is null order by id for update skip locked
"""
SWITCH = """
with old as (delete from log_chunk where source_id = %(id)s)
update log_source set is_packed = true, newlines = %(newlines)s where id = %(id)s
"""
ADD = """
insert into log_chunk (source_id, "offset", size_bytes, data, lines_before, frames, packed, key, stored_bytes)
values (%(id)s, 0, %(size)s, '', 0, %(frames)s, %(packed)s, %(key)s, %(stored_bytes)s)
"""
LEAVE_AS_IT_IS = "update log_source set is_packed = true where id = %(id)s"

log = structlog.get_logger()


class Incomplete(Exception):
    """Something of the log is missing or damaged."""


@dataclass(frozen=True)
class Loose:
    id: UUID
    size_bytes: int


@dataclass
class Packed:
    """The new form of a log."""

    source: Loose
    frames: list[Frame]
    # In the row, or else in the blob store.
    stored: bytes | None
    key: str | None
    stored_bytes: int
    digest: str


@dataclass
class Result:
    """What one look did."""

    seen: int = 0
    failed: list[UUID] = field(default_factory=list)


def pack_all(*, at_once_s: float = AT_ONCE_S) -> None:
    """What there is, for a while; the next look goes on."""
    ends_at = time.monotonic() + at_once_s
    failed: list[UUID] = []
    while time.monotonic() < ends_at:
        result = pack_some(failed)
        failed += result.failed
        if not result.seen:
            return


def pack_some(but: Sequence[UUID] = ()) -> Result:
    """`but` are those that could not be packed a moment ago."""
    store = storage.storage.get()
    with db.transaction() as session:
        asked = {"but": list(but), "limit": LOOKED_AT}
        found = [Loose(*row) for row in questions.ask(session, LOOSE, asked)]
        left = leave_short(session, [source.id for source in found])
    loose = [source for source in found if source.id not in left]
    result = Result(len(found))
    for batch in batches(loose):
        if len(batch) == 1 and batch[0].size_bytes > SMALL_MAX_BYTES:
            pack_large(store, batch[0], result)
        else:
            pack_small(store, batch, result)
    return result


def leave_short(session: Session, source_ids: list[UUID]) -> set[UUID]:
    asked = {"ids": source_ids, "max": LEFT_MAX_BYTES}
    return {row[0] for row in questions.ask(session, LEAVE, asked)}


def batches(loose: Sequence[Loose]) -> Iterator[list[Loose]]:
    batch: list[Loose] = []
    size = 0
    for source in loose:
        if source.size_bytes > SMALL_MAX_BYTES:
            yield [source]
            continue
        if size + source.size_bytes > TOGETHER_MAX_BYTES:
            yield batch
            batch, size = [], 0
        batch.append(source)
        size += source.size_bytes
    if batch:
        yield batch


# --- packing -----------------------------------------------------------------------------------------


def pack_small(store: Storage, batch: Sequence[Loose], result: Result) -> None:
    """In memory, and all of them in one transaction."""
    with db.transaction() as session:
        locked = [
            Loose(*row) for row in questions.ask(session, LOCK, {"ids": [source.id for source in batch]})
        ]
        result.failed += {source.id for source in batch} - {source.id for source in locked}
        made: list[Packed] = []
        blobs: dict[str, bytes] = {}
        for source in locked:
            try:
                packed, stored = in_memory(session, store, source)
            except Incomplete as why:
                leave_as_it_is(session, source, why)
                continue
            made.append(packed)
            if packed.key is not None:
                blobs[packed.key] = stored
        if blobs:
            store.put_all(blobs)
        for packed in made:
            switch(session, store, packed)


def in_memory(session: Session, store: Storage, source: Loose) -> tuple[Packed, bytes]:
    packer = Packer(store)
    stored = b"".join(packer.through(session, source))
    if len(stored) <= ROW_MAX_BYTES:
        return packer.made(source, stored=stored), stored
    return packer.made(source, key=new_key(source)), stored


def pack_large(store: Storage, source: Loose, result: Result) -> None:
    """Piece by piece, and without holding the log while that takes its time."""
    packer, key = Packer(store), new_key(source)
    try:
        with db.transaction() as session:
            store.put_pieces(key, packer.through(session, source))
    except Incomplete as why:
        with db.transaction() as session:
            leave_as_it_is(session, source, why)
        return
    packed = packer.made(source, key=key)
    check(store, packed)
    with db.transaction() as session:
        locked = [Loose(*row) for row in questions.ask(session, LOCK, {"ids": [source.id]})]
        if locked == [source]:
            switch(session, store, packed, is_checked=True)
        else:
            result.failed.append(source.id)


def new_key(source: Loose) -> str:
    return f"logs/{source.id.hex}/{ids.new().hex}"


def switch(session: Session, store: Storage, packed: Packed, *, is_checked: bool = False) -> None:
    """The new rows for the old. Blobs of the old ones stay a day: somebody may be reading one, or copying
    the store for a backup of the database as it was a moment ago.
    """
    if not is_checked:
        check(store, packed)
    asked = {
        "id": packed.source.id,
        "size": packed.source.size_bytes,
        "newlines": sum(frame.newlines for frame in packed.frames),
        "frames": log_frames.index(packed.frames),
        "packed": packed.stored,
        "key": packed.key,
        "stored_bytes": packed.stored_bytes,
    }
    session.connection().exec_driver_sql(SWITCH, asked)
    if packed.frames:
        session.connection().exec_driver_sql(ADD, asked)


def leave_as_it_is(session: Session, source: Loose, why: Incomplete) -> None:
    log.warning("a log is not whole", source=source.id.hex, why=str(why))
    session.connection().exec_driver_sql(LEAVE_AS_IT_IS, {"id": source.id})


# --- one log -----------------------------------------------------------------------------------------


class Packer:
    """Makes a blob of the rows of a log."""

    def __init__(self, store: Storage) -> None:
        self._store = store
        self._frames: list[Frame] = []
        self._digest = hashlib.sha256()
        self._waiting = bytearray()
        self._times: list[int] = []
        self._stored_bytes = 0

    def through(self, session: Session, source: Loose) -> Iterator[bytes]:
        position, limit = 0, log_chunks.ROWS_MIN
        while found := log_chunks.rows_from(session, source.id, position, limit):
            for chunk in found:
                if chunk.offset != position:
                    raise Incomplete(f"bytes from {position} on are missing")
                yield from self._of_chunk(chunk)
                position = chunk.end
            limit = log_chunks.next_limit(found)
        if position != source.size_bytes:
            raise Incomplete(f"{position} bytes of {source.size_bytes} are there")
        yield from self._all_that_waits()
        yield self._counted(log_frames.table(self._frames))

    def made(self, source: Loose, *, stored: bytes | None = None, key: str | None = None) -> Packed:
        return Packed(source, self._frames, stored, key, self._stored_bytes, self._digest.hexdigest())

    def _of_chunk(self, chunk: Chunk) -> Iterator[bytes]:
        if chunk.frames is not None:
            yield from self._all_that_waits()
            yield from self._compressed(chunk)
            return
        if len(chunk.data) != chunk.size_bytes:
            raise Incomplete(f"a row at {chunk.offset} has {len(chunk.data)} bytes of {chunk.size_bytes}")
        self._digest.update(chunk.data)
        begins = chunk.offset - len(self._waiting)
        self._times += [
            number - begins if even % 2 == 0 else number for even, number in enumerate(chunk.times or ())
        ]
        self._waiting += chunk.data
        if len(self._waiting) >= FRAME_BYTES:
            yield from self._whole_frames()

    def _compressed(self, chunk: Chunk) -> Iterator[bytes]:
        """As it is: what is compressed once is not unpacked but to see that it can be."""
        for frame, stored in log_chunks.stored_frames(self._store, chunk):
            if stored is None:
                raise Incomplete(f"the blob {chunk.key} is gone")
            try:
                piece = log_frames.decompress(frame, stored)
            except log_frames.Damaged as error:
                raise Incomplete(error.message) from None
            self._digest.update(piece.data)
            self._frames.append(frame)
            yield self._counted(stored)

    def _whole_frames(self) -> Iterator[bytes]:
        whole = len(self._waiting) // FRAME_BYTES * FRAME_BYTES
        pieces = list(log_frames.cut(Piece(bytes(self._waiting), self._times)))
        for piece in pieces:
            if len(piece.data) == FRAME_BYTES:
                yield self._frame(piece)
        rest = pieces[-1] if len(pieces[-1].data) < FRAME_BYTES else Piece(b"")
        del self._waiting[:whole]
        self._times = list(rest.times)

    def _all_that_waits(self) -> Iterator[bytes]:
        for piece in log_frames.cut(Piece(bytes(self._waiting), self._times)):
            yield self._frame(piece)
        self._waiting.clear()
        self._times = []

    def _frame(self, piece: Piece) -> bytes:
        frame, stored = log_frames.compress(piece, KEPT_LEVEL)
        self._frames.append(frame)
        return self._counted(stored)

    def _counted(self, stored: bytes) -> bytes:
        self._stored_bytes += len(stored)
        return stored


def check(store: Storage, packed: Packed) -> None:
    """Reads what was written."""
    index = log_frames.index(packed.frames)
    chunk = Chunk(0, packed.source.size_bytes, b"", None, 0, index, packed.stored, packed.key)
    digest, size = hashlib.sha256(), 0
    for block in log_chunks.blocks(store, chunk, 0):
        digest.update(block.data)
        size += len(block.data)
    if (size, digest.hexdigest()) != (packed.source.size_bytes, packed.digest):
        raise log_frames.Damaged(f"The log {packed.source.id.hex} was not stored as it was written.")
    if packed.key is not None and store.size_of(packed.key) != packed.stored_bytes:
        raise log_frames.Damaged(f"The blob {packed.key} is not as long as it was written.")
