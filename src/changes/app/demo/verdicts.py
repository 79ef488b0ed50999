"""What the failures of the filling have in common, which tests are flaky, and what people say of both."""

from itertools import groupby

import psycopg
from sqlalchemy import func, select, text
from sqlalchemy.orm import Session

from changes.base.paging import Page
from changes.projects.models import Project
from changes.results import cause_queries, causes, fingerprints, flaky, quarantine, run_numbers
from changes.results.cause_queries import CausesAsked
from changes.results.models import TestBatch, TestMessage
from changes.results.quarantine import Wanted
from changes.results.verdict_models import TestQuarantine

# The newest are what is looked at; a filling may have a million.
MESSAGES_MAX = 5000
TAKE = """
update test_message set cause_id = told.cause_id
from unnest(cast(:runs as bigint[]), cast(:causes as integer[])) as told (run_id, cause_id)
where test_message.run_id = told.run_id
"""


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
        found = causes.assign_prints(
            connection, batch, {place: each for place, each in prints.items() if each is not None}
        )
        runs = [batch_id + place for place in found]
        session.execute(text(TAKE), {"runs": runs, "causes": list(found.values())})


def say(session: Session, project: Project) -> None:
    seen = cause_queries.listed(session, project, Page(1, 2), CausesAsked(days=30)).rows
    if seen:
        told = causes.Told("The test data has one order too many.", "https://bugs.example.com/T1204", "test")
        causes.say(session, seen[0].cause, told, by="zoe@example.com")
    worst = flaky.listed(session, project, Page(1, 2)).rows
    if worst:
        why = Wanted([worst[-1].test.name], "zoe@example.com", "It depends on the time of day.", force=True)
        quarantine.add(session, project, why, by="ravi@example.com")
