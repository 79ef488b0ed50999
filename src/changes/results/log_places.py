"""What can be read as a log, by its id: the log of a step, or a file that a step left behind."""

from typing import TypeVar
from uuid import UUID

from sqlalchemy.orm import joinedload

from changes.base.db import Session
from changes.base.errors import NotFound
from changes.builds.models import Build, Job, JobStep
from changes.results.log_reading import Source
from changes.results.models import Artifact, LogSource

Kind = TypeVar("Kind", LogSource, Artifact)


def source(session: Session, log_id: UUID) -> Source:
    """With all that it is a part of."""
    found = find(session, LogSource, log_id) or find(session, Artifact, log_id)
    if found is None:
        raise NotFound("There is no such log.")
    return found


def find(session: Session, kind: type[Kind], log_id: UUID) -> Kind | None:
    whole = joinedload(kind.step).joinedload(JobStep.job).joinedload(Job.build).joinedload(Build.project)
    return session.get(kind, log_id, options=[whole])
