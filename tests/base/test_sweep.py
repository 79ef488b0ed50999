"""The sweep finds what nobody took, and leaves everything else alone."""

from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session
from tests.base.tasks import a_task, ago, asked, row, set_row

from changes.base import db, ids, jobs, leases, sweep
from changes.base.task import Task, TaskState


@pytest.fixture(autouse=True)
def quiet(session: Session, rung: list[UUID]) -> None:
    """All of it in one session that is rolled back; the bell is a list."""


def swept(rung: list[UUID], room: int = 100) -> list[UUID]:
    """What the sweep rings for, now."""
    rung.clear()
    with db.transaction() as session:
        sweep.sweep(session, room=room)
    return list(rung)


def test_what_nobody_took_is_rung_again_once_per_pause(rung: list[UUID]) -> None:
    task_id = asked(a_task("work"))
    assert swept(rung) == []

    set_row(task_id, sent_at=ago(sweep.RING_AGAIN_S), due_at=ago(sweep.RING_AGAIN_S))

    assert swept(rung) == [task_id]
    assert swept(rung) == []


def test_nothing_stays_silent_for_longer_than_thirty_seconds() -> None:
    look_every_s = 1
    assert sweep.RING_AGAIN_S + look_every_s <= 30
    assert leases.LEASE_S + look_every_s <= 30
    assert 3 * leases.RENEW_EVERY_S < leases.LEASE_S


def test_what_is_due_later_is_rung_for_when_its_time_has_come(rung: list[UUID]) -> None:
    task_id = asked(a_task("work"), due_in_s=600)
    assert swept(rung) == []

    set_row(task_id, due_at=ago(0))

    assert swept(rung) == [task_id]


def test_asking_often_for_later_does_not_keep_the_sweep_off(rung: list[UUID]) -> None:
    work, thing_id = a_task("work"), ids.new()
    task_id = asked(work, thing_id)
    set_row(task_id, sent_at=ago(sweep.RING_AGAIN_S), due_at=ago(sweep.RING_AGAIN_S))

    asked(work, thing_id, due_in_s=10)

    assert swept(rung) == [task_id]


def test_a_process_without_a_bell_leaves_the_ringing_to_the_next_look(rung: list[UUID]) -> None:
    jobs.bell.set(jobs.nobody_rings)
    task_id = asked(a_task("work"))
    jobs.bell.set(rung.append)

    assert swept(rung) == [task_id]


def test_a_lost_lease_is_rung_for(rung: list[UUID]) -> None:
    task_id = asked(a_task("work"))
    leases.take(task_id)
    set_row(task_id, lease_until=ago(1), sent_at=ago(leases.LEASE_S))

    assert swept(rung) == [task_id]


def test_a_task_that_runs_is_left_alone(rung: list[UUID]) -> None:
    task_id = asked(a_task("work"))
    leases.take(task_id)
    set_row(task_id, sent_at=ago(3600))

    assert swept(rung) == []


def test_a_full_or_absent_broker_gets_nothing_and_nothing_counts_as_sent(rung: list[UUID]) -> None:
    task_id = asked(a_task("work"))
    set_row(task_id, sent_at=ago(3600), due_at=ago(3600))

    assert swept(rung, room=0) == []
    assert swept(rung, room=1) == [task_id]


def test_when_there_is_little_room_the_oldest_comes_first(rung: list[UUID]) -> None:
    tasks = [asked(a_task("work")) for _ in range(3)]
    for task_id, age_s in zip(tasks, (60, 180, 120), strict=True):
        set_row(task_id, sent_at=ago(age_s), due_at=ago(age_s))

    assert swept(rung, room=1) == [tasks[1]]


def test_a_task_that_kills_its_workers_is_given_up(rung: list[UUID]) -> None:
    task_id = asked(a_task("deadly"))
    leases.take(task_id)
    set_row(task_id, lease_until=ago(1), sent_at=ago(60), attempts=jobs.ATTEMPTS_MAX)

    assert swept(rung) == []
    assert row(task_id).state == TaskState.FAILED
    assert "went silent 10 times" in (row(task_id).error or "")


def test_giving_a_child_up_wakes_its_parent() -> None:
    parent_id = asked(a_task("parent"))
    set_row(parent_id, state=TaskState.CHILDREN)
    child_id = asked(a_task("deadly"), parent=parent_id)
    leases.take(child_id)
    set_row(child_id, lease_until=ago(1), attempts=jobs.ATTEMPTS_MAX)

    swept([])

    assert row(parent_id).state == TaskState.WAITING


def test_a_parent_whose_child_went_to_another_parent_is_not_forgotten() -> None:
    child, thing_id = a_task("child"), ids.new()
    left, other = asked(a_task("left")), asked(a_task("other"))
    set_row(left, state=TaskState.CHILDREN)
    set_row(other, state=TaskState.CHILDREN)
    asked(child, thing_id, parent=left)
    asked(child, thing_id, parent=other)

    swept([])

    assert (row(left).state, row(other).state) == (TaskState.WAITING, TaskState.CHILDREN)


def test_old_tasks_are_forgotten_and_failed_ones_kept_longer(session: Session) -> None:
    rows = {
        (state, days): ended(state, days)
        for state in (TaskState.FINISHED, TaskState.FAILED, TaskState.WAITING)
        for days in (1, 8, 61)
    }

    sweep.clean(session)

    kept = set(session.execute(select(Task.id)).scalars())
    assert {key for key, task_id in rows.items() if task_id not in kept} == {
        (TaskState.FINISHED, 8),
        (TaskState.FINISHED, 61),
        (TaskState.FAILED, 61),
    }


def ended(state: TaskState, days: int) -> UUID:
    task_id = asked(a_task("work"))
    set_row(task_id, state=state, date_finished=ago(timedelta(days=days).total_seconds()))
    return task_id
