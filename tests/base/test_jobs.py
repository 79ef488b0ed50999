"""Tasks: asked for, run, tried again, called again; each row tells the truth about it."""

from uuid import UUID

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session
from tests.base.tasks import a_task, ago, asked, is_due, raising, row, set_row

from changes.base import db, ids, jobs
from changes.base.paging import Page
from changes.base.task import Task, TaskState


class Trouble(Exception):
    pass


@pytest.fixture(autouse=True)
def quiet(session: Session, rung: list[UUID]) -> None:
    """All of it in one session that is rolled back; the bell is a list."""


def count_rows(name: str) -> int:
    with db.transaction() as session:
        return session.execute(select(func.count(Task.id)).where(Task.name.like(f"%.{name}"))).scalar_one()


def test_a_task_gets_the_id_of_its_thing_and_is_finished() -> None:
    seen: list[UUID] = []

    @jobs.task
    def remember(thing_id: UUID) -> None:
        seen.append(thing_id)

    thing_id = ids.new()
    task_id = asked(remember, thing_id)
    jobs.run(task_id)

    task = row(task_id)
    assert seen == [thing_id]
    assert (task.state, task.attempts, task.lease) == (TaskState.FINISHED, 1, None)
    assert task.date_finished is not None


def test_the_bell_rings_after_the_commit(rung: list[UUID]) -> None:
    work = a_task("work")

    with db.transaction() as session:
        task_id = jobs.enqueue(session, work, ids.new())
        assert rung == []

    assert rung == [task_id]


def test_work_for_later_rings_nobody_now(rung: list[UUID]) -> None:
    task_id = asked(a_task("work"), due_in_s=60)
    jobs.run(task_id)

    assert rung == []
    assert row(task_id).state == TaskState.WAITING


def test_a_second_ring_for_the_same_work_finds_nothing() -> None:
    runs: list[int] = []
    task_id = asked(a_task("count", lambda: runs.append(1)))

    jobs.run(task_id)
    jobs.run(task_id)

    assert len(runs) == 1


def test_asking_again_while_it_waits_changes_nothing() -> None:
    work, thing_id = a_task("work"), ids.new()

    first, second = asked(work, thing_id), asked(work, thing_id)

    assert first == second
    assert count_rows("work") == 1
    assert not row(first).again


def test_asking_again_for_sooner_brings_it_forward() -> None:
    work, thing_id = a_task("work"), ids.new()
    task_id = asked(work, thing_id, due_in_s=600)

    asked(work, thing_id)

    assert is_due(task_id)


def test_asking_again_for_later_does_not_put_it_off() -> None:
    work, thing_id = a_task("work"), ids.new()
    task_id = asked(work, thing_id)

    asked(work, thing_id, due_in_s=600)

    assert is_due(task_id)


def test_asking_while_it_runs_makes_it_run_once_more(rung: list[UUID]) -> None:
    thing_id = ids.new()
    runs: list[int] = []

    def ask_twice_the_first_time() -> None:
        runs.append(1)
        if len(runs) == 1:
            asked(work, thing_id)
            asked(work, thing_id)

    work = a_task("work", ask_twice_the_first_time)
    task_id = asked(work, thing_id)
    jobs.run(task_id)
    after_first = row(task_id)
    jobs.run(task_id)

    assert (after_first.state, after_first.date_finished) == (TaskState.WAITING, None)
    assert rung == [task_id, task_id]
    assert len(runs) == 2
    assert row(task_id).state == TaskState.FINISHED


def test_asking_for_later_while_it_runs_makes_it_run_once_more_then() -> None:
    thing_id = ids.new()
    work = a_task("work", lambda: asked(work, thing_id, due_in_s=600))
    task_id = asked(work, thing_id)

    jobs.run(task_id)

    assert row(task_id).state == TaskState.WAITING
    assert not is_due(task_id)


def test_asking_after_it_ended_starts_it_anew() -> None:
    work, thing_id = a_task("work", raising(Trouble("no"))), ids.new()
    task_id = asked(work, thing_id)
    set_row(task_id, state=TaskState.FAILED, attempts=10, error="no", due_at=ago(100))

    asked(work, thing_id)

    task = row(task_id)
    assert (task.state, task.attempts, task.error) == (TaskState.WAITING, 0, None)


def test_asked_for_once_it_is_not_started_anew(rung: list[UUID]) -> None:
    work, thing_id = a_task("work"), ids.new()
    jobs.run(asked(work, thing_id))
    rung.clear()

    with db.transaction() as session:
        jobs.enqueue_once(session, work, thing_id)

    assert rung == []
    assert count_rows("work") == 1


def test_a_failure_is_told_and_tried_again_after_a_pause() -> None:
    task_id = asked(a_task("fail", raising(Trouble("the wire is cut"))))

    with pytest.raises(Trouble):
        jobs.run(task_id)

    task = row(task_id)
    assert (task.state, task.attempts, task.error) == (TaskState.WAITING, 1, "Trouble: the wire is cut")
    assert not is_due(task_id)


def test_pauses_grow_up_to_five_minutes() -> None:
    assert [jobs.pause_s(attempt) for attempt in (1, 2, 5, 9, 50)] == [2, 4, 32, 300, 300]


def test_the_last_attempt_fails_for_good() -> None:
    task_id = asked(a_task("fail", raising(Trouble("no"))))
    set_row(task_id, attempts=jobs.ATTEMPTS_MAX - 1)

    with pytest.raises(Trouble):
        jobs.run(task_id)

    assert (row(task_id).state, row(task_id).error) == (TaskState.FAILED, "Trouble: no")


def test_a_task_nobody_here_knows_is_left_for_another_worker() -> None:
    task_id = asked(a_task("of_the_next_version"))
    jobs.bodies.clear()

    with pytest.raises(jobs.UnknownTask):
        jobs.run(task_id)

    assert row(task_id).state == TaskState.WAITING
    assert "of_the_next_version; is it of another version?" in (row(task_id).error or "")


def test_come_again_is_no_failure() -> None:
    task_id = asked(a_task("poll", raising(jobs.ComeAgain(60))))
    set_row(task_id, attempts=5)

    jobs.run(task_id)

    task = row(task_id)
    assert (task.state, task.attempts, task.error) == (TaskState.WAITING, 0, None)
    assert not is_due(task_id)


def test_come_again_waits_no_longer_than_somebody_else_asks_for() -> None:
    thing_id = ids.new()

    def ask_and_come_again() -> None:
        asked(work, thing_id)
        raise jobs.ComeAgain(600)

    work = a_task("poll", ask_and_come_again)
    task_id = asked(work, thing_id)
    jobs.run(task_id)

    assert is_due(task_id)


# --- parents and children -----------------------------------------------------------------


def family(children: int, *, error: BaseException | None = None) -> tuple[UUID, list[UUID], list[str]]:
    """A parent that has run once and waits, its children that have not, and what happened."""
    happened: list[str] = []
    child = a_task("child", raising(error) if error else lambda: happened.append("child"))
    made: list[UUID] = []

    def start_children_once() -> None:
        happened.append("parent")
        if not made:
            made.extend(asked(child, parent=jobs.current_task_id()) for _ in range(children))
            raise jobs.WaitForChildren

    parent_id = asked(a_task("parent", start_children_once))
    jobs.run(parent_id)
    return parent_id, made, happened


def test_a_parent_is_called_again_when_all_its_children_have_ended(rung: list[UUID]) -> None:
    parent_id, children, happened = family(2)

    jobs.run(children[0])
    assert row(parent_id).state == TaskState.CHILDREN
    jobs.run(children[1])
    assert rung[-1] == parent_id
    jobs.run(parent_id)

    assert happened == ["parent", "child", "child", "parent"]
    assert row(parent_id).state == TaskState.FINISHED


def test_a_child_that_failed_for_good_has_ended_too() -> None:
    parent_id, children, _ = family(1, error=Trouble("no"))
    set_row(children[0], attempts=jobs.ATTEMPTS_MAX - 1)

    with pytest.raises(Trouble):
        jobs.run(children[0])

    assert row(parent_id).state == TaskState.WAITING


def test_a_child_that_is_tried_again_has_not_ended() -> None:
    parent_id, children, _ = family(1, error=Trouble("no"))

    with pytest.raises(Trouble):
        jobs.run(children[0])

    assert row(parent_id).state == TaskState.CHILDREN


def test_a_parent_whose_children_ended_before_it_waits_is_called_at_once() -> None:
    child = a_task("child")

    def run_child_and_wait() -> None:
        jobs.run(asked(child, parent=jobs.current_task_id()))
        raise jobs.WaitForChildren

    parent_id = asked(a_task("parent", run_child_and_wait))
    jobs.run(parent_id)

    assert row(parent_id).state == TaskState.WAITING
    assert is_due(parent_id)


def test_a_parent_asked_for_while_it_waits_goes_on_waiting() -> None:
    child, thing_id = a_task("child"), ids.new()

    def start_child() -> None:
        asked(child, thing_id, parent=jobs.current_task_id())
        raise jobs.WaitForChildren

    parent = a_task("parent", start_child)
    parent_id = asked(parent, thing_id)
    jobs.run(parent_id)

    asked(parent, thing_id)

    assert row(parent_id).state == TaskState.CHILDREN


def test_a_parent_asked_for_while_it_ran_looks_again_before_it_waits() -> None:
    thing_id = ids.new()

    def ask_again_and_wait() -> None:
        asked(a_task("child"), parent=jobs.current_task_id())
        asked(parent, thing_id)
        raise jobs.WaitForChildren

    parent = a_task("parent", ask_again_and_wait)
    parent_id = asked(parent, thing_id)
    jobs.run(parent_id)

    assert row(parent_id).state == TaskState.WAITING
    assert not row(parent_id).again or is_due(parent_id)


def test_the_last_parent_that_asks_is_the_one_that_waits() -> None:
    child, thing_id = a_task("child"), ids.new()
    first, second = ids.new(), ids.new()
    task_id = asked(child, thing_id, parent=first)

    asked(child, thing_id, parent=second)
    asked(child, thing_id)

    assert row(task_id).parent_id == second


def test_a_task_can_be_listed(session: Session) -> None:
    task_id = asked(a_task("work"))

    assert jobs.newest(session, Page()).rows[0].id == task_id
