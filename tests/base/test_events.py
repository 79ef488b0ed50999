"""The outbox: what is announced reaches every listener, after the commit, at least once."""

import contextlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import Enum
from uuid import UUID

import pytest
from sqlalchemy import func, select, update
from tests.base.tasks import row

from changes.base import db, events, ids, jobs
from changes.base.events import Event, Outbox
from changes.base.task import Task, TaskState


class Colour(Enum):
    GREEN = "green"


@dataclass(frozen=True)
class Landed:
    change_id: UUID
    at: datetime
    colour: Colour
    authors: tuple[str, ...]
    votes: dict[str, int]


@dataclass(frozen=True)
class Dropped:
    change_id: UUID


LANDED = Landed(
    ids.new(), datetime(2026, 11, 21, 9, 30, tzinfo=UTC), Colour.GREEN, ("Ann", "Zoë"), {"Ann": -1}
)


class Trouble(Exception):
    pass


@pytest.fixture(autouse=True)
def own_listeners(rung: list[UUID], database: db.Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "listeners", {})


@pytest.fixture
def heard() -> list[object]:
    heard: list[object] = []

    def tell_people(event: Landed) -> None:
        heard.append(event)

    events.listen(Landed, tell_people)
    return heard


def announce(event: object) -> None:
    with db.transaction() as session:
        events.announce(session, event)


def deliver(rung: list[UUID]) -> None:
    for task_id in rung:
        jobs.run(task_id)


def count(table: type[Outbox | Task | Event]) -> int:
    with db.transaction() as session:
        return session.execute(select(func.count(table.id))).scalar_one()


def test_a_listener_gets_what_was_announced_whole(heard: list[object], rung: list[UUID]) -> None:
    announce(LANDED)
    deliver(rung)

    assert heard == [LANDED]


def test_nothing_is_delivered_of_what_was_rolled_back(heard: list[object], rung: list[UUID]) -> None:
    with contextlib.suppress(Trouble), db.transaction() as session:
        events.announce(session, LANDED)
        raise Trouble

    assert (rung, count(Outbox), count(Task)) == ([], 0, 0)


def test_each_listener_is_a_task_of_its_own_and_one_that_fails_is_tried_again_alone(
    heard: list[object], rung: list[UUID]
) -> None:
    failures = [Trouble("once")]

    def fail_once(_event: Landed) -> None:
        if failures:
            raise failures.pop()
        heard.append("mended")

    events.listen(Landed, fail_once)
    announce(LANDED)
    for task_id in list(rung):
        try:
            jobs.run(task_id)
        except Trouble:
            failed_id = task_id
    with db.transaction() as session:
        session.execute(update(Task).where(Task.id == failed_id).values(due_at=func.now()))
    jobs.run(failed_id)

    assert heard == [LANDED, "mended"]
    assert [row(task_id).state for task_id in rung] == [TaskState.FINISHED] * 2


def test_one_function_may_listen_to_several_kinds(rung: list[UUID]) -> None:
    heard: list[object] = []

    def tell_people(event: Landed | Dropped) -> None:
        heard.append(event)

    dropped = Dropped(ids.new())
    events.listen(Landed, tell_people)
    events.listen(Dropped, tell_people)
    announce(LANDED)
    announce(dropped)
    deliver(rung)

    assert heard == [LANDED, dropped]


def test_an_event_nobody_listens_to_is_not_kept(rung: list[UUID]) -> None:
    announce(Dropped(ids.new()))

    assert (rung, count(Outbox)) == ([], 0)


def test_an_event_of_another_version_fails_in_plain_sight(heard: list[object], rung: list[UUID]) -> None:
    announce(LANDED)
    with db.transaction() as session:
        session.execute(update(Outbox).values(data={"change_id": "nonsense"}))

    with pytest.raises(ValueError, match="change_id"):
        deliver(rung)

    assert "change_id" in (row(rung[0]).error or "")


def test_old_events_are_forgotten_once_every_listener_has_got_them(
    heard: list[object], rung: list[UUID]
) -> None:
    announce(LANDED)
    announce(LANDED)
    jobs.run(rung[0])
    with db.transaction() as session:
        session.execute(update(Outbox).values(date_created=func.now() - timedelta(days=2)))

    with db.transaction() as session:
        assert events.clean(session) == 1
    jobs.run(rung[1])

    assert heard == [LANDED, LANDED]


def test_an_outward_action_is_allowed_to_exactly_one_of_many_at_once() -> None:
    item_id = ids.new()

    def may_act(_number: int) -> bool:
        with db.transaction() as session:
            return events.first_time(session, "mail", item_id, "olga@example.com")

    with ThreadPoolExecutor(5) as pool:
        assert sum(pool.map(may_act, range(20))) == 1


def test_an_action_whose_transaction_failed_may_be_tried_again() -> None:
    item_id = ids.new()
    with contextlib.suppress(Trouble), db.transaction() as session:
        assert events.first_time(session, "mail", item_id)
        raise Trouble

    with db.transaction() as session:
        assert events.first_time(session, "mail", item_id)
        assert events.first_time(session, "mail", item_id, "another key")
        assert not events.first_time(session, "mail", item_id)
