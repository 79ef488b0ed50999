"""How long runs of tests are kept: by month, as each project says, and for ever where a build is pinned.

The sums of the days stay for ever. A month is one transaction: readers see it as it was or as it is, and
wait only while the tables change places.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from sqlalchemy import Integer, cast, func, select, text
from sqlalchemy.orm import Session

from changes.builds import pins
from changes.projects.models import Project, ProjectOption
from changes.projects.options import TESTS_KEEP_MONTHS
from changes.results import partitions, retention_rules, run_numbers, two_clocks
from changes.results.retention_rules import Way

LOCK_NUMBER = 0x72657461696E  # "retain"
# Whoever reads for longer is not waited for: the next time will do.
WAIT_MAX_S = 5
KEYS = {"test_run": "id", "test_message": "run_id"}
# What was never summed up would be lost for the sums, too; what runs is not yet over.
IS_GONE = """
    batch.id < asked.least_kept and batch.is_summed_up and build.date_pinned is null and build.status = 3
"""
BATCHES = f"""
from test_batch batch
join build on build.id = batch.build_id
join unnest(cast(:project_ids as uuid[]), cast(:least_kept as bigint[])) as asked (project_id, least_kept)
    on asked.project_id = batch.project_id
cross join lateral (select coalesce({IS_GONE}, false) as is_gone) told
where batch.id >= :begin and batch.id < :end
"""
COUNTS = f"""
select date_trunc('month', to_timestamp(:epoch + (batch.id >> :second_bits)) at time zone 'UTC'),
    coalesce(sum(batch.end_id - batch.id) filter (where not is_gone), 0),
    coalesce(sum(batch.end_id - batch.id) filter (where is_gone), 0)
{BATCHES} group by 1
"""
NEWLY_KEPT = "select count(*) {batches} and not is_gone and batch.id in (select id from gone_batch)"
# The number of a batch is in that of each of its runs: by it both sides are put together at once.
COPY = """
insert into {new} ({columns}) select {columns_of_run}
from kept_batch batch join {old} run on run.{key} & {mask} = batch.id and run.{key} < batch.end_id
order by run.{key}
"""
DELETE = """
delete from {table} run using gone_batch gone where run.{key} & {mask} = gone.id and run.{key} < gone.end_id
"""
SIZES = """
select relname, pg_total_relation_size(oid) from pg_class
where relkind = 'r' and relnamespace = cast(:schema as regnamespace)
"""


@dataclass(frozen=True)
class Month:
    """What would become of a month, told in runs and bytes; `bytes_back` is about what the disk gains."""

    month: datetime
    way: Way
    kept: int
    gone: int
    size_bytes: int
    bytes_back: int


@dataclass(frozen=True)
class Limits:
    """For each project, the least number that it keeps."""

    project_ids: Sequence[UUID]
    least_kept: Sequence[int]
    # For what deleted ones left behind.
    usual: int

    @property
    def most(self) -> int:
        """Nothing from here on goes."""
        return max([*self.least_kept, self.usual])


class Changed(Exception):
    """Something was pinned while the rest was moved; nothing was done, and the next time will do."""


# --- looking -----------------------------------------------------------------------------


def preview(session: Session, *, keep_months: int, sizes: Mapping[str, int] | None = None) -> list[Month]:
    """The months of which something would go now, oldest first. `sizes` of their tables where they are
    known already.
    """
    limits = limits_of(session, keep_months)
    sizes = sizes_of(session) if sizes is None else sizes
    past = [month for month in stored_months(sizes) if run_numbers.least_at(month) < limits.most]
    counts = counted(session, limits)
    told = [told_month(month, counts.get(month, (0, 0)), sizes) for month in past]
    return [month for month in told if month.way != Way.KEEP]


def sizes_of(session: Session) -> dict[str, int]:
    rows = session.execute(text(SIZES), {"schema": partitions.SCHEMA})
    return {row[0]: row[1] for row in rows}


def size_of(sizes: Mapping[str, int], month: datetime) -> int:
    return sum(sizes.get(partitions.name_of(table, month), 0) for table in partitions.TABLES)


def limits_of(session: Session, keep_months: int) -> Limits:
    option = (ProjectOption.project_id == Project.id) & (ProjectOption.name == TESTS_KEEP_MONTHS)
    months = func.coalesce(cast(ProjectOption.value, Integer), keep_months)
    rows = session.execute(select(Project.id, months).outerjoin(ProjectOption, option)).all()
    now = two_clocks.earlier(session)
    return Limits(
        project_ids=[row[0] for row in rows],
        least_kept=[retention_rules.least_kept(now, row[1]) for row in rows],
        usual=retention_rules.least_kept(now, keep_months),
    )


def stored_months(sizes: Mapping[str, int]) -> list[datetime]:
    names = sorted(name for name in sizes if name.startswith("test_run_"))
    return [partitions.month_called(name) for name in names]


def counted(session: Session, limits: Limits) -> dict[datetime, tuple[int, int]]:
    """Of each month, how many runs stay and how many go."""
    asked = {
        **bounds(limits, 0, limits.most),
        "epoch": run_numbers.EPOCH.timestamp(),
        "second_bits": run_numbers.SERIAL_BITS + run_numbers.RUN_BITS,
    }
    rows = session.execute(text(COUNTS), asked)
    return {partitions.month_of(row[0]): (int(row[1]), int(row[2])) for row in rows}


def bounds(limits: Limits, begin: int, end: int) -> dict[str, object]:
    return {
        "project_ids": list(limits.project_ids),
        "least_kept": list(limits.least_kept),
        "begin": begin,
        "end": end,
    }


def told_month(month: datetime, counts: tuple[int, int], sizes: Mapping[str, int]) -> Month:
    kept, gone = counts
    how = retention_rules.way(kept=kept, gone=gone)
    size = size_of(sizes, month)
    back = retention_rules.bytes_back(size, kept=kept, gone=gone, how=how)
    return Month(month, how, kept, gone, size, back)


# --- doing -------------------------------------------------------------------------------


def tidy(session: Session, month: datetime, *, keep_months: int) -> Month | None:
    """Does what the preview tells of this month, and tells what came back as it is measured afterwards.

    None where nothing is to be done, or another one does it.
    """
    alone = text("select pg_try_advisory_xact_lock(:number)")
    if not session.execute(alone, {"number": LOCK_NUMBER}).scalar():
        return None
    session.execute(text(f"set local lock_timeout = '{WAIT_MAX_S}s'"))
    told = next((each for each in preview(session, keep_months=keep_months) if each.month == month), None)
    if told is None:
        return None
    choose(session, month, keep_months)
    if told.way == Way.MOVE:
        copy_kept(session, month)
    # What was pinned until here was perhaps not copied. From here on nothing is.
    pins.hold_still(session)
    refuse_newly_kept(session, month, keep_months)
    session.execute(text("delete from test_batch using gone_batch gone where gone.id = test_batch.id"))
    {Way.DROP: drop, Way.MOVE: swap, Way.DELETE: delete}[told.way](session, month)
    for table in ("kept_batch", "gone_batch"):
        session.execute(text(f"drop table {table}"))
    return replace(told, bytes_back=max(0, told.size_bytes - size_of(sizes_of(session), month)))


def choose(session: Session, month: datetime, keep_months: int) -> None:
    asked = bounds(limits_of(session, keep_months), *numbers_of(month))
    for table, condition in (("kept_batch", "not is_gone"), ("gone_batch", "is_gone")):
        chosen = f"select batch.id, batch.end_id {BATCHES} and {condition}"
        session.execute(text(f"create temporary table {table} on commit drop as {chosen}"), asked)
        session.execute(text(f"analyze {table}"))


def refuse_newly_kept(session: Session, month: datetime, keep_months: int) -> None:
    asked = bounds(limits_of(session, keep_months), *numbers_of(month))
    if session.execute(text(NEWLY_KEPT.format(batches=BATCHES)), asked).scalar():
        raise Changed(f"Something of {month:%B %Y} was pinned just now.")


def numbers_of(month: datetime) -> tuple[int, int]:
    return run_numbers.least_at(month), run_numbers.least_at(partitions.later(month))


def copy_kept(session: Session, month: datetime) -> None:
    """Into tables that are no part of anything yet: people go on reading the old ones."""
    begin, end = numbers_of(month)
    for table, key in KEYS.items():
        old, new = place_of(table, month), f"{place_of(table, month)}_new"
        session.execute(text(f"lock table {old} in share mode"))
        session.execute(text(f"create table {new} (like {old} including all)"))
        session.execute(text(copying(old, new, key, columns_of(session, old))))
        # What is known to fit is not looked at again when it becomes a part.
        session.execute(
            text(f"alter table {new} add constraint fits check ({key} >= {begin} and {key} < {end})")
        )
        session.execute(text(f"analyze {new}"))


def copying(old: str, new: str, key: str, columns: Sequence[str]) -> str:
    of_run = ", ".join(f"run.{name}" for name in columns)
    named = {"old": old, "new": new, "key": key, "mask": run_numbers.BATCH_MASK}
    return COPY.format(columns=", ".join(columns), columns_of_run=of_run, **named)


def columns_of(session: Session, table: str) -> list[str]:
    found = text(
        "select quote_ident(attname) from pg_attribute where attrelid = cast(:table as regclass)"
        " and attnum > 0 and not attisdropped order by attnum"
    )
    return list(session.execute(found, {"table": table}).scalars())


def swap(session: Session, month: datetime) -> None:
    begin, end = numbers_of(month)
    drop(session, month)
    for table in partitions.TABLES:
        place, name = place_of(table, month), partitions.name_of(table, month)
        session.execute(text(f"alter table {place}_new rename to {name}"))
        session.execute(
            text(f"alter table {table} attach partition {place} for values from ({begin}) to ({end})")
        )
        session.execute(text(f"alter table {place} drop constraint fits"))


def drop(session: Session, month: datetime) -> None:
    for table in partitions.TABLES:
        session.execute(text(f"drop table {place_of(table, month)}"))


def delete(session: Session, month: datetime) -> None:
    for table, key in KEYS.items():
        session.execute(
            text(DELETE.format(table=place_of(table, month), key=key, mask=run_numbers.BATCH_MASK))
        )


def place_of(table: str, month: datetime) -> str:
    return f"{partitions.SCHEMA}.{partitions.name_of(table, month)}"
