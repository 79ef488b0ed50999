"""The builds that one request asked for together: when the last of them ends, somebody may wait for it."""

from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from changes.base import events
from changes.builds import rules
from changes.builds.events import CollectionFinished
from changes.builds.models import Build

FINISHED = "collection_finished"


def tell_when_finished(session: Session, build_id: UUID) -> None:
    """Once for each time that all have ended.

    It looks after the end of a build was committed, so of two that end at the same moment at least one
    look sees both; and when both looks do, the Event lets one of them tell. All endings together are its
    key, so a collection of which a build was repeated ends once more.
    """
    its_collection = select(Build.collection_id).where(Build.id == build_id).scalar_subquery()
    found = select(Build.collection_id, Build.status, Build.result, Build.endings)
    builds = session.execute(found.where(Build.collection_id == its_collection)).all()
    if not builds or any(build.status != rules.Status.FINISHED for build in builds):
        return
    collection_id, endings = builds[0].collection_id, sum(build.endings for build in builds)
    if events.first_time(session, FINISHED, collection_id, str(endings)):
        result = rules.collection_result([build.result for build in builds])
        events.announce(session, CollectionFinished(collection_id, result))
