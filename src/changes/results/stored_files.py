"""The same bytes are kept once: which artifact has which file, and how a file goes with its last artifact.

An upload names the file in the transaction that makes its row, so nobody cleans away what is about to be
used; and a file is removed only after the row that named it is gone, under a key that is never used again.
"""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

import psycopg
from psycopg import AsyncConnection
from psycopg.rows import tuple_row
from sqlalchemy import text
from sqlalchemy.orm import Session

from changes.base.storage import Storage

# In one order, so that two who send the same files do not wait in a circle.
NAME = """
insert into stored_file (sha256, size_bytes, key, date_used)
select distinct on (sha256) sha256, size_bytes, key, %(now)s from unnest(
    %(digests)s::text[], %(sizes)s::bigint[], %(keys)s::text[]
) as file (sha256, size_bytes, key) order by sha256
on conflict (sha256) do update set date_used = excluded.date_used
returning sha256, key, size_bytes
"""
MEND = "update stored_file set key = %s where sha256 = %s"
MEND_ROWS = "update artifact set key = %s where sha256 = %s and date_removed is null"
# Rows that others wrote, as an import does.
NAME_MISSING = """
insert into stored_file (sha256, size_bytes, key, date_used)
select distinct on (sha256) sha256, size_bytes, key, now() - interval '1 day' from artifact
where id = any(:ids) order by sha256 on conflict do nothing
"""
TAKE_BACK = """
delete from stored_file where key = any(%s) and not exists (
    select from artifact where artifact.sha256 = stored_file.sha256 and artifact.date_removed is null
) returning key
"""
UNUSED = """
delete from stored_file where sha256 in (
    select sha256 from stored_file file where date_used < now() - make_interval(hours => :hours)
    and not exists (
        select from artifact where artifact.sha256 = file.sha256 and artifact.date_removed is null
    )
    order by date_used limit :limit for update skip locked
) returning key
"""
# What was sent is about to be used; after this time it is not.
UNUSED_AFTER_H = 1


async def name(
    connection: AsyncConnection[Any], storage: Storage, sent: Mapping[str, tuple[str, int]], now: object
) -> dict[str, str]:
    """By digest the key that counts; of bytes that were here before it is another than the one sent.

    `sent` has by digest the new key and the size.
    """
    values = {
        "digests": list(sent),
        "keys": [key for key, _ in sent.values()],
        "sizes": [size for _, size in sent.values()],
        "now": now,
    }
    rows = await (await connection.execute(NAME, values)).fetchall()
    keys = {digest: key for digest, key, _ in rows}
    for digest, key, size_bytes in rows:
        mine = sent[digest][0]
        if key != mine and await asyncio.to_thread(storage.size_of, key) != size_bytes:
            # Somebody removed it behind our back; now it is here again.
            await connection.execute(MEND, [mine, digest])
            await connection.execute(MEND_ROWS, [mine, digest])
            keys[digest] = mine
    return keys


def name_at_once(session: Session, sent: Mapping[str, tuple[str, int]], now: object) -> dict[str, str]:
    """The same for who has no event loop; that what was here before is still there is believed."""
    values = {
        "digests": list(sent),
        "keys": [key for key, _ in sent.values()],
        "sizes": [size for _, size in sent.values()],
        "now": now,
    }
    connection = session.connection().connection.driver_connection
    if not isinstance(connection, psycopg.Connection):
        raise TypeError("files are named by a psycopg connection")
    with connection.cursor(row_factory=tuple_row) as cursor:
        return {digest: key for digest, key, _ in cursor.execute(NAME, values).fetchall()}


async def take_back(connection: AsyncConnection[Any], keys: Sequence[str]) -> set[str]:
    """Of keys that were named in this transaction those that nothing came to use."""
    if not keys:
        return set()
    return {row[0] for row in await (await connection.execute(TAKE_BACK, [list(keys)])).fetchall()}


def let_go(session: Session, *, limit: int, after_h: int = UNUSED_AFTER_H) -> list[str]:
    """Forgets files that no artifact has; their keys are to be removed once this is committed."""
    return list(session.execute(text(UNUSED), {"hours": after_h, "limit": limit}).scalars())


def name_missing(session: Session, artifact_ids: Sequence[object]) -> None:
    session.execute(text(NAME_MISSING), {"ids": list(artifact_ids)})
