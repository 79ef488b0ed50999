"""Who hears of what happens to a build: listeners, pages that look at it, agents that must stop."""

from collections.abc import Collection
from datetime import datetime
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from changes.base import bell, events
from changes.builds import lanes
from changes.builds.events import BuildFailing, BuildFinished
from changes.builds.models import Build, JobStep
from changes.builds.rules import HELD

STOP_CHANNEL = "stop"
LEAVE_CHANNEL = "leave"


def announce_failing(session: Session, build: Build) -> None:
    """At the first failure, which may also be the last thing that happens; then never again."""
    events.announce(session, BuildFailing(build.id))


def announce_end(session: Session, build: Build, at: datetime) -> None:
    build.date_decided = at
    build.endings += 1
    events.announce(session, BuildFinished(build.id, build.endings))


def tell(session: Session, build: Build) -> None:
    """To those who look at the build, and at lists of builds."""
    bell.tell(session, *topics(build))


def topics(build: Build) -> tuple[str, str]:
    return f"build:{build.id.hex}", f"project:{build.project_id.hex}"


def tell_nodes_to_stop(session: Session, job_ids: Collection[UUID]) -> None:
    """Those that work on these jobs, before the steps are taken from them; and those who have room then."""
    held = select(JobStep.node_id, func.count().filter(JobStep.is_limited)).where(
        JobStep.job_id.in_(job_ids), JobStep.status.in_(HELD)
    )
    ending = {row[0]: row[1] for row in session.execute(held.group_by(JobStep.node_id))}
    for node_id in ending:
        tell_to_stop(session, node_id)
    lanes.make_room_on(session, ending)


def tell_to_stop(session: Session, node_id: UUID | None) -> None:
    if node_id is not None:
        notify(session, STOP_CHANNEL, node_id.hex)


def notify(session: Session, channel: str, payload: str) -> None:
    session.execute(select(func.pg_notify(channel, payload)))
