"""Indexes of test runs, written anew where they are loose.

The index of the histories grows at as many places as there are tests, so its pages split in the middle and
stay half full, sometimes nearly all of them at once. When nothing more is added to a month, one without any
gaps takes half of that; that of the month that grows is only made anew when it has become very loose, as it
fills up by itself. Making it holds up neither readers nor writers.
"""

from datetime import datetime

from sqlalchemy import Connection, text

from changes.base import clock
from changes.base.db import Database
from changes.results import partitions

# An entry of the longest index takes 28 bytes without gaps, 31 as the database leaves them, 56 at the worst.
# Each index has some pages of its own.
ENTRY_MAX_BYTES, GROWING_ENTRY_MAX_BYTES = 32, 44
FULL_PERCENT, GROWING_PERCENT = 100, 90
RUNS_WORTH_IT = 10_000
LOOSE = """
select month.relname, place.relname, pg_relation_size(place.oid) / place.reltuples
from pg_class month
join pg_index on pg_index.indrelid = month.oid
join pg_class place on place.oid = pg_index.indexrelid
where month.relnamespace = cast(:schema as regnamespace) and month.relkind = 'r'
and month.relname like 'test\\_run\\_%' and place.reltuples >= :worth_it and pg_index.indisvalid
and pg_relation_size(place.oid) > place.reltuples * :entry_max
order by 1, 2
"""
# What a packing that was killed left behind; nobody uses it.
LEFT_BEHIND = """
select relname from pg_class join pg_index on pg_index.indexrelid = pg_class.oid
where relnamespace = cast(:schema as regnamespace) and not indisvalid and relname like '%\\_ccnew%'
"""


def pack(database: Database) -> int:
    """How many indexes were written anew. Outside a transaction, as the database wants it."""
    with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        for name in connection.execute(text(LEFT_BEHIND), {"schema": partitions.SCHEMA}).scalars().all():
            connection.execute(text(f'drop index concurrently {partitions.SCHEMA}."{name}"'))
        found = loose(connection, partitions.month_of(clock.now()))
        for name, percent in found.items():
            place = f'{partitions.SCHEMA}."{name}"'
            connection.execute(text(f"alter index {place} set (fillfactor = {percent})"))
            connection.execute(text(f"reindex index concurrently {place}"))
        return len(found)


def loose(connection: Connection, this_month: datetime) -> dict[str, int]:
    """How full each of them shall be. The estimates are those of the last vacuum."""
    asked = {"schema": partitions.SCHEMA, "worth_it": RUNS_WORTH_IT, "entry_max": ENTRY_MAX_BYTES}
    found: dict[str, int] = {}
    for month, name, entry_bytes in connection.execute(text(LOOSE), asked):
        if partitions.month_called(month) < this_month:
            found[name] = FULL_PERCENT
        elif entry_bytes > GROWING_ENTRY_MAX_BYTES:
            found[name] = GROWING_PERCENT
    return found
