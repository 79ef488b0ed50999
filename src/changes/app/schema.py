"""All tables, for migrations: importing this module loads every model."""

from changes.base import events, idempotency, room, task
from changes.base.db import Base
from changes.builds import green_models as green
from changes.builds import models as builds
from changes.builds import queue_models as queue
from changes.builds import removal_models as removal
from changes.builds import snapshot_models as snapshots
from changes.builds import triggers_models as triggers
from changes.builds.original import models as original
from changes.people import models as people
from changes.projects import models as projects
from changes.results import card_models as cards
from changes.results import file_models as files
from changes.results import keeping_models as keeping
from changes.results import log_error_models as log_errors
from changes.results import models as results
from changes.results import origin_models as origins
from changes.results import verdict_models as verdicts
from changes.results.coverage import models as coverage
from changes.results.figures import models as figures
from changes.results.original_store import models as store

TABLES = (
    events,
    task,
    people,
    projects,
    builds,
    green,
    queue,
    removal,
    snapshots,
    triggers,
    original,
    results,
    coverage,
    figures,
    cards,
    log_errors,
    files,
    keeping,
    origins,
    verdicts,
    store,
    idempotency,
    room,
)
metadata = Base.metadata
