"""What a page about retention tells beside the preview."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import select, text
from sqlalchemy.orm import Session

from changes.builds.models import Build
from changes.projects.models import Project, ProjectOption
from changes.projects.options import TESTS_KEEP_MONTHS
from changes.results import partitions

OWN_SHOWN = 100
STORED = """
select count(*) filter (where relname like 'test\\_run\\_%'), coalesce(sum(pg_total_relation_size(oid)), 0),
    coalesce(sum(greatest(reltuples, 0)) filter (where relname like 'test\\_run\\_%'), 0)
from pg_class where relkind = 'r' and relnamespace = cast(:schema as regnamespace)
"""


@dataclass(frozen=True)
class Stored:
    """`runs` is as the database estimates it: nobody counts a billion rows."""

    months: int
    size_bytes: int
    runs: int


def stored(session: Session) -> Stored:
    row = session.execute(text(STORED), {"schema": partitions.SCHEMA}).one()
    return Stored(months=row[0], size_bytes=int(row[1]), runs=int(row[2]))


def projects_with_own(session: Session) -> list[tuple[Project, int]]:
    """Those that do not keep their runs as long as the server says; 0 is for ever."""
    own = select(Project, ProjectOption.value).join(ProjectOption, ProjectOption.project_id == Project.id)
    mine = own.where(ProjectOption.name == TESTS_KEEP_MONTHS).order_by(Project.name).limit(OWN_SHOWN)
    return [(row[0], int(row[1])) for row in session.execute(mine)]


def pinned(session: Session, *, limit: int) -> Sequence[Build]:
    found = select(Build).where(Build.date_pinned.is_not(None)).order_by(Build.id.desc()).limit(limit)
    return session.execute(found).scalars().all()
