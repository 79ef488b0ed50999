"""Every periodic task and its period, in one table, and the beat that starts them.

Any number of workers may beat: an advisory lock lets one of them act, and a Task row per
name and period makes sure of it even while the lock changes hands.
"""

import os
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid5

import structlog
from celery.beat import Scheduler
from sqlalchemy import or_, select, text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from changes.app import broker
from changes.base import db, events, idempotency, jobs, outbox, sweep
from changes.base.task import IS_OPEN, Task, TaskState
from changes.builds import blobs, lanes, snapshots, triggers_queries
from changes.builds.tasks import run_schedules, sweep_builds, sweep_outside, sweep_steps, tend_queue
from changes.people import expiry
from changes.projects.tasks import poll_repositories
from changes.results import partitions, uploads
from changes.results.coverage import folding
from changes.results.tasks import (
    clean_away,
    count_work,
    drop_old_tests,
    look_for_flaky_tests,
    measure_disk_use,
    pack_indexes,
    pack_logs,
    sum_up_tests,
    sweep_files,
    sweep_origins,
    tend_quarantine,
    watch_disk,
)

BEAT_EVERY_S = 1.0
LOCK_NUMBER = 0x6368616E6765  # "change"
NAMESPACE = UUID("6f1b1f0e-6c0e-4f6e-9d3b-6368616e6765")

log = structlog.get_logger()


@dataclass(frozen=True)
class Periodic:
    every_s: int
    body: Callable[[], None]

    @property
    def name(self) -> str:
        return f"{self.body.__module__.removeprefix('changes.').removesuffix('.tasks')}.{self.body.__name__}"


def clean_up() -> None:
    """Each in a transaction of its own: what takes long holds up no other."""
    for clean in (
        sweep.clean,
        events.clean,
        idempotency.clean,
        expiry.clean,
        uploads.clean,
        snapshots.clean,
        blobs.clean,
        triggers_queries.clean,
        folding.clean,
        partitions.make_ahead,
    ):
        with db.transaction() as session:
            count = clean(session)
        if count:
            log.info("cleaned up", what=clean.__module__.rpartition(".")[2], rows=count)


PERIODIC = [
    Periodic(every_s=10, body=sweep_steps),
    Periodic(every_s=30, body=sweep_builds),
    Periodic(every_s=10, body=tend_queue),
    Periodic(every_s=5, body=poll_repositories),
    Periodic(every_s=60, body=sweep_outside),
    Periodic(every_s=10, body=run_schedules),
    Periodic(every_s=20, body=sum_up_tests),
    Periodic(every_s=60, body=count_work),
    Periodic(every_s=20, body=pack_logs),
    Periodic(every_s=15, body=watch_disk),
    Periodic(every_s=60, body=sweep_origins),
    Periodic(every_s=300, body=tend_quarantine),
    Periodic(every_s=600, body=look_for_flaky_tests),
    Periodic(every_s=3600, body=clean_up),
    Periodic(every_s=3600, body=measure_disk_use),
    Periodic(every_s=3600, body=pack_indexes),
    Periodic(every_s=6 * 3600, body=drop_old_tests),
    Periodic(every_s=6 * 3600, body=clean_away),
    Periodic(every_s=24 * 3600, body=sweep_files),
]


def register(periodic: Periodic) -> Callable[[UUID], None]:
    def run_period(_period: UUID) -> None:
        periodic.body()

    run_period.__module__ = periodic.body.__module__
    run_period.__name__ = periodic.body.__name__
    return jobs.task(run_period)


TASKS = [(periodic, register(periodic)) for periodic in PERIODIC]


def tick(room: int) -> None:
    """One look: start what is due this period, and send again what got lost."""
    with db.transaction() as session:
        if not session.execute(
            text("select pg_try_advisory_xact_lock(:number)"), {"number": LOCK_NUMBER}
        ).scalar():
            return
        start_periods(session)
        sweep.sweep(session, room=room)
        outbox.ring_for_forgotten(session)
    with db.transaction() as session:
        # Steps whose time has come, as after a pause between two attempts.
        lanes.enter_due(session)


def start_periods(session: Session) -> None:
    """A period whose predecessor is still at it, or was never begun, is left out."""
    now_s = session.execute(text("select extract(epoch from statement_timestamp())::bigint")).scalar_one()
    names = [periodic.name for periodic, _ in TASKS]
    at_it = or_(Task.state == TaskState.RUNNING, Task.attempts == 0)
    busy = set(session.execute(select(Task.name).where(IS_OPEN, at_it, Task.name.in_(names))).scalars())
    for periodic, body in TASKS:
        if periodic.name not in busy:
            jobs.enqueue_once(session, body, period_id(periodic, now_s))


def period_id(periodic: Periodic, now_s: int) -> UUID:
    """The same for everybody who asks within one period."""
    return uuid5(NAMESPACE, f"{periodic.name} {now_s // periodic.every_s}")


class Beat(threading.Thread):
    """A thread of the worker; a process of its own would cost 70 MB."""

    def __init__(self, room: Callable[[], int]) -> None:
        super().__init__(name="beat", daemon=True)
        self.room = room
        self.stopped = threading.Event()

    def run(self) -> None:
        try:
            while not self.stopped.wait(BEAT_EVERY_S):
                beat_once(self.room)
        except BaseException:
            # Without a beat nothing lost is ever found: better no worker, which is seen and restarted.
            os.kill(os.getpid(), signal.SIGTERM)
            raise

    def stop(self) -> None:
        self.stopped.set()


def beat_once(room: Callable[[], int]) -> None:
    try:
        tick(room())
    except SQLAlchemyError as error:
        log.warning("beat without a database", error=str(error).split("\n", 1)[0])


class CeleryScheduler(Scheduler):
    """What `celery worker -B` and `celery beat` run: the same tick, no schedule file."""

    def setup_schedule(self) -> None:
        self.data: dict[str, Any] = {}
        self.room = broker.Room(self.app)

    def tick(self, *_args: Any, **_kwargs: Any) -> float:
        started = time.monotonic()
        beat_once(self.room)
        return max(0.0, BEAT_EVERY_S - (time.monotonic() - started))
