"""A disk that gets full stops the hand-outs, and they go on by themselves."""

from datetime import timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session
from tests import factories
from tests.builds import queues

from changes.base import clock, room
from changes.base.room import Place
from changes.base.settings import Settings
from changes.base.storage import Storage
from changes.builds import waiting
from changes.builds.models import JobStep
from changes.builds.waiting_rules import Block
from changes.results import disk, disk_use
from changes.results.keeping_models import OF_NOBODY, DiskUse

GB = 10**9


def a_place(free_bytes: float) -> Place:
    return Place("/srv/changes", 100 * GB, int(free_bytes), 2 * GB)


def watch(session: Session, free_bytes: float, *, quota_bytes: int = 0) -> str | None:
    """The sentence while it is paused."""
    seen = disk.watch(session, [a_place(free_bytes)], quota_bytes=quota_bytes)
    return seen.sentence if seen.is_paused else None


def test_a_pause_begins_at_the_limit_and_ends_only_some_way_above_it(session: Session) -> None:
    told = [watch(session, free * GB) is not None for free in (3, 1.9, 2.1, 2.3, 2.1)]

    assert told == [False, True, True, False, False]


def test_while_it_is_paused_the_limit_stays_and_where_it_goes_on_is_told(session: Session) -> None:
    told = [watch(session, free * GB) for free in (1.9, 2.1)]

    assert told == [
        "only 1.9 GB are free on the disk of /srv/changes, limit 2.0 GB",
        "only 2.1 GB are free on the disk of /srv/changes, limit 2.0 GB, it goes on at 2.2 GB",
    ]


def test_a_quota_pauses_as_well(session: Session) -> None:
    assert watch(session, 50 * GB, quota_bytes=1000) is not None
    assert watch(session, 50 * GB, quota_bytes=10**15) is None


def test_while_a_disk_is_full_no_agent_gets_a_step(session: Session) -> None:
    factories.a_build(session)
    node = queues.a_node(session)
    watch(session, GB)

    paused = queues.hand_out(session, node)
    watch(session, 50 * GB)

    assert paused == []
    assert len(queues.hand_out(session, node)) == 1


def test_whoever_asks_why_a_step_waits_is_told_of_the_disk(session: Session) -> None:
    factories.a_build(session)
    step = session.execute(select(JobStep)).scalars().one()
    watch(session, 1.2 * GB)

    told = waiting.explain(session, step, silence_s=60)

    assert told.waiting.block == Block.DISK_FULL
    assert told.waiting.sentence == (
        "Nothing is handed out, paused: only 1.2 GB are free on the disk of /srv/changes, limit 2.0 GB."
    )
    assert told.estimate is None


def test_the_pause_remembers_since_when(session: Session) -> None:
    watch(session, GB)
    first = room.current(session)
    assert first is not None
    since = first.date_paused

    watch(session, GB)

    again = room.current(session)
    assert again is not None
    assert again.date_paused == since
    assert again.date_measured >= (since or again.date_measured)


def test_the_disks_of_the_store_and_of_the_database_are_looked_at(settings: Settings) -> None:
    limits = settings.model_copy(update={"disk_free_min_bytes": 5, "disk_free_min_percent": 10})

    (place,) = disk.places(limits, Storage(settings.blob_url))

    assert place.free_min_bytes == place.total_bytes // 10


def test_the_use_of_each_day_is_noted_once(session: Session) -> None:
    disk_use.measure(session)
    disk_use.measure(session)

    today = clock.now().date()
    kinds = {each.kind: each.size_bytes for each in disk_use.kinds_on(session, today)}
    assert set(disk.STORED) | set(disk.TABLES) | {"the rest of the database"} == set(kinds)
    assert kinds["the rest of the database"] > 0


def test_growth_is_told_from_the_days(session: Session) -> None:
    today = clock.now().date()
    for ago, size in ((10, 1000), (0, 2000)):
        day = today - timedelta(days=ago)
        row = {"kind": "artifacts", "project_id": OF_NOBODY, "size_bytes": size, "items": 1}
        session.add(DiskUse(day=day, date_measured=clock.now(), **row))
    session.flush()

    seen = disk_use.days(session, since=today - timedelta(days=30))

    assert disk_use.growth_a_day(seen) == 100
    assert disk_use.days_left(5000, 100) == 50


def test_one_day_tells_no_growth() -> None:
    assert disk_use.growth_a_day([(clock.now().date(), 5)]) is None
