"""What waits in the outbox is given to those who listen together, all of it, each event once."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import func, select, update

from changes.base import db, events, ids, jobs, outbox
from changes.base.events import DELIVER, Outbox
from changes.base.task import Task, TaskState


@dataclass(frozen=True)
class Landed:
    change_id: UUID


class Trouble(Exception):
    pass


@pytest.fixture(autouse=True)
def own_listeners(rung: list[UUID], database: db.Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "listeners", {})
    monkeypatch.setattr(events, "together", {})


@pytest.fixture
def batches() -> list[list[UUID]]:
    heard: list[list[UUID]] = []

    def count_landed(_session: db.Session, landed: Sequence[Landed]) -> None:
        heard.append([each.change_id for each in landed])

    events.listen_together(Landed, count_landed)
    return heard


def announce(*changes: UUID) -> None:
    with db.transaction() as session:
        for change_id in changes:
            events.announce(session, Landed(change_id))


def kept() -> int:
    with db.transaction() as session:
        return session.execute(select(func.count(Outbox.id))).scalar_one()


def test_all_that_waits_comes_at_once_and_is_forgotten(batches: list[list[UUID]], rung: list[UUID]) -> None:
    first, second, third = (ids.new() for _ in range(3))
    announce(first, second)
    announce(third)

    for task_id in rung:
        jobs.run(task_id)

    assert set(rung) == {DELIVER}
    assert batches == [[first, second, third]]
    assert kept() == 0


def test_more_than_fit_into_one_batch_come_in_several(
    batches: list[list[UUID]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox, "AT_ONCE", 2)
    changes = [ids.new() for _ in range(5)]
    announce(*changes)

    outbox.deliver()

    assert [len(batch) for batch in batches] == [2, 2, 1]
    assert sorted(each for batch in batches for each in batch) == sorted(changes)


def test_one_that_fails_keeps_nothing_from_the_others_and_is_tried_again_alone(
    batches: list[list[UUID]],
) -> None:
    bad, good = ids.new(), ids.new()
    settled: list[UUID] = []

    def stumble(_session: db.Session, landed: Sequence[Landed]) -> None:
        if any(each.change_id == bad for each in landed):
            raise Trouble
        settled.extend(each.change_id for each in landed)

    events.listen_together(Landed, stumble)
    announce(bad, good)
    outbox.deliver()
    with db.transaction() as session:
        alone = session.execute(select(Task.id).order_by(Task.id)).scalars().all()
    with pytest.raises(Trouble):
        jobs.run(alone[0])
    jobs.run(alone[1])

    assert batches == [[bad, good]]
    assert settled == [good]
    with db.transaction() as session:
        states = session.execute(select(Task.state).order_by(Task.id)).scalars().all()
    assert states == [TaskState.WAITING, TaskState.FINISHED]


def test_somebody_who_listens_alone_gets_it_too(batches: list[list[UUID]], rung: list[UUID]) -> None:
    heard: list[Landed] = []

    def tell_people(event: Landed) -> None:
        heard.append(event)

    events.listen(Landed, tell_people)
    landed = ids.new()
    announce(landed)
    outbox.deliver()
    for task_id in rung:
        jobs.run(task_id)

    assert batches == [[landed]]
    assert heard == [Landed(landed)]


def test_what_nobody_came_for_is_rung_for_again(batches: list[list[UUID]], rung: list[UUID]) -> None:
    announce(ids.new())
    rung.clear()

    with db.transaction() as session:
        outbox.ring_for_forgotten(session)
    assert rung == []
    with db.transaction() as session:
        session.execute(update(Outbox).values(date_created=func.now() - timedelta(minutes=1)))
        outbox.ring_for_forgotten(session)

    assert rung == [DELIVER]


def test_what_waits_is_not_cleaned_away(batches: list[list[UUID]]) -> None:
    announce(ids.new())
    with db.transaction() as session:
        session.execute(update(Outbox).values(date_created=func.now() - timedelta(days=9)))

    with db.transaction() as session:
        assert events.clean(session) == 0

    assert kept() == 1
