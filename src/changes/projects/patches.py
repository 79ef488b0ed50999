"""Diffs as they are kept: small ones in their rows, large ones once each in the blob storage."""

import hashlib

from sqlalchemy.orm import Session, undefer

from changes.base import ids
from changes.base.errors import Invalid, NotFound
from changes.base.storage import storage
from changes.projects import diffs
from changes.projects.models import Patch, Revision

IN_ROW_MAX_BYTES = 64 * 1024
LABEL_MAX_CHARS = 128
URL_MAX_CHARS = 2000


def save(session: Session, revision: Revision, diff: bytes, *, label: str = "", url: str = "") -> Patch:
    if url and not url.startswith(("https://", "http://")):
        raise Invalid("The address of a patch begins with http:// or https://.", ["patch[url]"])
    digest, figures = hashlib.sha256(diff).hexdigest(), diffs.figures(diff)
    is_large = len(diff) > IN_ROW_MAX_BYTES
    if is_large:
        keep_blob(digest, diff)
    patch = Patch(
        id=ids.new(),
        repository_id=revision.repository_id,
        parent_revision_sha=revision.sha,
        diff=None if is_large else diff,
        digest=digest,
        size_bytes=len(diff),
        file_count=figures.files,
        added_count=figures.added,
        removed_count=figures.removed,
        fingerprint=figures.fingerprint,
        label=label[:LABEL_MAX_CHARS],
        url=url[:URL_MAX_CHARS],
    )
    session.add(patch)
    session.flush()
    return patch


def keep_blob(digest: str, diff: bytes) -> None:
    """Its name is what it holds, so it is written once, and who writes it again changes nothing."""
    blobs = storage.get()
    if blobs.size_of(key_of(digest)) != len(diff):
        blobs.put(key_of(digest), diff)


def key_of(digest: str) -> str:
    return f"patches/{digest[:2]}/{digest}"


def content(session: Session, patch: Patch) -> bytes:
    """The bytes as they were handed in; what the storage gives is believed only if it is that."""
    row = session.get_one(Patch, patch.id, options=[undefer(Patch.diff)])
    if row.diff is not None:
        return row.diff
    diff = b"".join(storage.get().read(key_of(row.digest)))
    if hashlib.sha256(diff).hexdigest() != row.digest:
        raise NotFound("The stored patch is damaged.")
    return diff
