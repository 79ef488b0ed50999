"""Bytes of snapshots and caches: sent in parts, kept once by their digest, gone when nobody needs them."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from sqlalchemy import or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from changes.base import clock, ids, storage
from changes.base.errors import ChangesError, Conflict, Gone, Invalid, NotFound, TooLarge
from changes.builds.models import JobStep
from changes.builds.rules import Status
from changes.builds.snapshot_models import Blob, BlobUpload, CacheEntry, SnapshotImage
from changes.protocol import PART_MAX_BYTES

SHA256_CHARS = 64
BLOB_MAX_BYTES = 64 * 2**30
# What was sent is about to be used; after this time it is not.
UNUSED_AFTER = timedelta(hours=1)
FORGOTTEN_AFTER = timedelta(days=1)
CLEANED_AT_ONCE = 100


class OffsetExpected(ChangesError):
    """Bytes are missing before these."""

    def __init__(self, offset: int) -> None:
        super().__init__(f"There are {offset} bytes of it; please go on from there.", ["offset"])
        self.offset = offset


@dataclass(frozen=True)
class Holder:
    """A step, and the machine that holds it."""

    step_id: UUID
    node_id: UUID


@dataclass(frozen=True)
class Part:
    sha256: str
    size_bytes: int
    offset: int
    data: bytes


def held(session: Session, holder: Holder) -> JobStep:
    step = session.get(JobStep, holder.step_id)
    if step is None or step.node_id != holder.node_id:
        raise NotFound("This step is not yours.")
    if step.status == Status.FINISHED:
        raise Gone("This step is over.")
    return step


# --- sending -----------------------------------------------------------------------------------


def store_part(session: Session, holder: Holder, part: Part) -> int:
    """How many bytes are here now. OffsetExpected tells whoever begins elsewhere where to go on."""
    held(session, holder)
    check(part)
    upload = upload_of(session, holder.step_id, part)
    if upload.is_whole:
        return part.size_bytes
    if upload.received_bytes != part.offset:
        raise OffsetExpected(upload.received_bytes)
    key = f"blobs/{part.sha256[:2]}/{ids.new().hex}"
    storage.storage.get().put(key, part.data)
    upload.keys = [*upload.keys, key]
    upload.received_bytes += len(part.data)
    upload.date_modified = clock.now()
    if upload.received_bytes == upload.size_bytes:
        finish(session, upload)
    session.flush()
    return upload.received_bytes


def check(part: Part) -> None:
    is_digest = len(part.sha256) == SHA256_CHARS and not set(part.sha256) - set("0123456789abcdef")
    if not is_digest:
        raise Invalid("A digest has 64 hexadecimal digits.", ["sha256"])
    if part.size_bytes > BLOB_MAX_BYTES:
        raise TooLarge(f"What is kept has at most {BLOB_MAX_BYTES} bytes.")
    ends_at = part.offset + len(part.data)
    if not part.data or not 0 <= part.offset < part.size_bytes or ends_at > part.size_bytes:
        raise Invalid("offset is the number of bytes that are stored already.", ["offset"])
    if ends_at < part.size_bytes and len(part.data) != PART_MAX_BYTES:
        raise Invalid(f"Each part but the last has {PART_MAX_BYTES} bytes.")


def upload_of(session: Session, step_id: UUID, part: Part) -> BlobUpload:
    new = {"step_id": step_id, "sha256": part.sha256, "size_bytes": part.size_bytes, "received_bytes": 0}
    row = insert(BlobUpload).values(**new, keys=[], is_whole=False, date_modified=clock.now())
    session.execute(row.on_conflict_do_nothing())
    mine = select(BlobUpload).where(BlobUpload.step_id == step_id, BlobUpload.sha256 == part.sha256)
    fresh = mine.with_for_update().execution_options(populate_existing=True)
    upload = session.execute(fresh).scalar_one()
    if upload.size_bytes != part.size_bytes:
        raise Conflict("This was begun with another size.", ["size"])
    return upload


def finish(session: Session, upload: BlobUpload) -> None:
    """What does not have its digest begins anew."""
    whole = hashlib.sha256()
    for data in parts(upload.keys, 0):
        whole.update(data)
    if whole.hexdigest() != upload.sha256:
        drop_keys(upload.keys)
        upload.keys, upload.received_bytes = [], 0
        raise Conflict("What came has another digest.", ["sha256"])
    blob = {"sha256": upload.sha256, "size_bytes": upload.size_bytes, "keys": upload.keys}
    row = insert(Blob).values(**blob, date_sent=clock.now()).on_conflict_do_nothing().returning(Blob.sha256)
    if session.execute(row).scalar_one_or_none() is None:
        # Somebody has sent the same before.
        touched = update(Blob).where(Blob.sha256 == upload.sha256).values(date_sent=clock.now())
        session.execute(touched.execution_options(synchronize_session=False))
        drop_keys(upload.keys)
    upload.keys, upload.is_whole = [], True


def sent_by(session: Session, step_id: UUID, sha256: str) -> Blob:
    """Kept from being cleaned away until the end of the transaction."""
    mine = select(Blob).join(BlobUpload, BlobUpload.sha256 == Blob.sha256)
    mine = mine.where(BlobUpload.step_id == step_id, BlobUpload.is_whole, Blob.sha256 == sha256)
    found = session.execute(mine.with_for_update(of=Blob, key_share=True, read=True)).scalar_one_or_none()
    if found is None:
        raise Conflict("This step has not sent these bytes.", ["sha256"])
    return found


# --- reading -----------------------------------------------------------------------------------


def read(session: Session, sha256: str, offset: int) -> Iterator[bytes]:
    blob = session.get(Blob, sha256)
    if blob is None:
        raise Conflict("These bytes are not here any more.", ["sha256"])
    if not 0 <= offset <= blob.size_bytes:
        raise Invalid("offset lies behind its end.", ["offset"])
    keys = list(blob.keys)
    if any(storage.storage.get().size_of(key) is None for key in {keys[0], keys[-1]}):
        raise Conflict("These bytes are lost: they are not in the store.", ["sha256"])
    return parts(keys, offset)


def parts(keys: Sequence[str], offset: int) -> Iterator[bytes]:
    """Each but the last has the same size, so nothing is read in vain."""
    store = storage.storage.get()
    passed_over, within = divmod(offset, PART_MAX_BYTES)
    for key in keys[passed_over:]:
        for data in store.read(key):
            yield data[within:]
            within = max(0, within - len(data))


# --- cleaning ----------------------------------------------------------------------------------


def drop_keys(keys: Sequence[str]) -> None:
    for key in keys:
        storage.storage.get().delete(key)


def clean(session: Session) -> int:
    return clean_uploads(session) + clean_blobs(session)


def clean_uploads(session: Session) -> int:
    is_over = select(JobStep.id).where(JobStep.id == BlobUpload.step_id, JobStep.status == Status.FINISHED)
    is_forgotten = BlobUpload.date_modified < clock.now() - FORGOTTEN_AFTER
    old = select(BlobUpload).where(or_(is_over.exists(), is_forgotten)).limit(CLEANED_AT_ONCE)
    found = list(session.execute(old.with_for_update(skip_locked=True)).scalars())
    for upload in found:
        drop_keys(upload.keys)
        session.delete(upload)
    return len(found)


def clean_blobs(session: Session) -> int:
    """First the bytes: should we die in between, the row still says what is left to do."""
    cached = select(CacheEntry.id).where(CacheEntry.sha256 == Blob.sha256)
    imaged = select(SnapshotImage.id).where(SnapshotImage.sha256 == Blob.sha256)
    is_old = Blob.date_sent < clock.now() - UNUSED_AFTER
    unused = select(Blob).where(is_old, ~cached.exists(), ~imaged.exists()).limit(CLEANED_AT_ONCE)
    found = list(session.execute(unused.with_for_update(skip_locked=True)).scalars())
    for blob in found:
        drop_keys(blob.keys)
        session.delete(blob)
    session.flush()
    return len(found)
