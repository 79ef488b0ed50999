"""The months of the big tables: made ahead, so that no run ever finds its month missing."""

from collections.abc import Iterator
from datetime import UTC, datetime

from sqlalchemy import select, text
from sqlalchemy.orm import Session

from changes.base.task import NOW
from changes.results import run_numbers

# Apart from the tables that people look at, and from what migrations compare.
SCHEMA = "months"
TABLES = ("test_run", "test_message")
MONTHS_AHEAD = 3


def make_ahead(session: Session) -> int:
    """Also the month before: a clock may be set back. It is the database's, which numbers the runs."""
    this = month_of(session.execute(select(NOW)).scalar_one().astimezone(UTC))
    return make(session, earlier(this), later(this, MONTHS_AHEAD))


def make(session: Session, first: datetime, last: datetime) -> int:
    """Those of the months from `first` to `last` that are missing; how many there were."""
    known = names(session)
    wanted = [(table, month) for month in months(first, last) for table in TABLES]
    missing = [(table, month) for table, month in wanted if name_of(table, month) not in known]
    for table, month in missing:
        begin, end = run_numbers.least_at(month), run_numbers.least_at(later(month))
        session.execute(
            text(
                f"create table if not exists {SCHEMA}.{name_of(table, month)} partition of {table}"
                f" for values from ({begin}) to ({end})"
            )
        )
    return len(missing)


def names(session: Session) -> set[str]:
    found = text(
        "select relname from pg_class where relkind = 'r' and relnamespace = cast(:name as regnamespace)"
    )
    return set(session.execute(found, {"name": SCHEMA}).scalars())


def name_of(table: str, month: datetime) -> str:
    return f"{table}_{month:%Y_%m}"


def month_called(name: str) -> datetime:
    """The month of a partition, by its name."""
    year, month = name.split("_")[-2:]
    return datetime(int(year), int(month), 1, tzinfo=UTC)


def month_of(at: datetime) -> datetime:
    return datetime(at.year, at.month, 1, tzinfo=UTC)


def later(month: datetime, count: int = 1) -> datetime:
    number = month.year * 12 + month.month - 1 + count
    return datetime(number // 12, number % 12 + 1, 1, tzinfo=UTC)


def earlier(month: datetime) -> datetime:
    return later(month, -1)


def months(first: datetime, last: datetime) -> Iterator[datetime]:
    month = month_of(first)
    while month <= last:
        yield month
        month = later(month)
