"""What every server process does first: settings, log, database, blobs, roles."""

from changes.app import plugins
from changes.base import db, logging, process, storage
from changes.base.errors import Unavailable
from changes.base.settings import Settings
from changes.projects import mirrors


class NoDatabase(Unavailable):
    """Neither DATABASE_URL nor a running embedded database."""


class NoBroker(Unavailable):
    """Neither BROKER_URL nor a running embedded broker: a worker would wait for ever."""


def wire_worker(settings: Settings) -> None:
    if settings.broker_url is None:
        raise NoBroker(
            "No broker: set BROKER_URL, or start the embedded one of this CHANGES_HOME with `changes up`."
        )
    # One connection for each task, one for its nested transaction, and the threads for leases and beat.
    needed = 2 * settings.worker_concurrency + 2
    pool_size = max(settings.database_pool_size, needed)
    wire(settings.model_copy(update={"database_pool_size": pool_size}))


def wire(settings: Settings) -> None:
    logging.set_up(style=settings.log_format, level=settings.log_level)
    process.settings.set(settings)
    db.database.set(open_database(settings))
    storage.storage.set(storage.Storage(settings.blob_url))
    mirrors.folder.set(settings.repo_root)
    plugins.introduce()


def open_database(settings: Settings) -> db.Database:
    if settings.database_url is None:
        raise NoDatabase(
            "No database: set DATABASE_URL, or start the embedded one of this CHANGES_HOME with `changes up`."
        )
    return db.Database(settings.database_url, pool_size=settings.database_pool_size)
