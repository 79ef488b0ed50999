"""Folders of a project as the original told them: what is no choice is left out of the way down."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy.orm import Session

from changes.base.paging import Page
from changes.results import testtree
from changes.results.coverage import queries
from changes.results.coverage.queries import Counts

FILES_MAX = 100_000
SEPARATOR = "/"


@dataclass(frozen=True)
class FolderCounts:
    """All that is called `path`, or lies below it."""

    name: str
    path: str
    file_count: int
    counts: Counts


def below(session: Session, build_id: UUID | None, parent: str) -> list[FolderCounts]:
    """Those with most uncovered lines first."""
    prefix = f"{parent}{SEPARATOR}" if parent else ""
    files = queries.files(session, build_id, prefix, Page(size=FILES_MAX), "name").rows
    covered = {each.path: each.counts.covered for each in files}
    uncovered = {each.path: each.counts.uncovered for each in files}
    totals = {each.path: each.total_ms for each in testtree.groups(covered, SEPARATOR, parent)}
    return [
        FolderCounts(each.name, each.path, each.count, Counts(totals[each.path], each.total_ms))
        for each in testtree.groups(uncovered, SEPARATOR, parent)
    ]


def trail(parent: str) -> Sequence[tuple[str, str]]:
    return testtree.trail(parent, SEPARATOR)
