"""Rows that steps leave behind, sent on to a warehouse as the original did."""

import json
from collections.abc import Iterator

import httpx
import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session
from tests import factories
from tests.builds import agents
from tests.fakes.rows_server import RowsServer

from changes.base import process, storage
from changes.base.events import Event, Outbox
from changes.base.settings import Settings
from changes.builds import queries, reasons
from changes.builds.models import Build, JobStep
from changes.builds.rules import Result
from changes.integrations.analytics import sending
from changes.results import artifacts, collect
from changes.results.events import AnalyticsKept

FILE = "CHANGES_ANALYTICS.json"


@pytest.fixture
def server() -> Iterator[RowsServer]:
    with RowsServer() as server:
        yield server


@pytest.fixture
def build(session: Session, server: RowsServer, settings: Settings) -> Build:
    told = {"analytics_project_post_url": server.url, "analytics_project_tables": ("sizes", "DRY")}
    process.settings.set(settings.model_copy(update=told))
    return factories.a_build(session)


def after(session: Session, build: Build, table: str) -> JobStep:
    step = agents.a_taken_step(session, build)
    rows = {"table": table, "entries": [{"bytes": 7}, {"bytes": 8, "jobstep_id": "forged"}]}
    agents.leave_behind(session, step, json.dumps(rows).encode(), FILE)
    agents.end(session, step)
    collect.collect_step(step.id)
    return step


def announced(session: Session) -> list[AnalyticsKept]:
    found = select(Outbox.data).where(Outbox.type == "results.AnalyticsKept")
    return [AnalyticsKept(**row) for row in session.execute(found).scalars()]


def kept(session: Session, step: JobStep, table: str = "sizes") -> AnalyticsKept:
    (artifact,) = artifacts.of_step(session, step.id)
    return AnalyticsKept(artifact.id, table)


def status(session: Session) -> list[str]:
    found = select(Event.data["status"].astext).where(Event.type == sending.EVENT)
    return list(session.execute(found).scalars())


def test_rows_are_sent_once_and_each_says_of_which_step_it_is(
    session: Session, build: Build, server: RowsServer
) -> None:
    step = after(session, build, "sizes")

    for _ in range(2):
        sending.send(kept(session, step))

    assert server.tables == {"sizes": [{"bytes": size, "jobstep_id": step.id.hex} for size in (7, 8)]}
    assert status(session) == ["success"]


def test_what_may_be_sent_is_announced_when_the_step_ends(session: Session, build: Build) -> None:
    step = after(session, build, "sizes")

    assert [each.table for each in announced(session)] == ["sizes"]
    assert build.result == Result.PASSED
    assert step.result == Result.PASSED


def test_a_dry_run_is_looked_at_and_not_sent(session: Session, build: Build) -> None:
    after(session, build, "DRY_RUN:sizes")

    assert announced(session) == []
    assert build.result == Result.PASSED


def test_a_table_that_nobody_knows_fails_the_step_in_words(session: Session, build: Build) -> None:
    after(session, build, "size")

    (why,) = queries.failures_of(session, [build.id])[build.id]
    assert "table 'size' is none of those that rows are taken for" in reasons.sentence(why.reason, why.data)
    assert announced(session) == []


def test_a_warehouse_that_is_away_is_told_later(session: Session, build: Build, server: RowsServer) -> None:
    step = after(session, build, "sizes")
    server.is_away = True
    with pytest.raises(httpx.HTTPStatusError):
        sending.send(kept(session, step))
    assert status(session) == ["fail"]

    server.is_away = False
    sending.send(kept(session, step))

    assert (len(server.tables["sizes"]), status(session)) == (2, ["success"])


def test_rows_that_were_cleaned_away_are_sent_nowhere(
    session: Session, build: Build, server: RowsServer
) -> None:
    step = after(session, build, "sizes")
    (artifact,) = artifacts.of_step(session, step.id)
    storage.storage.get().delete(artifact.key)

    sending.send(kept(session, step))

    assert (server.tables, status(session)) == ({}, ["gone"])


def test_without_an_address_nothing_is_sent(session: Session, build: Build, settings: Settings) -> None:
    process.settings.set(settings)
    step = after(session, build, "any")

    sending.send(kept(session, step, "any"))

    assert status(session) == []
