"""Files that no row names: left by somebody who died between both, or by a log that was packed since
(log_packing.py). They go when they are a day old.

Only what lies where we ourselves put files is looked at; whatever else shares the store is not ours.
"""

import itertools
import time
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from sqlalchemy import text

from changes.base import clock, db, ids
from changes.base.storage import Storage
from changes.results import keeping
from changes.results.keeping_models import CleanUp

KIND = "files without a row"
FORGOTTEN_AFTER = timedelta(days=1)
LOOKED_AT_ONCE = 20_000
# Where which files lie, and who names them.
NAMED = {
    "artifacts": """
        select key from stored_file where key = any(:keys)
        union all select key from artifact where key = any(:keys)
    """,
    "logs": "select key from log_chunk where key = any(:keys)",
    "uploads": "select unnest(keys) from artifact_upload",
    "marks": """
        select mark from unnest(cast(:keys as text[])) as mark
        where exists (select from stored_file where sha256 = substr(mark, length('marks/') + 1))
    """,
    "blobs": "select unnest(keys) from blob union all select unnest(keys) from blob_upload",
}


def sweep(storage: Storage, *, older_than: timedelta = FORGOTTEN_AFTER, asked_by: str = "") -> CleanUp | None:
    """None where nothing was lost."""
    began, items, freed_bytes = time.monotonic(), 0, 0
    for prefix, question in NAMED.items():
        for batch in batches(storage, prefix, clock.now() - older_than):
            with db.transaction() as session:
                named = set(session.execute(text(question), {"keys": batch}).scalars())
            lost = [key for key in batch if key not in named]
            items += len(lost)
            freed_bytes += keeping.remove_bytes(storage, lost)
    if not items:
        return None
    took_ms = round((time.monotonic() - began) * 1000)
    noted = CleanUp(
        id=ids.new(), date_created=clock.now(), kind=KIND, asked_by=asked_by, items=items, took_ms=took_ms
    )
    noted.size_bytes = noted.freed_bytes = freed_bytes
    with db.transaction() as session:
        session.add(noted)
    return noted


def batches(storage: Storage, prefix: str, before: datetime) -> Iterator[Sequence[str]]:
    old = (key for key, _, written in storage.keys(prefix) if written < before)
    while batch := list(itertools.islice(old, LOOKED_AT_ONCE)):
        yield batch
