"""Indexes of the months that are over, written anew.

The index of the histories grows at as many places as there are tests, so its pages split in the middle and
stay half full. When nothing more is added to a month, a dense one takes a third less; making it holds up
neither readers nor writers.
"""

from datetime import datetime

from sqlalchemy import Connection, text

from changes.base import clock
from changes.base.db import Database
from changes.results import partitions

# A dense entry of the longest index takes 31 bytes, and each index has some pages of its own.
ENTRY_MAX_BYTES = 36
RUNS_WORTH_IT = 10_000
LOOSE = """
select month.relname, place.relname
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
        for name in found:
            connection.execute(text(f'reindex index concurrently {partitions.SCHEMA}."{name}"'))
        return len(found)


def loose(connection: Connection, this_month: datetime) -> list[str]:
    """Of months before this one. The estimates are those of the last vacuum."""
    asked = {"schema": partitions.SCHEMA, "worth_it": RUNS_WORTH_IT, "entry_max": ENTRY_MAX_BYTES}
    rows = connection.execute(text(LOOSE), asked).all()
    return [row[1] for row in rows if partitions.month_called(row[0]) < this_month]
