"""How a ring leaves the process: beside the request, within bounds, and again when the broker is back."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from uuid import UUID

import pytest
from celery import Celery
from structlog.testing import capture_logs

from changes.app import broker, doorbell
from changes.app.broker import Room
from changes.app.doorbell import BrokerAway, Doorbell
from changes.app.embedded.processes import wait_until
from changes.base import db, ids, jobs
from changes.base.settings import Settings

NOBODY = "redis://127.0.0.1:1/0"
WITHIN_S = 200


@pytest.fixture
def celery(settings: Settings) -> Celery:
    return broker.make_celery(settings)


@dataclass(frozen=True)
class Publishing:
    """A line to a broker that always answers."""

    publish: Callable[[UUID], None]

    def count_waiting(self) -> int:
        return 0


def test_a_broker_that_is_away_holds_nobody_up_and_fills_no_memory(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doorbell, "RINGS_KEPT_MAX", 3)
    away = broker.make_celery(settings.model_copy(update={"broker_url": NOBODY}))
    bell = Doorbell(partial(broker.Line, away))

    for _ in range(10):
        bell.ring(ids.new())

    assert bell.waiting.qsize() == 3


def test_what_is_kept_goes_out_when_the_broker_is_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doorbell, "TRY_AGAIN_S", 0.01)
    sent: list[UUID] = []
    refusals = [BrokerAway("no"), BrokerAway("no")]

    def publish(task_id: UUID) -> None:
        if refusals:
            raise refusals.pop()
        sent.append(task_id)

    bell = Doorbell(lambda: Publishing(publish))
    rings = [ids.new(), ids.new()]
    with capture_logs() as said:
        bell.start()
        for task_id in rings:
            bell.ring(task_id)
        assert wait_until(lambda: len(sent) == 2, WITHIN_S)

    assert sent == rings
    assert [line["event"] for line in said] == ["broker away; tasks wait in the database"]


def test_a_ring_that_is_still_to_come_is_not_kept_twice() -> None:
    bell = Doorbell(lambda: Publishing(lambda _: None))
    task_id = ids.new()

    bell.ring(task_id)
    bell.ring(task_id)

    assert bell.waiting.qsize() == 1


def test_standing_work_is_rung_for_once_in_a_while_and_never_forgotten(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sent: list[UUID] = []
    standing, other = ids.new(), ids.new()
    monkeypatch.setitem(jobs.standing, standing, lambda: None)
    monkeypatch.setattr(doorbell, "STANDING_EVERY_S", 0.2)
    bell = Doorbell(lambda: Publishing(sent.append))
    bell.start()

    bell.ring(standing)
    assert wait_until(lambda: sent == [standing], WITHIN_S)
    bell.ring(standing)
    bell.ring(other)

    assert wait_until(lambda: len(sent) == 3, WITHIN_S)
    assert sorted(sent) == sorted([standing, standing, other])


def test_a_broker_nobody_answers_for_is_away_and_has_no_room(settings: Settings) -> None:
    away = broker.make_celery(settings.model_copy(update={"broker_url": NOBODY}))

    assert Room(away)() == 0
    with pytest.raises(BrokerAway):
        broker.Line(away).publish(ids.new())


def test_a_long_queue_gets_nothing_on_top(celery: Celery, monkeypatch: pytest.MonkeyPatch) -> None:
    room = Room(celery)
    monkeypatch.setattr(room.line, "count_waiting", lambda: 10)
    assert room() == broker.LONG_QUEUE - 10

    monkeypatch.setattr(room.line, "count_waiting", lambda: 10 * broker.LONG_QUEUE)
    assert room() == 0


class Trouble(Exception):
    pass


@pytest.fixture
def eager(settings: Settings, database: db.Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """CELERY_ALWAYS_EAGER."""
    monkeypatch.setattr(jobs, "bodies", dict(jobs.bodies))
    eagerly = settings.model_copy(update={"celery_always_eager": True})
    broker.connect_bell(broker.make_celery(eagerly), eager=True)


def test_eager_tasks_run_here_after_the_commit(eager: None) -> None:
    seen: list[UUID] = []

    @jobs.task
    def remember(thing_id: UUID) -> None:
        seen.append(thing_id)

    thing_id = ids.new()
    with db.transaction() as session:
        jobs.enqueue(session, remember, thing_id)
        assert seen == []

    assert seen == [thing_id]


def test_eager_parents_and_children_take_turns(eager: None) -> None:
    happened: list[str] = []

    @jobs.task
    def child(_thing_id: UUID) -> None:
        happened.append("child")

    @jobs.task
    def parent(thing_id: UUID) -> None:
        happened.append("parent")
        if happened == ["parent"]:
            with db.transaction() as session:
                jobs.enqueue(session, child, thing_id, parent=jobs.current_task_id())
            raise jobs.WaitForChildren

    with db.transaction() as session:
        jobs.enqueue(session, parent, ids.new())

    assert happened == ["parent", "child", "parent"]


def test_an_eager_task_that_fails_does_not_fail_who_asked(
    eager: None, caplog: pytest.LogCaptureFixture
) -> None:
    @jobs.task
    def fail(_thing_id: UUID) -> None:
        raise Trouble("in the task")

    with db.transaction() as session:
        jobs.enqueue(session, fail, ids.new())

    assert "in the task" in caplog.text


def test_a_ring_is_not_kept_waiting_for_a_late_beginning() -> None:
    sent: list[UUID] = []
    bell = Doorbell(lambda: Publishing(sent.append), begin_after_s=3600)
    bell.start()

    bell.ring(ids.new())

    assert wait_until(lambda: len(sent) == 1, WITHIN_S)
