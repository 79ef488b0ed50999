"""Indexes of test runs, written anew where they are loose.

The index of the histories grows at as many places as there are tests, so its pages split in the middle and
stay half full; where all tests run equally often, nearly all of them at once. When nothing more is added to a
month, one without any gaps takes half of that. That of the month that grows is made anew with room for some
weeks' worth of runs: after its pages have split, and better before, when hardly one of them has room left.
Making it holds up neither readers nor writers.
"""

from contextlib import suppress
from datetime import datetime

from sqlalchemy import Connection, text
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from changes.base import clock
from changes.base.db import Database
from changes.results import partitions, run_numbers

# An entry of the longest index takes 28 bytes without gaps, 41 with those it gets here, 56 at the worst; all
# else of a run takes 61. Each index has some pages of its own.
ENTRY_MAX_BYTES = 32
GROWING_ENTRY_BYTES = range(30, 47)
FULL_PERCENT, GROWING_PERCENT = 100, 70
RUNS_WORTH_IT = 10_000
# An entry of a flaky day takes 58 bytes where pages are as full as they are made. The newest day of each
# project is added in the middle, which leaves them half full.
DAYS_ENTRY_MAX_BYTES, DAYS_PERCENT = 75, 90
LOOSE_DAYS = """
select oid::regclass::text from pg_class where oid = cast('pk_test_flaky_day' as regclass)
and reltuples >= :worth_it and pg_relation_size(oid) > reltuples * :entry_max
"""
# Of a month that is over the estimates of the last vacuum are right.
LOOSE = """
select month.relname, place.relname
from pg_class month
join pg_index on pg_index.indrelid = month.oid
join pg_class place on place.oid = pg_index.indexrelid
join pg_am on pg_am.oid = place.relam and pg_am.amname = 'btree'
where month.relnamespace = cast(:schema as regnamespace) and month.relkind = 'r'
and month.relname like 'test\\_run\\_%' and place.reltuples >= :worth_it and pg_index.indisvalid
and pg_relation_size(place.oid) > place.reltuples * :entry_max
order by 1, 2
"""
# That which has an entry for each run.
HISTORIES = """
select place.relname, pg_relation_size(place.oid)
from pg_index join pg_class place on place.oid = pg_index.indexrelid
join pg_inherits on pg_inherits.inhrelid = place.oid
where pg_index.indrelid = to_regclass(:month) and pg_index.indisvalid
and pg_inherits.inhparent = cast('ix_test_run_history' as regclass)
"""
PLACES = """
select pg_index.indexrelid::regclass::text from pg_index
join pg_inherits on pg_inherits.inhrelid = pg_index.indexrelid
where pg_index.indrelid = to_regclass(:month)
and pg_inherits.inhparent = cast('ix_test_run_place' as regclass)
"""
PATIENCE_MS = 200
RUNS = "select coalesce(sum(end_id - id), 0)::bigint from test_batch where id >= :begin and id < :end"
# What a packing that was killed left behind; nobody uses it.
LEFT_BEHIND = """
select pg_class.oid::regclass::text from pg_class join pg_index on pg_index.indexrelid = pg_class.oid
where not indisvalid and relname like '%\\_ccnew%'
and (relnamespace = cast(:schema as regnamespace) or relname like 'pk\\_test\\_flaky\\_day%')
"""


def pack(database: Database) -> int:
    """How many indexes were written anew. Outside a transaction, as the database wants it."""
    with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        for place in connection.execute(text(LEFT_BEHIND), {"schema": partitions.SCHEMA}).scalars().all():
            connection.execute(text(f"drop index concurrently {place}"))
        found = loose_days(connection) | {
            f'{partitions.SCHEMA}."{name}"': percent
            for name, percent in loose(connection, partitions.month_of(clock.now())).items()
        }
        for place, percent in found.items():
            connection.execute(text(f"alter index {place} set (fillfactor = {percent})"))
            connection.execute(text(f"reindex index concurrently {place}"))
        return len(found)


def loose_days(connection: Connection) -> dict[str, int]:
    asked = {"worth_it": RUNS_WORTH_IT, "entry_max": DAYS_ENTRY_MAX_BYTES}
    return dict.fromkeys(connection.execute(text(LOOSE_DAYS), asked).scalars(), DAYS_PERCENT)


def note_places(session: Session) -> None:
    """Where on the disk the newest runs are. Not while a vacuum is at the table, which would be stopped."""
    month = f"{partitions.SCHEMA}.{partitions.name_of('test_run', partitions.month_of(clock.now()))}"
    place = session.execute(text(PLACES), {"month": month}).scalar_one_or_none()
    if place is None:
        return
    session.execute(text(f"set local lock_timeout = {PATIENCE_MS}"))
    with suppress(OperationalError), session.begin_nested():
        session.execute(text("select brin_summarize_new_values(cast(:place as regclass))"), {"place": place})


def loose(connection: Connection, this_month: datetime) -> dict[str, int]:
    """How full each of them shall be."""
    asked = {"schema": partitions.SCHEMA, "worth_it": RUNS_WORTH_IT, "entry_max": ENTRY_MAX_BYTES}
    over = connection.execute(text(LOOSE), asked).all()
    found = {name: FULL_PERCENT for month, name in over if partitions.month_called(month) < this_month}
    return found | growing(connection, this_month)


def growing(connection: Connection, this_month: datetime) -> dict[str, int]:
    """The estimates of a vacuum come too late for what grows, so its runs are counted, batch by batch."""
    begin, end = (run_numbers.least_at(each) for each in (this_month, partitions.later(this_month)))
    runs = connection.execute(text(RUNS), {"begin": begin, "end": end}).scalar_one()
    if runs < RUNS_WORTH_IT:
        return {}
    month = f"{partitions.SCHEMA}.{partitions.name_of('test_run', this_month)}"
    return {
        name: GROWING_PERCENT
        for name, size_bytes in connection.execute(text(HISTORIES), {"month": month})
        if size_bytes // runs not in GROWING_ENTRY_BYTES
    }
