"""Who may work on a task, when several processes and their clocks disagree."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from uuid import UUID

import pytest
import time_machine
from sqlalchemy import select, text, update
from tests.base.tasks import a_task, ago, asked, row, set_row

from changes.app.embedded.processes import wait_until
from changes.base import db, ids, jobs, leases, sweep
from changes.base.leases import Keeper
from changes.base.task import NOW, Task, TaskState

AT_ONCE = 8


@pytest.fixture(autouse=True)
def real(database: db.Database) -> None:
    """Real commits: these tests are about several connections."""


@pytest.fixture
def keeper() -> Iterator[Keeper]:
    keeper = Keeper(renew_every_s=0.02)
    yield keeper
    keeper.over.set()
    if keeper.ident is not None:
        keeper.join()


def all_at_once(act: Callable[[int], object]) -> None:
    ready = threading.Barrier(AT_ONCE)

    def begin_together(number: int) -> None:
        ready.wait()
        act(number)

    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(begin_together, range(AT_ONCE)))


def taken(task_id: UUID) -> leases.Lease:
    lease = leases.take(task_id)
    assert lease is not None
    return lease


def test_one_of_many_workers_gets_the_task() -> None:
    runs: list[int] = []
    task_id = asked(a_task("work", lambda: runs.append(1)))

    all_at_once(lambda _: jobs.run(task_id))

    assert len(runs) == 1


def test_many_who_ask_at_once_make_one_row() -> None:
    work, thing_id = a_task("work"), ids.new()
    seen: list[UUID] = []

    all_at_once(lambda _: seen.append(asked(work, thing_id)))

    assert len(set(seen)) == 1


def test_children_that_end_at_the_same_moment_wake_their_parent() -> None:
    child = a_task("child")
    for _ in range(5):
        parent_id = asked(a_task("parent", lambda: None))
        set_row(parent_id, state=TaskState.CHILDREN)
        children = [asked(child, parent=parent_id) for _ in range(AT_ONCE)]

        all_at_once(lambda number, these=children: jobs.run(these[number]))  # type: ignore[misc]

        assert row(parent_id).state == TaskState.WAITING


def test_a_child_that_ends_while_its_parent_decides_to_wait_wakes_it() -> None:
    parent_id = asked(a_task("parent"))
    parent = taken(parent_id)
    child_id = asked(a_task("child"), parent=parent_id)

    with ThreadPoolExecutor(1) as pool:
        with db.transaction() as session:
            session.execute(update(Task).where(*leases.held(parent)).values(state=TaskState.CHILDREN))
            assert jobs.has_unfinished_children(session, parent_id)
            ended = pool.submit(jobs.run, child_id)
            assert wait_until(somebody_waits_for_a_lock, 60)
        ended.result()

    assert row(parent_id).state == TaskState.WAITING


def somebody_waits_for_a_lock() -> bool:
    waiting = "select from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()"
    with db.transaction() as session:
        return session.execute(text(waiting)).first() is not None


def test_who_asks_while_it_ends_gets_another_run() -> None:
    thing_id = ids.new()
    work = a_task("work")
    task_id = asked(work, thing_id)
    lease = taken(task_id)

    with ThreadPoolExecutor(1) as pool:
        with db.transaction() as session:
            jobs.enqueue(session, work, thing_id)
            ended = pool.submit(jobs.finish, lease, TaskState.FINISHED)
            assert wait_until(somebody_waits_for_a_lock, 60)
        ended.result()

    assert row(task_id).state == TaskState.WAITING


def test_a_lost_lease_goes_to_the_next_worker_and_the_first_changes_nothing_any_more() -> None:
    task_id = asked(a_task("work"))
    first = taken(task_id)
    set_row(task_id, lease_until=ago(1))
    second = taken(task_id)

    jobs.finish(first, TaskState.FAILED, error="from the dead")
    assert row(task_id).state == TaskState.RUNNING
    jobs.finish(second, TaskState.FINISHED)

    assert (row(task_id).state, row(task_id).error, row(task_id).attempts) == (TaskState.FINISHED, None, 2)


def test_what_was_asked_for_while_a_lost_one_ran_is_still_owed() -> None:
    work, thing_id = a_task("work"), ids.new()
    task_id = asked(work, thing_id)
    taken(task_id)
    asked(work, thing_id, due_in_s=600)
    set_row(task_id, lease_until=ago(1))

    jobs.run(task_id)

    assert row(task_id).state == TaskState.WAITING


def test_a_lease_is_renewed_while_the_task_runs(keeper: Keeper) -> None:
    task_id = asked(a_task("work"))
    lease = taken(task_id)
    set_row(task_id, lease_until=ago(-20))
    before = row(task_id).lease_until

    with keeper.keeping(lease):
        assert wait_until(lambda: row(task_id).lease_until != before, 60)

    assert row(task_id).lease_until > before  # type: ignore[operator]


def test_a_lease_that_was_lost_is_not_renewed(keeper: Keeper) -> None:
    task_id = asked(a_task("work"))
    lost = taken(task_id)
    set_row(task_id, lease_until=ago(1))
    taken(task_id)
    until = row(task_id).lease_until

    keeper.tokens.add(lost.token)
    keeper.renew()

    assert row(task_id).lease_until == until


def test_somebody_who_is_slow_in_asking_holds_up_no_other_lease(keeper: Keeper) -> None:
    work, slow_thing = a_task("work"), ids.new()
    held_up, other = taken(asked(work, slow_thing)), taken(asked(work))
    set_row(other.task_id, lease_until=ago(-20))
    before = row(other.task_id).lease_until
    keeper.tokens |= {held_up.token, other.token}

    with ThreadPoolExecutor(1) as pool, db.transaction() as session:
        jobs.enqueue(session, work, slow_thing)
        pool.submit(keeper.renew).result(60)

    assert row(other.task_id).lease_until != before


def test_a_database_that_is_away_does_not_end_the_renewing(
    keeper: Keeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    away = db.Database("postgresql+psycopg://nobody@127.0.0.1:1/none?connect_timeout=1", pool_size=1)
    with monkeypatch.context() as patch:
        patch.setattr(db.database, "thing", away)
        keeper.tokens.add(ids.new())
        keeper.renew()


def test_a_worker_that_stops_hands_its_tasks_back_without_an_attempt(keeper: Keeper) -> None:
    task_id = asked(a_task("work"))
    keeper.tokens.add(taken(task_id).token)

    keeper.hand_back()

    assert (row(task_id).state, row(task_id).attempts) == (TaskState.WAITING, 0)
    with db.transaction() as session:
        assert sweep.sweep(session) == 1


@pytest.mark.parametrize("year", [2001, 2099])
def test_a_worker_with_a_wrong_clock_changes_no_verdict(year: int) -> None:
    runs: list[int] = []
    mine, later = asked(a_task("work", lambda: runs.append(1))), asked(a_task("later"), due_in_s=60)
    held = taken(asked(a_task("held")))

    with time_machine.travel(datetime(year, 1, 1, tzinfo=UTC), tick=True):
        jobs.run(mine)
        jobs.run(later)
        jobs.run(asked(a_task("other", lambda: runs.append(2))))
        with db.transaction() as session:
            assert sweep.sweep(session) == 0
        assert leases.take(held.task_id) is None

    assert runs == [1, 2]
    assert row(later).state == TaskState.WAITING
    with db.transaction() as session:
        in_future = select(Task.id).where((Task.lease_until > NOW + leases.NEVER_RUNG) | (Task.sent_at > NOW))
        assert session.execute(in_future).all() == []
