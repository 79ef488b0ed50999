"""Failures by what they have in common: found when a report is stored, in one statement for all of it."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit
from uuid import UUID

import psycopg
from psycopg.rows import tuple_row
from sqlalchemy import text
from sqlalchemy.orm import Session

from changes.base import clock
from changes.base.errors import Invalid
from changes.results import fingerprints
from changes.results.fingerprints import Print
from changes.results.formats.seen import TestSeen
from changes.results.models import TestBatch
from changes.results.verdict_models import FailureCause

FAILURES = frozenset({"failed", "quarantined_failed"})
# A report of which each failure is unlike all others must not fill the table.
NEW_PER_REPORT = 500
NOTE_MAX_CHARS = 4000
URL_MAX_CHARS = 2000
VERDICTS = {
    "bug": "A bug of the product",
    "test": "A fault of the test",
    "flaky": "Flaky",
    "infra": "The machines",
    "expected": "Expected",
}
KNOWN = (
    "select fingerprint, id from failure_cause where project_id = %(project)s and fingerprint = any(%(of)s)"
)
# In one order, so that two reports which find the same causes do not wait for each other in a circle.
NEW = """
insert into failure_cause (project_id, fingerprint, headline, place, first_run)
select %(project)s::uuid, new.* from unnest(
    %(of)s::text[], %(headlines)s::text[], %(places)s::text[], %(runs)s::bigint[]
) as new
order by 2
on conflict (project_id, fingerprint) do nothing
"""
SEEN = """
insert into failure_in_build as known (build_id, cause_id, project_id, change_key, runs, last_run)
select build.id, seen.cause_id, build.project_id, coalesce(source.change_id, source.id), seen.runs, %(last)s
from build join source on source.id = build.source_id,
    unnest(%(causes)s::integer[], %(counts)s::integer[]) as seen (cause_id, runs)
where build.id = %(build)s
on conflict (build_id, cause_id) do update set
    runs = known.runs + excluded.runs, last_run = greatest(known.last_run, excluded.last_run)
"""
UNSEEN = """
with gone as (
    select cause_id, count(*) as runs from test_message
    where run_id >= :first and run_id < :end and cause_id is not null group by cause_id
)
update failure_in_build known set runs = known.runs - gone.runs
from gone where known.build_id = :build and known.cause_id = gone.cause_id
"""
Connection = psycopg.Connection[tuple[object, ...]]


@dataclass(frozen=True)
class Told:
    note: str = ""
    tracker_url: str = ""
    verdict: str = ""


def assign(connection: Connection, batch: TestBatch, prints: dict[int, Print]) -> dict[int, int]:
    """The cause of each failure, by its place in the report."""
    if not prints:
        return {}
    known = identities(connection, batch, prints)
    found = {place: known[each.fingerprint] for place, each in prints.items() if each.fingerprint in known}
    counts = Counter(found.values())
    connection.execute(
        SEEN,
        {
            "build": batch.build_id,
            "causes": list(counts),
            "counts": list(counts.values()),
            "last": batch.id + max(found, default=0),
        },
    )
    return found


def prints_of(tests: Sequence[TestSeen], looked_at: dict[str, Print | None]) -> dict[int, Print]:
    """By the place among these; what says nothing has none. When everything fails, it mostly says the same,
    which is looked at once: what was found is kept in `looked_at`.
    """
    found: dict[int, Print] = {}
    for place, test in enumerate(tests):
        if test.result not in FAILURES or not test.message:
            continue
        if test.message not in looked_at:
            looked_at[test.message] = fingerprints.of(test.message)
        each = looked_at[test.message]
        if each is not None:
            found[place] = each
    return found


def identities(connection: Connection, batch: TestBatch, prints: dict[int, Print]) -> dict[str, int]:
    wanted = list({each.fingerprint for each in prints.values()})
    known = known_causes(connection, batch.project_id, wanted)
    new: dict[str, tuple[Print, int]] = {}
    for place, each in prints.items():
        if each.fingerprint not in known and len(new) < NEW_PER_REPORT:
            new.setdefault(each.fingerprint, (each, batch.id + place))
    if new:
        connection.execute(
            NEW,
            {
                "project": batch.project_id,
                "of": list(new),
                "headlines": [each.headline for each, _ in new.values()],
                "places": [each.place for each, _ in new.values()],
                "runs": [run for _, run in new.values()],
            },
        )
        known |= known_causes(connection, batch.project_id, list(new))
    return known


def known_causes(connection: Connection, project_id: UUID, wanted: list[str]) -> dict[str, int]:
    with connection.cursor(row_factory=tuple_row) as cursor:
        cursor.execute(KNOWN, {"project": project_id, "of": wanted})
        return dict(cursor)


def forget(session: Session, batch: TestBatch) -> None:
    """Before the messages of a batch go, as it is stored once more. Under the build's lock."""
    session.execute(text(UNSEEN), {"first": batch.id, "end": batch.end_id, "build": batch.build_id})
    gone = text("delete from failure_in_build where build_id = :build and runs <= 0")
    session.execute(gone, {"build": batch.build_id})


def say(session: Session, cause: FailureCause, told: Told, *, by: str) -> None:
    """What is known of it from now on, in every build where it is seen, earlier and later."""
    if len(told.note) > NOTE_MAX_CHARS:
        raise Invalid(f"A note has at most {NOTE_MAX_CHARS} characters.", ["note"])
    if told.verdict and told.verdict not in VERDICTS:
        raise Invalid(f"A verdict is one of {', '.join(VERDICTS)}.", ["verdict"])
    cause.note = told.note.strip()
    cause.tracker_url = link_of(told.tracker_url)
    cause.verdict = told.verdict
    cause.noted_by, cause.date_noted = by, clock.now()
    session.flush()


def link_of(given: str) -> str:
    """People follow it, so it is an address of the web and nothing that a browser would run."""
    url = given.strip()
    if not url:
        return ""
    wrong = Invalid("The address of the tracker begins with https:// or http://.", ["tracker_url"])
    if len(url) > URL_MAX_CHARS or not url.isprintable() or " " in url:
        raise wrong
    try:
        parts = urlsplit(url)
        host = parts.hostname
    except ValueError:
        raise wrong from None
    if parts.scheme not in ("http", "https") or not host or "@" in parts.netloc:
        raise wrong
    return url
