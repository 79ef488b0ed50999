"""All tables, for migrations: importing this module loads every model."""

from changes.base import events, idempotency, task
from changes.base.db import Base
from changes.builds import green_models as green
from changes.builds import models as builds
from changes.builds import queue_models as queue
from changes.builds import snapshot_models as snapshots
from changes.builds import triggers_models as triggers
from changes.builds.original import models as original
from changes.people import models as people
from changes.projects import models as projects
from changes.results import models as results
from changes.results import origin_models as origins
from changes.results import verdict_models as verdicts
from changes.results.original_store import models as store

TABLES = (
    events,
    task,
    people,
    projects,
    builds,
    green,
    queue,
    snapshots,
    triggers,
    original,
    results,
    origins,
    verdicts,
    store,
    idempotency,
)
metadata = Base.metadata
