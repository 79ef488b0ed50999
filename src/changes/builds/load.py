"""How busy the system is, in a few numbers."""

from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import func, literal_column, select
from sqlalchemy.orm import Session

from changes.builds.models import Build, Job, JobStep, Node
from changes.builds.rules import Status

LIVE_S = 60


@dataclass(frozen=True)
class Load:
    steps: dict[str, int]
    live_nodes: int


def count(session: Session) -> Load:
    # By way of their builds, of which few are unfinished; nothing finds the steps themselves so fast.
    found = (
        select(JobStep.status, func.count())
        .select_from(Build)
        .join(Job, Job.build_id == Build.id)
        .join(JobStep, JobStep.job_id == Job.id)
        .where(Build.status != literal_column("3"), JobStep.status != Status.FINISHED)
        .group_by(JobStep.status)
    )
    steps = {status.name.lower(): 0 for status in Status if status != Status.FINISHED}
    for status, number in session.execute(found):
        steps[status.name.lower()] = number
    since = func.now() - timedelta(seconds=LIVE_S)
    live = session.execute(select(func.count()).where(Node.date_last_seen > since)).scalar_one()
    return Load(steps, live)
