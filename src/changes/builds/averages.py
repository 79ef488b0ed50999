"""How long builds of a project usually take: the mean of the last five that passed."""

from uuid import UUID

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from changes.builds.models import Build
from changes.builds.rules import Result, Status
from changes.projects.models import Project

LAST = 5


def update_project_average(session: Session, project_id: UUID) -> None:
    passed = (
        select(Build.date_started, Build.date_finished)
        .where(Build.project_id == project_id, Build.status == Status.FINISHED, Build.result == Result.PASSED)
        .where(Build.date_started.is_not(None))
        .order_by(Build.id.desc())
        .limit(LAST)
        .subquery()
    )
    length_s = func.extract("epoch", passed.c.date_finished - passed.c.date_started)
    mean_s = session.execute(select(func.avg(length_s))).scalar_one()
    mean_ms = None if mean_s is None else round(float(mean_s) * 1000)
    session.execute(update(Project).where(Project.id == project_id).values(avg_build_time_ms=mean_ms))
