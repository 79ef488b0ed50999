"""How the background work is, and what may be done about what was given up."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy.orm import Session

from changes.base import clock, ids, jobs, task_health
from changes.base.errors import Conflict, NotFound
from changes.base.paging import Page
from changes.base.task import Task, TaskState


def a_task(session: Session, state: TaskState = TaskState.WAITING, **differs: Any) -> Task:
    now = clock.now()
    values = {"name": "results.collect", "child_id": ids.new(), "due_at": now, "sent_at": now}
    task = Task(id=ids.new(), state=state, **{**values, **differs})
    session.add(task)
    session.flush()
    return task


def test_tasks_are_counted_by_name_and_state_and_those_that_ended_well_are_not(session: Session) -> None:
    a_task(session, attempts=3, error="away")
    a_task(session, due_at=clock.now() - timedelta(hours=1))
    a_task(session, TaskState.FAILED, error="gone", attempts=10)
    a_task(session, TaskState.FINISHED)

    waiting, dead = (each for each in task_health.kinds(session) if each.name == "results.collect")

    assert (waiting.count, waiting.late, waiting.failing, waiting.most_attempts) == (2, 1, 1, 3)
    assert (dead.state, dead.count, dead.late) == (TaskState.FAILED, 1, 0)


def test_one_whose_worker_went_silent_is_late(session: Session) -> None:
    lost = a_task(session, TaskState.RUNNING, lease=ids.new(), lease_until=clock.now() - timedelta(minutes=1))
    a_task(session, TaskState.RUNNING, lease=ids.new(), lease_until=clock.now() + timedelta(minutes=1))

    assert [each.id for each in task_health.in_trouble(session, limit=10)] == [lost.id]


def test_one_that_was_given_up_is_tried_again_from_its_first_attempt_on(session: Session) -> None:
    rung: list[object] = []
    jobs.bell.set(rung.append)
    dead = a_task(session, TaskState.FAILED, attempts=10, error="gone", date_finished=clock.now())

    task_health.again(session, dead.id)

    assert (dead.state, dead.attempts, dead.error, dead.date_finished) == (TaskState.WAITING, 0, None, None)
    assert task_health.dead(session, Page()).rows == []


def test_one_that_was_given_up_is_forgotten(session: Session) -> None:
    dead = a_task(session, TaskState.FAILED)

    task_health.forget(session, dead.id)
    session.expunge_all()

    with pytest.raises(NotFound):
        task_health.task(session, dead.id)


@pytest.mark.parametrize("act", [task_health.again, task_health.forget])
@pytest.mark.parametrize("state", [TaskState.WAITING, TaskState.RUNNING, TaskState.FINISHED])
def test_nothing_else_is_tried_again_or_forgotten(session: Session, act: Any, state: TaskState) -> None:
    task = a_task(session, state)

    with pytest.raises(Conflict, match=f"is {state.name.lower()}; only one that was given up"):
        act(session, task.id)


def test_all_below_a_task_are_found_even_where_they_go_in_a_circle(session: Session) -> None:
    top = a_task(session)
    child = a_task(session, parent_id=top.id)
    below = a_task(session, parent_id=child.id)
    top.parent_id = below.id
    session.flush()

    assert [each.id for each in task_health.children(session, top.id)] == [child.id, below.id]
