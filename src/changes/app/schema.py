"""All tables, for migrations: importing this module loads every model."""

from changes.base import events, idempotency, task
from changes.base.db import Base
from changes.builds import models as builds
from changes.builds import queue_models as queue
from changes.people import models as people
from changes.projects import models as projects
from changes.results import models as results

TABLES = (events, task, people, projects, builds, queue, results, idempotency)
metadata = Base.metadata
