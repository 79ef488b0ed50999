"""What a page about retention tells beside the preview."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import select, text
from sqlalchemy.orm import Session

from changes.builds.models import Build
from changes.results import partitions

STORED = """
select relname, pg_total_relation_size(oid), greatest(reltuples, 0)
from pg_class where relkind = 'r' and relnamespace = cast(:schema as regnamespace)
"""
RUNS = "test_run_"


@dataclass(frozen=True)
class Stored:
    """`runs` is as the database estimates it: nobody counts a billion rows."""

    months: int
    runs: int
    # Of each table of a month.
    sizes: dict[str, int]

    @property
    def size_bytes(self) -> int:
        return sum(self.sizes.values())


def stored(session: Session) -> Stored:
    rows = session.execute(text(STORED), {"schema": partitions.SCHEMA}).all()
    of_runs = [row for row in rows if row[0].startswith(RUNS)]
    sizes = {str(row[0]): int(row[1]) for row in rows}
    return Stored(months=len(of_runs), runs=int(sum(row[2] for row in of_runs)), sizes=sizes)


def pinned(session: Session, *, limit: int) -> Sequence[Build]:
    found = select(Build).where(Build.date_pinned.is_not(None)).order_by(Build.id.desc()).limit(limit)
    return session.execute(found).scalars().all()
