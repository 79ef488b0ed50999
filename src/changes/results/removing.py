"""Removes builds with all that belongs to them, so many rows in a transaction: a million runs of tests hold
nobody's locks for minutes.

What is to go is marked first (builds/removal.py), and pinned no more from then on. Whoever is killed in the
middle leaves the mark, and the next that cleans goes on where he was.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar
from uuid import UUID

from sqlalchemy import select, text
from sqlalchemy.orm import Session

from changes.base import db
from changes.builds import removal
from changes.results import keeping_statements as statements
from changes.results import stored_files
from changes.results.models import TestBatch

# A second or less of work: of runs of tests, of files, of logs, and of steps with what hangs on them.
RUNS_AT_ONCE, FILES_AT_ONCE, LOGS_AT_ONCE, STEPS_AT_ONCE = 50_000, 2_000, 100, 2_000
BUILDS_AT_ONCE = 100
T = TypeVar("T")


@dataclass
class Gone:
    """What went, as it is counted on the way."""

    items: int = 0
    size_bytes: int = 0
    keys: list[str] = field(default_factory=list)
    # What rows had, which is room for new rows.
    row_bytes: int = 0


@dataclass(frozen=True)
class Span:
    """Numbers of runs of one batch, from `low` to below `high`."""

    batch: int
    low: int
    high: int

    @property
    def size(self) -> int:
        return self.high - self.low


def spans(batches: Iterable[tuple[int, int]], most: int) -> Iterator[Span]:
    """`batches` have the first number and the one after the last."""
    for batch, end in batches:
        for low in range(batch, end, most):
            yield Span(batch, low, min(low + most, end))


def groups(things: Iterable[T], size_of: Callable[[T], int], most: int) -> Iterator[list[T]]:
    """As many of them together as are no more than `most`, but one at least. Pure."""
    group: list[T] = []
    size = 0
    for thing in things:
        if group and size + size_of(thing) > most:
            yield group
            group, size = [], 0
        group.append(thing)
        size += size_of(thing)
    if group:
        yield group


def go_on() -> Iterator[Gone]:
    """With what somebody was stopped at."""
    last: list[UUID] = []
    while True:
        with db.transaction() as session:
            found = removal.begun(session, limit=BUILDS_AT_ONCE)
        # What cannot be removed is tried once.
        if not found or found == last:
            return
        yield from parts(found)
        last = found


def parts(build_ids: Sequence[UUID]) -> Iterator[Gone]:
    """All of builds whose removal has begun; each part is committed when it is handed over."""
    yield from until_none(build_ids, remove_some_logs)
    yield from until_none(build_ids, remove_some_files)
    with db.transaction() as session:
        mine = select(TestBatch.id, TestBatch.end_id).where(TestBatch.build_id.in_(build_ids))
        batches = [(row[0], row[1]) for row in session.execute(mine.order_by(TestBatch.id))]
        steps = removal.steps_of(session, build_ids)
    for group in groups(spans(batches, RUNS_AT_ONCE), lambda span: span.size, RUNS_AT_ONCE):
        with db.transaction() as session:
            remove_runs(session, removal.hold(session, build_ids), group)
        yield Gone()
    for few in groups(build_ids, lambda build_id: steps[build_id], STEPS_AT_ONCE):
        with db.transaction() as session:
            gone = remove_rest(session, removal.hold(session, few))
        yield gone


def until_none(
    build_ids: Sequence[UUID], remove_some: Callable[[Session, Sequence[UUID]], Gone | None]
) -> Iterator[Gone]:
    while True:
        with db.transaction() as session:
            gone = remove_some(session, removal.hold(session, build_ids))
        if gone is None:
            return
        yield gone


def remove_some_logs(session: Session, build_ids: Sequence[UUID]) -> Gone | None:
    asked = {"ids": list(build_ids), "limit": LOGS_AT_ONCE}
    chosen = list(session.execute(text(statements.LOGS_OF_BUILDS), asked).scalars())
    return replace(remove_logs(session, chosen), items=0) if chosen else None


def remove_logs(session: Session, chosen: Sequence[UUID]) -> Gone:
    row = session.execute(text(statements.REMOVE_LOGS), {"ids": list(chosen)}).one()
    return Gone(len(chosen), int(row[1]), list(row[0] or ()), int(row[2]))


def remove_some_files(session: Session, build_ids: Sequence[UUID]) -> Gone | None:
    asked = {"ids": list(build_ids), "limit": FILES_AT_ONCE}
    chosen = list(session.execute(text(statements.FILES_OF_BUILDS), asked).scalars())
    if not chosen:
        return None
    stored_files.name_missing(session, chosen)
    session.execute(text(statements.DROP_ARTIFACTS), {"ids": chosen})
    return Gone()


def remove_runs(session: Session, build_ids: Sequence[UUID], group: Sequence[Span]) -> None:
    """The sums of their days stay. Of several batches all goes that is left: no more than is in the spans, as
    what is below them went before.
    """
    if not build_ids:
        return
    asked: Mapping[str, list[int]] = {
        "batches": [span.batch for span in group],
        "lows": [span.low for span in group],
        "highs": [span.high for span in group],
    }
    session.execute(text(statements.REMOVE_MESSAGES), asked)
    session.execute(text(statements.REMOVE_RUNS if len(group) == 1 else statements.REMOVE_BATCHES), asked)


def remove_rest(session: Session, build_ids: Sequence[UUID]) -> Gone:
    for statement in statements.REST_OF_BUILDS:
        session.execute(text(statement), {"ids": list(build_ids)})
    return Gone(len(build_ids))
