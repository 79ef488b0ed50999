"""Cleans away what is kept no longer: artifacts, logs, builds, events.

What is told before and what is done come from one condition (keeping_statements.py). It is done in small
pieces, each in a transaction of its own, and bytes go after the rows that named them: should we die in
between, the sweep for files without rows (orphans.py) finds them.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import func, select, text
from sqlalchemy.orm import Session

from changes.base import clock, db, ids
from changes.base.settings import Settings
from changes.base.storage import Storage
from changes.builds import pins, removal
from changes.projects import keep_names
from changes.projects.models import Project, ProjectOption
from changes.projects.options import KEEP_DAYS, KEEP_NAMES, TESTS_KEEP_MONTHS
from changes.results import keeping_statements as statements
from changes.results import removing, stored_files, two_clocks
from changes.results.keeping_models import CleanUp
from changes.results.keeping_rules import Kind, before, days_of
from changes.results.removing import Gone
from changes.results.retention import Month

LOOKED_AT_ONCE = 20_000
# Nobody waits for more to be counted: of what is more, that it is more is told.
COUNTED_MAX = {Kind.ARTIFACTS: 20_000, Kind.LOGS: 20_000, Kind.BUILDS: 5_000, Kind.EVENTS: 20_000}
NO_ID = UUID(int=0)
# So often it is written down how far a cleaning has come.
NOTED_EVERY_S = 2.0
PIECE = {Kind.ARTIFACTS: 500, Kind.LOGS: 100, Kind.BUILDS: removing.BUILDS_AT_ONCE, Kind.EVENTS: 2000}
# Builds come last: their files and logs are told of by themselves before.
ORDER = (Kind.ARTIFACTS, Kind.LOGS, Kind.EVENTS, Kind.BUILDS)
ASKED, RUNS = "asked for", "runs of tests"


@dataclass(frozen=True)
class Wishes:
    """What a project says of how long its things are kept, by the names of the options."""

    project_id: UUID
    name: str
    slug: str
    own: Mapping[str, str]


@dataclass(frozen=True)
class Limits:
    """Of one kind: for each project the moment before which it goes."""

    kind: Kind
    before: Mapping[UUID, datetime | None]
    usual: datetime | None
    # Project, pattern and moment, in the order of the project.
    rules: Sequence[tuple[UUID, str, datetime | None]] = ()

    @property
    def latest(self) -> datetime | None:
        """Nothing that ended later goes; None where nothing goes at all."""
        all_of_them = (*self.before.values(), self.usual, *(rule[2] for rule in self.rules))
        return max((each for each in all_of_them if each is not None), default=None)

    @property
    def values(self) -> dict[str, object]:
        return {
            "project_ids": list(self.before),
            "before": list(self.before.values()),
            "usual": self.usual,
            "latest": self.latest,
            "rule_projects": [rule[0] for rule in self.rules],
            "rule_likes": [rule[1] for rule in self.rules],
            "rule_before": [rule[2] for rule in self.rules],
        }


@dataclass(frozen=True)
class Told:
    """What would go of one kind. `freed_bytes` is less where others have the same bytes.

    `is_more` where so much would go that only the first of it was counted.
    """

    kind: Kind
    by_project: Mapping[UUID | None, tuple[int, int]]
    freed_bytes: int
    is_more: bool

    @property
    def items(self) -> int:
        return sum(items for items, _ in self.by_project.values())

    @property
    def size_bytes(self) -> int:
        return sum(size for _, size in self.by_project.values())


# --- looking ----------------------------------------------------------------------------------------------


def usual_days(settings: Settings) -> dict[Kind, int]:
    return {
        Kind.ARTIFACTS: settings.keep_artifacts_days,
        Kind.LOGS: settings.keep_logs_days,
        Kind.BUILDS: settings.keep_builds_days,
        Kind.EVENTS: settings.keep_events_days,
    }


def wishes_of(session: Session) -> list[Wishes]:
    """Of every project, by name."""
    names = [*KEEP_DAYS.values(), KEEP_NAMES, TESTS_KEEP_MONTHS]
    mine = (ProjectOption.project_id == Project.id) & ProjectOption.name.in_(names)
    own = func.json_object_agg(ProjectOption.name, ProjectOption.value).filter(
        ProjectOption.name.is_not(None)
    )
    found = select(Project.id, Project.name, Project.slug, own).outerjoin(ProjectOption, mine)
    rows = session.execute(found.group_by(Project.id).order_by(Project.name))
    return [Wishes(row[0], row[1], row[2], row[3] or {}) for row in rows]


def limits_of(session: Session, wishes: Sequence[Wishes], settings: Settings) -> dict[Kind, Limits]:
    now = two_clocks.earlier(session)
    rules = [
        (each.project_id, rule.like, before(now, rule.days))
        for each in wishes
        for rule in keep_names.rules(each.own.get(KEEP_NAMES, ""))
    ]
    return {
        kind: Limits(
            kind,
            {
                each.project_id: before(now, days_of(each.own.get(KEEP_DAYS[kind]), usual), kind)
                for each in wishes
            },
            before(now, usual, kind),
            rules if kind == Kind.ARTIFACTS else (),
        )
        for kind, usual in usual_days(settings).items()
    }


def preview(session: Session, settings: Settings, wishes: Sequence[Wishes] | None = None) -> list[Told]:
    """The same that would be done now. `wishes` where they are known already."""
    limits = limits_of(session, wishes_of(session) if wishes is None else wishes, settings)
    values = {
        f"{name}_{kind.value}": value
        for kind in ORDER
        for name, value in {**limits[kind].values, "limit": COUNTED_MAX[kind]}.items()
    }
    rows = session.execute(text(statements.PREVIEW), values).all()
    return [told(kind, [row[1:] for row in rows if row[0] == kind.value]) for kind in ORDER]


def told(kind: Kind, rows: Sequence[Sequence[Any]]) -> Told:
    """Of artifacts one row more tells what nobody else has."""
    by_project = {row[0]: (int(row[1]), int(row[2])) for row in rows if row[1] is not None}
    alone = [int(row[2]) for row in rows if row[1] is None]
    freed_bytes = alone[0] if alone else sum(size for _, size in by_project.values())
    items = sum(items for items, _ in by_project.values())
    return Told(kind, by_project, freed_bytes, is_more=items >= COUNTED_MAX[kind])


def history(session: Session, *, limit: int) -> Sequence[CleanUp]:
    """The last cleanings, newest first."""
    return (
        session.execute(select(CleanUp).order_by(CleanUp.date_created.desc(), CleanUp.id.desc()).limit(limit))
        .scalars()
        .all()
    )


# --- doing ------------------------------------------------------------------------------------------------


def ask(session: Session, by: str) -> UUID:
    """Notes that somebody wants it done now; whoever does it learns from this who that was."""
    asked = CleanUp(id=ids.new(), date_created=clock.now(), kind=ASKED, asked_by=by)
    session.add(asked)
    session.flush()
    return asked.id


def who_asked(session: Session, asked_id: UUID) -> str:
    asked = session.get(CleanUp, asked_id)
    return asked.asked_by if asked is not None else ""


def note_month(session: Session, month: Month | None) -> None:
    """Of runs of tests, which retention.py drops by months."""
    if month is not None:
        values = {"items": month.gone, "size_bytes": month.size_bytes, "freed_bytes": month.bytes_back}
        session.add(CleanUp(id=ids.new(), date_created=clock.now(), kind=RUNS, **values))


def clean(storage: Storage, settings: Settings, *, asked_by: str = "") -> list[CleanUp]:
    """All kinds, one after the other; each is noted with the bytes that really came back."""
    return [noted for kind in ORDER if (noted := clean_kind(storage, settings, kind, asked_by)) is not None]


def clean_kind(storage: Storage, settings: Settings, kind: Kind, asked_by: str) -> CleanUp | None:
    began = noted_at = time.monotonic()
    sums = {"items": 0, "size_bytes": 0, "freed_bytes": 0, "took_ms": 0}
    clean_up_id: UUID | None = None
    for part in pieces(settings, kind):
        sums["items"] += part.items
        sums["size_bytes"] += part.size_bytes
        sums["freed_bytes"] += part.row_bytes + remove_bytes(storage, part.keys)
        now = time.monotonic()
        if now - noted_at >= NOTED_EVERY_S:
            noted_at, sums["took_ms"] = now, round((now - began) * 1000)
            clean_up_id = note(kind, asked_by, sums, clean_up_id).id
    if clean_up_id is None and not any(sums.values()):
        return None
    sums["took_ms"] = round((time.monotonic() - began) * 1000)
    return note(kind, asked_by, sums, clean_up_id, is_done=True)


def note(
    kind: Kind, asked_by: str, sums: Mapping[str, int], known: UUID | None, *, is_done: bool = False
) -> CleanUp:
    """How far it has come; who is killed afterwards has told so much."""
    with db.transaction() as session:
        noted = session.get(CleanUp, known) if known is not None else None
        if noted is None:
            noted = CleanUp(id=ids.new(), date_created=clock.now(), kind=kind.value, asked_by=asked_by)
            session.add(noted)
        for name, value in sums.items():
            setattr(noted, name, value)
        noted.is_done = is_done
    return noted


def pieces(settings: Settings, kind: Kind) -> Iterator[Gone]:
    """Each is committed when it is handed over."""
    if kind == Kind.BUILDS:
        yield from removing.go_on()
    after: UUID | None = NO_ID
    while after is not None:
        with db.transaction() as session:
            limits = limits_of(session, wishes_of(session), settings)[kind]
            asked = {**limits.values, "limit": LOOKED_AT_ONCE, "after": after}
            chosen = list(session.execute(text(statements.chosen(kind)), asked).scalars())
        for begin in range(0, len(chosen), PIECE[kind]):
            yield from piece(limits, chosen[begin : begin + PIECE[kind]])
        after = chosen[-1] if len(chosen) == LOOKED_AT_ONCE else None
    if kind in (Kind.ARTIFACTS, Kind.BUILDS):
        yield from let_go()


def let_go() -> Iterator[Gone]:
    """Files that no artifact has any more, whoever removed those."""
    while True:
        with db.transaction() as session:
            keys = stored_files.let_go(session, limit=PIECE[Kind.ARTIFACTS])
        if not keys:
            return
        yield Gone(keys=keys)


def piece(limits: Limits, chosen: Sequence[UUID]) -> Iterator[Gone]:
    with db.transaction() as session:
        still = still_to_go(session, limits, chosen)
        if limits.kind == Kind.BUILDS:
            removal.begin(session, still, now=clock.now())
            gone = Gone()
        else:
            gone = REMOVE[limits.kind](session, still) if still else Gone()
    yield gone
    if limits.kind == Kind.BUILDS and still:
        yield from removing.parts(still)


def still_to_go(session: Session, limits: Limits, chosen: Sequence[UUID]) -> list[UUID]:
    """From here to the end of the transaction nothing more is pinned, and what was is not removed."""
    pins.hold_still(session)
    question = text(statements.still(limits.kind))
    return list(session.execute(question, {**limits.values, "ids": list(chosen)}).scalars())


def remove_artifacts(session: Session, chosen: Sequence[UUID]) -> Gone:
    stored_files.name_missing(session, chosen)
    sizes = text("select coalesce(sum(size_bytes), 0) from artifact where id = any(:ids)")
    size_bytes = int(session.execute(sizes, {"ids": list(chosen)}).scalar_one())
    session.execute(text(statements.REMOVE_ARTIFACTS), {"ids": list(chosen)})
    return Gone(len(chosen), size_bytes)


def remove_events(session: Session, chosen: Sequence[UUID]) -> Gone:
    session.execute(text(statements.REMOVE_EVENTS), {"ids": list(chosen)})
    return Gone(len(chosen))


def remove_bytes(storage: Storage, keys: Sequence[str]) -> int:
    """How many came back, as the store itself tells."""
    freed_bytes = 0
    for key in keys:
        size_bytes = storage.size_of(key)
        if size_bytes is not None:
            storage.delete(key)
            freed_bytes += size_bytes
    return freed_bytes


REMOVE: Mapping[Kind, Callable[[Session, Sequence[UUID]], Gone]] = {
    Kind.ARTIFACTS: remove_artifacts,
    Kind.LOGS: removing.remove_logs,
    Kind.EVENTS: remove_events,
}
