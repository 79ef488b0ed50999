"""The beat: periodic work once per period, whoever beats, and the sweep with it."""

import os
import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import func, select, update
from sqlalchemy.exc import OperationalError
from structlog.testing import capture_logs

from changes.app import schedule
from changes.app.embedded.processes import wait_until
from changes.app.schedule import PERIODIC, Beat, Periodic, clean_up, period_id
from changes.base import db, ids, jobs, sweep
from changes.base.task import NOW, Task, TaskState
from changes.projects.tasks import import_repository

ROOM = 100


@pytest.fixture
def rung(database: db.Database) -> list[UUID]:
    rung: list[UUID] = []
    jobs.bell.set(rung.append)
    return rung


def rows_of(name: str) -> int:
    with db.transaction() as session:
        return session.execute(select(func.count(Task.id)).where(Task.name == name)).scalar_one()


def set_all(**values: object) -> None:
    with db.transaction() as session:
        session.execute(update(Task).values(**values))


def move_to_an_earlier_period() -> None:
    with db.transaction() as session:
        for task in session.execute(select(Task)).scalars():
            task.child_id = ids.new()


def test_each_period_gets_one_row_however_many_beat_at_once(rung: list[UUID]) -> None:
    with ThreadPoolExecutor(5) as pool:
        list(pool.map(schedule.tick, [ROOM] * 10))

    # Ten looks may stand on both sides of the end of a period.
    assert {rows_of(periodic.name) for periodic in PERIODIC} <= {1, 2}
    assert len(rung) == sum(rows_of(periodic.name) for periodic in PERIODIC)


def test_one_who_does_not_get_the_lock_does_nothing(rung: list[UUID]) -> None:
    with db.transaction() as session:
        session.execute(select(func.pg_advisory_xact_lock(schedule.LOCK_NUMBER)))
        schedule.tick(ROOM)

    assert rung == []


def test_the_same_period_has_the_same_id_for_everybody() -> None:
    every_ten = Periodic(every_s=10, body=clean_up)

    assert period_id(every_ten, 1200) == period_id(every_ten, 1209)
    assert period_id(every_ten, 1200) != period_id(every_ten, 1210)
    assert period_id(every_ten, 1200) != period_id(Periodic(10, print), 1200)


@pytest.mark.parametrize(
    ("state", "attempts", "begun"),
    [
        (TaskState.WAITING, 0, 0),
        (TaskState.RUNNING, 1, 0),
        (TaskState.WAITING, 1, 1),
        (TaskState.FINISHED, 1, 1),
        (TaskState.FAILED, 10, 1),
    ],
    ids=["never begun", "still at it", "failed, tried again later", "done", "failed"],
)
def test_a_period_is_left_out_while_its_predecessor_is_at_it(
    rung: list[UUID], state: TaskState, attempts: int, begun: int
) -> None:
    schedule.tick(ROOM)
    before = rows_of("app.schedule.clean_up")
    move_to_an_earlier_period()
    set_all(state=state, attempts=attempts, lease_until=func.now() + timedelta(hours=1))

    schedule.tick(ROOM)

    assert rows_of("app.schedule.clean_up") == before + begun


def test_the_sweep_is_part_of_every_look(rung: list[UUID]) -> None:
    with db.transaction() as session:
        task_id = jobs.enqueue(session, import_repository, ids.new())
    long_ago = NOW - timedelta(seconds=sweep.RING_AGAIN_S)
    set_all(sent_at=long_ago, due_at=long_ago)
    rung.clear()

    schedule.tick(0)
    assert task_id not in rung
    schedule.tick(ROOM)
    assert task_id in rung


def test_cleaning_up_runs(database: db.Database) -> None:
    clean_up()


def test_a_database_that_is_away_does_not_end_the_beat(monkeypatch: pytest.MonkeyPatch) -> None:
    looks: list[int] = []

    def look(room: int) -> None:
        looks.append(room)
        raise OperationalError("select", {}, Exception("gone"))

    monkeypatch.setattr(schedule, "BEAT_EVERY_S", 0.01)
    monkeypatch.setattr(schedule, "tick", look)
    beat = Beat(lambda: ROOM)
    with capture_logs():
        beat.start()
        assert wait_until(lambda: len(looks) >= 3, 60)
        beat.stop()
        beat.join()


def test_a_fault_of_ours_ends_the_worker_rather_than_the_beat_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[int] = []
    faults: list[object] = []
    monkeypatch.setattr(schedule, "BEAT_EVERY_S", 0.01)
    monkeypatch.setattr(os, "kill", lambda _pid, number: told.append(number))
    monkeypatch.setattr(threading, "excepthook", faults.append)

    def broken() -> int:
        raise KeyError("a fault")

    beat = Beat(broken)
    beat.start()
    beat.join()

    assert told == [signal.SIGTERM]
    assert len(faults) == 1
