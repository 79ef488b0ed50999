"""Sends rows that steps left behind in CHANGES_ANALYTICS.json to a server of yours, as the original did.

Each file is sent once. A server that is away is tried again for hours, by the task that sends.
"""

import httpx
import structlog
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from changes.base import db, events
from changes.base.errors import NotFound
from changes.base.events import Event
from changes.base.process import settings
from changes.results import reading
from changes.results.events import AnalyticsKept
from changes.results.formats import analytics
from changes.results.formats.analytics import Analytics
from changes.results.models import Artifact

EVENT = "analytics_rows"
ANSWER_WITHIN_S = 10.0

log = structlog.get_logger()


def send(event: AnalyticsKept) -> None:
    url = settings.get().analytics_project_post_url
    if url is None:
        return
    with db.transaction() as session:
        artifact = session.get(Artifact, event.artifact_id)
        if artifact is None or not may_send(session, event):
            return
    found = rows_of(artifact)
    if found is None:
        note(event, "gone")
        return
    try:
        post(url, found, artifact.step_id.hex)
    except httpx.HTTPError:
        note(event, "fail")
        raise
    note(event, "success")


def rows_of(artifact: Artifact) -> Analytics | None:
    """None when its bytes were cleaned away meanwhile."""
    try:
        with reading.opened(artifact) as stream:
            return analytics.read(stream)
    except NotFound:
        log.warning("rows were cleaned away before they were sent", artifact=artifact.id.hex)
        return None


def post(url: str, found: Analytics, step_id: str) -> None:
    rows = [{**entry, "jobstep_id": step_id} for entry in found.entries]
    # Whatever else the address asks for stays.
    address = httpx.URL(url).copy_merge_params({"source": found.table})
    httpx.post(address, json=rows, timeout=ANSWER_WITHIN_S).raise_for_status()


def may_send(session: Session, event: AnalyticsKept) -> bool:
    """Also once more where it failed, or where whoever sent did not live to note it."""
    events.first_time(session, EVENT, event.artifact_id, event.table, {"status": "waiting"})
    mine = select(Event.data["status"].astext).where(Event.type == EVENT)
    status = session.execute(mine.where(Event.item_id == event.artifact_id)).scalar_one()
    return bool(status != "success")


def note(event: AnalyticsKept, status: str) -> None:
    with db.transaction() as session:
        mine = update(Event).where(Event.type == EVENT, Event.item_id == event.artifact_id)
        session.execute(mine.values(data={"status": status}))
