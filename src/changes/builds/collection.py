"""The builds that one request asked for together: when the last of them ends, somebody may wait for it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from changes.base import bell, events
from changes.base.errors import NotFound
from changes.base.events import Event
from changes.builds import rules
from changes.builds.events import CollectionFinished
from changes.builds.models import Build
from changes.builds.rules import Result, Status

FINISHED = "collection_finished"
# One request asks for a build of each project of a repository.
BUILDS_MAX = 1000
EVENTS_MAX = 100


@dataclass(frozen=True)
class Verdict:
    """Of all of them. While some go on it is what is known already: that one has failed."""

    is_finished: bool
    result: Result


def verdict(builds: Sequence[Build]) -> Verdict:
    is_finished = all(build.status == Status.FINISHED for build in builds)
    results = [build.result for build in builds]
    result = rules.collection_result(results) if is_finished else rules.running_result(results)
    return Verdict(is_finished, result)


def builds_of(session: Session, collection_id: UUID) -> Sequence[Build]:
    """Oldest first."""
    mine = select(Build).where(Build.collection_id == collection_id).order_by(Build.id).limit(BUILDS_MAX)
    found = session.execute(mine).unique().scalars().all()
    if not found:
        raise NotFound("There is no such collection of builds.")
    return found


def tell_when_finished(session: Session, *build_ids: UUID) -> None:
    """Once for each time that all builds of a collection have ended; these builds are those that did.

    It looks after the end of a build was committed, so of two that end at the same moment at least one
    look sees both; and when both looks do, the Event lets one of them tell. All endings together are its
    key, so a collection of which a build was repeated ends once more.
    """
    theirs = select(Build.collection_id).where(Build.id.in_(build_ids))
    found = select(Build.id, Build.collection_id, Build.status, Build.result, Build.endings)
    rows = session.execute(found.where(Build.collection_id.in_(theirs)).order_by(Build.id)).all()
    families: dict[UUID, list[Any]] = {}
    for row in rows:
        families.setdefault(row.collection_id, []).append(row)
    ended = {
        collection_id: str(sum(build.endings for build in builds))
        for collection_id, builds in families.items()
        if all(build.status == Status.FINISHED for build in builds)
    }
    for collection_id in events.first_times(session, FINISHED, ended):
        builds = families[collection_id]
        result = rules.collection_result([build.result for build in builds])
        events.announce(session, CollectionFinished(collection_id, result))
        if len(builds) > 1:
            tell_family(session, [build.id for build in builds], result, ended[collection_id])


def tell_family(session: Session, build_ids: Sequence[UUID], result: Result, endings: str) -> None:
    """Each build of it keeps the verdict of all, and shows it to those who look at it. A build that was
    asked for alone is its own family, and costs nothing more.
    """
    for build_id in build_ids:
        told = {"result": result.name.lower(), "builds": len(build_ids)}
        events.first_time(session, FINISHED, build_id, endings, told)
    bell.tell(session, *(f"build:{build_id.hex}" for build_id in build_ids[:BUILDS_MAX]))


def events_of(session: Session, build_id: UUID) -> Sequence[Event]:
    """What was told, or done outside, once because of this build; oldest first."""
    mine = select(Event).where(Event.item_id == build_id).order_by(Event.id)
    return session.execute(mine.limit(EVENTS_MAX)).scalars().all()
