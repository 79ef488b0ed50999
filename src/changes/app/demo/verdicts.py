"""What the failures of the filling have in common, which tests are flaky, and what people say of both."""

from dataclasses import dataclass
from datetime import timedelta
from itertools import groupby

import psycopg
from sqlalchemy import func, select, text
from sqlalchemy.orm import Session

from changes.base import clock, ids
from changes.base.paging import Page
from changes.projects.models import Project
from changes.results import cause_queries, causes, fingerprints, flaky, quarantine, run_numbers
from changes.results.cause_queries import CausesAsked
from changes.results.models import Test, TestBatch, TestMessage
from changes.results.quarantine import Wanted
from changes.results.quarantine_rules import DAYS_DEFAULT, PASSES_DEFAULT
from changes.results.verdict_models import TestQuarantine

# The newest are what is looked at; a filling may have a million.
MESSAGES_MAX = 5000
TAKE = """
update test_message set cause_id = told.cause_id
from unnest(cast(:runs as bigint[]), cast(:causes as integer[])) as told (run_id, cause_id)
where test_message.run_id = told.run_id
"""


@dataclass(frozen=True)
class Ended:
    why: str
    reason: str
    began_days_ago: int
    lasted_days: int


ENDED = (
    Ended(quarantine.PROVED, "The queue was not empty at its start.", began_days_ago=12, lasted_days=5),
    Ended(quarantine.EXPIRED, "Nobody knows yet.", began_days_ago=20, lasted_days=DAYS_DEFAULT),
)


def tell(session: Session) -> None:
    find_causes(session)
    if session.execute(select(func.count()).select_from(TestQuarantine)).scalar_one():
        return
    for project in session.execute(select(Project).order_by(Project.slug)).scalars().all():
        flaky.look(session, project.id)
        say(session, project)


def find_causes(session: Session) -> None:
    connection = session.connection().connection.driver_connection
    if not isinstance(connection, psycopg.Connection):
        raise TypeError("the filling needs a psycopg connection")
    unknown = select(TestMessage.run_id, TestMessage.text).where(TestMessage.cause_id.is_(None))
    newest = sorted(session.execute(unknown.order_by(TestMessage.run_id.desc()).limit(MESSAGES_MAX)).all())
    for batch_id, mine in groupby(newest, lambda row: run_numbers.batch_of(row[0])):
        batch = session.get_one(TestBatch, batch_id)
        prints = {row[0] - batch_id: fingerprints.of(row[1]) for row in mine}
        found = causes.assign(
            connection, batch, {place: each for place, each in prints.items() if each is not None}
        )
        runs = [batch_id + place for place in found]
        session.execute(text(TAKE), {"runs": runs, "causes": list(found.values())})


def say(session: Session, project: Project) -> None:
    seen = cause_queries.listed(session, project, Page(1, 2), CausesAsked(days=30)).rows
    if seen:
        told = causes.Told("The test data has one order too many.", "https://bugs.example.com/T1204", "test")
        causes.say(session, seen[0].cause, told, by="zoe@example.com")
    worst = [each.test for each in flaky.listed(session, project, Page(1, 2 + len(ENDED))).rows]
    for test, ended in zip(worst[2:], ENDED, strict=False):
        session.add(quarantine_that(test, ended))
    if worst:
        why = Wanted([worst[:2][-1].name], "zoe@example.com", "It depends on the time of day.", force=True)
        quarantine.add(session, project, why, by="ravi@example.com")


def quarantine_that(test: Test, ended: Ended) -> TestQuarantine:
    began = clock.now() - timedelta(days=ended.began_days_ago)
    return TestQuarantine(
        id=ids.new(),
        project_id=test.project_id,
        test_id=test.id,
        owner="zoe@example.com",
        reason=ended.reason,
        created_by="ravi@example.com",
        date_created=began,
        date_expires=began + timedelta(days=DAYS_DEFAULT),
        passes_needed=PASSES_DEFAULT,
        date_ended=began + timedelta(days=ended.lasted_days),
        ended_why=ended.why,
    )
