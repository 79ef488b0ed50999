"""Celery as a bell: how the id of a Task row gets to a worker.

A message that is lost, doubled or late does no harm (base/jobs.py), so messages are
acknowledged at once, nothing waits in the broker, and remote control is off.
"""

from functools import partial
from typing import Any
from uuid import UUID

from celery import Celery
from kombu.exceptions import OperationalError

from changes.app.doorbell import BrokerAway, Doorbell
from changes.base import jobs
from changes.base.settings import Settings

QUEUE = "changes"
RUN = "changes.run"
# Given to `celery worker` by `changes worker`; docs name them for those who type it themselves.
WORKER_FLAGS = ["--without-gossip", "--without-mingle", "--without-heartbeat"]
# As long as so many messages wait, workers have enough to do and nothing is sent again.
LONG_QUEUE = 1_000


def make_celery(current: Settings) -> Celery:
    url = current.broker_url or "memory://"
    app = Celery("changes", broker=url)
    app.conf.update(
        task_default_queue=QUEUE,
        task_ignore_result=True,
        task_acks_late=False,
        task_always_eager=current.celery_always_eager,
        worker_enable_remote_control=False,
        worker_prefetch_multiplier=1,
        worker_concurrency=current.worker_concurrency,
        worker_pool="threads",
        worker_hijack_root_logger=False,
        worker_redirect_stdouts=False,
        worker_cancel_long_running_tasks_on_connection_loss=False,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        broker_transport_options=transport_options(url),
        beat_scheduler="changes.app.schedule:CeleryScheduler",
        beat_max_loop_interval=1,
    )
    app.task(name=RUN, ignore_result=True)(run)
    return app


def transport_options(url: str) -> dict[str, Any]:
    # Without these, a thread that publishes would wait for the broker, and try, for ever.
    patience = {"max_retries": 1, "interval_start": 0, "interval_step": 0.2, "interval_max": 0.2}
    if url.startswith("amqp"):
        # Not told to confirm, RabbitMQ takes a message into a connection that is already dead.
        return {**patience, "confirm_publish": True}
    return {**patience, "socket_connect_timeout": 2, "socket_timeout": 10}


def run(task_id: str) -> None:
    jobs.run(UUID(task_id))


class Line:
    """The connection of one thread to the broker, made anew after any error."""

    def __init__(self, app: Celery) -> None:
        self.app = app
        self.connection = app.connection_for_write()
        self.errors: tuple[type[BaseException], ...] = (
            OperationalError,
            OSError,
            *self.connection.connection_errors,
            *self.connection.channel_errors,
        )

    def publish(self, task_id: UUID) -> None:
        producer = self.app.amqp.Producer(self.connection, auto_declare=False)
        try:
            self.app.send_task(RUN, [task_id.hex], queue=QUEUE, retry=False, producer=producer)
        except self.errors as error:
            raise self.lost(error) from error

    def count_waiting(self) -> int:
        try:
            declared: Any = self.app.amqp.queues[QUEUE](self.connection.default_channel).queue_declare()
        except self.errors as error:
            raise self.lost(error) from error
        return int(declared.message_count)

    def lost(self, error: BaseException) -> BrokerAway:
        # Not close(), which wants to say goodbye to somebody who no longer listens.
        self.connection.collect()
        self.connection = self.app.connection_for_write()
        return BrokerAway(str(error))


class Room:
    """How many more messages the broker should hold. None while it is away: so nothing counts
    as sent that is not, and all of it goes out when the broker is back.
    """

    def __init__(self, app: Celery) -> None:
        self.line = Line(app)

    def __call__(self) -> int:
        try:
            return max(0, LONG_QUEUE - self.line.count_waiting())
        except BrokerAway:
            return 0


def connect_bell(app: Celery, *, eager: bool) -> None:
    if eager:
        jobs.bell.set(partial(run_here, app))
        return
    bell = Doorbell(partial(Line, app))
    bell.start()
    jobs.bell.set(bell.ring)


def run_here(app: Celery, task_id: UUID) -> None:
    """Celery's own eager mode: a failure is logged and does not reach whoever asked."""
    app.tasks[RUN].apply_async((task_id.hex,))
