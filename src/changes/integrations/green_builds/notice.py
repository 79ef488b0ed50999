"""Tells a server of yours of each green commit, in the words of the original's hook (GREEN_BUILD_URL).

Each commit is told once per project. A server that is away is tried again for hours, by the task that tells;
one that answers 409 knows the commit already.
"""

from dataclasses import dataclass

import httpx
import structlog
from sqlalchemy import ColumnElement, select, update
from sqlalchemy.orm import Session

from changes.base import db, events
from changes.base.events import Event
from changes.base.process import settings
from changes.builds import green, triggers_rules
from changes.builds.events import RevisionResultUpdated
from changes.builds.models import Build
from changes.builds.rules import Result
from changes.projects import options, queries
from changes.projects.models import Project, Revision

EVENT = "green_build_notification"
ANSWER_WITHIN_S = 10.0

log = structlog.get_logger()


@dataclass(frozen=True)
class Green:
    """A commit of which something is told, and under which name of its project."""

    project: Project
    name: str
    revision: Revision
    build: Build


def tell(event: RevisionResultUpdated) -> None:
    url = settings.get().green_build_url
    if url is None or event.result != Result.PASSED:
        return
    with db.transaction() as session:
        told = wanted(session, event)
        if told is None or not may_tell(session, event):
            return
    try:
        send(url, form(told))
    except httpx.HTTPError:
        note(event, "fail")
        raise
    note(event, "success")


def send(url: str, said: dict[str, str]) -> None:
    answer = httpx.post(url, data=said, auth=credentials(), timeout=ANSWER_WITHIN_S)
    if answer.status_code == httpx.codes.CONFLICT:
        log.warning("the server of green builds knows this commit", project=said["project"], id=said["id"])
        return
    answer.raise_for_status()


def wanted(session: Session, event: RevisionResultUpdated) -> Green | None:
    """None where the project tells nothing, or not of this branch."""
    project = session.get_one(Project, event.project_id)
    chosen = options.with_defaults(queries.options(session, project))
    revision = session.get(Revision, (project.repository_id, event.sha))
    if chosen[options.GREEN_NOTIFY] != "1" or revision is None:
        return None
    if not triggers_rules.is_branch_wanted(chosen[options.BRANCHES].split(), revision.branches):
        return None
    name = chosen[options.GREEN_PROJECT] or project.slug
    return Green(project, name, revision, session.get_one(Build, event.build_id))


def may_tell(session: Session, event: RevisionResultUpdated) -> bool:
    """Also once more where it failed, or where whoever told did not live to note it."""
    events.first_time(session, EVENT, event.project_id, event.sha, {"status": "waiting"})
    status = session.execute(select(Event.data["status"].astext).where(*of(event))).scalar_one()
    return bool(status != "success")


def note(event: RevisionResultUpdated, status: str) -> None:
    with db.transaction() as session:
        told = {"status": status, "build_id": event.build_id.hex}
        session.execute(update(Event).where(*of(event)).values(data=told))


def of(event: RevisionResultUpdated) -> tuple[ColumnElement[bool], ...]:
    return Event.type == EVENT, Event.item_id == event.project_id, Event.key == event.sha


def form(told: Green) -> dict[str, str]:
    author = told.revision.author
    base = settings.get().base_url
    return {
        "project": told.name,
        "id": known_as(told),
        "build_url": f"{base}/projects/{told.project.slug}/builds/{told.build.id.hex}/",
        "build_server": "changes",
        "author_name": author.name if author else "",
        "author_email": author.email if author else "",
        "commit_timestamp": str(committed_s(told.revision)),
        "revision_message": told.revision.message,
    }


def known_as(told: Green) -> str:
    """Its place in the history and its sha; without a copy of the history, its time."""
    sha = told.revision.sha
    mirror = green.mirror_with(told.project.repository, sha)
    return mirror.ordinal(sha) if mirror is not None else f"{committed_s(told.revision)}:{sha}"


def committed_s(revision: Revision) -> int:
    return int((revision.date_committed or revision.date_created).timestamp())


def credentials() -> tuple[str, str] | None:
    user, colon, password = (settings.get().green_build_auth or "").partition(":")
    return (user, password) if colon else None
