"""What `changes up` puts into the database: run as a program of its own, so that the
supervisor stays small. `prepare` before the servers start, `welcome` once they answer; the
demo asks for a `link` alone.
"""

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path

from sqlalchemy import select

import changes
from changes.app import revision, starting, wiring
from changes.base import db, settings
from changes.base.db import Session
from changes.base.errors import ChangesError
from changes.base.settings import Settings
from changes.builds import ask, nodes
from changes.builds.models import Node
from changes.builds.rules import Cause
from changes.people import tokens, users
from changes.people.models import User
from changes.people.rules import Scope
from changes.projects import config, create, queries
from changes.projects.models import Project
from changes.projects.rules import RepositoryBackend

LOCAL_AGENT = "local"
FIRST_PROJECT = "changes"
COMMAND_LINE_KEY = "command line of this home"


def main() -> None:
    current = settings.load()
    if sys.argv[1:] == ["prepare"]:
        upgrade(current.database_url or "")
        answer(current, prepare)
    else:
        wiring.wire(current)
        answer(current, sign_in if sys.argv[1:] == ["link"] else welcome)


def upgrade(url: str) -> None:
    """Alembic is imported where it has something to do."""
    if not revision.is_current(url):
        from changes.app import migrate

        migrate.upgrade(url)


def answer(current: Settings, act: Callable[[Session, Settings], dict[str, str]]) -> None:
    database = db.Database(current.database_url or "", pool_size=1)
    db.database.set(database)
    with database.transaction() as session:
        answered = act(session, current)
    sys.stdout.write(json.dumps(answered))


def prepare(session: Session, current: Settings) -> dict[str, str]:
    """An administrator, a key for the command line, and a way in for the local agent."""
    if session.execute(select(User.id).limit(1)).first() is None:
        users.create(session, current.admin_email, is_admin=True)
    write_command_line_key(session, current)
    known = session.execute(select(Node.token_digest).where(Node.label == LOCAL_AGENT)).scalar_one_or_none()
    if known is not None and agent_is_enrolled_with(current) == starting.local_address(current):
        return {}
    return {"CHANGES_ENROL_TOKEN": nodes.make_enrolment_token(session)}


def agent_is_enrolled_with(current: Settings) -> str | None:
    """An agent holds its key for one address; after a change of the port it needs to be let in again."""
    try:
        return str(json.loads((current.home / "agent" / "identity.json").read_text())["server"])
    except (OSError, ValueError, KeyError):
        return None


def write_command_line_key(session: Session, current: Settings) -> None:
    """Commands typed by the owner of this home need no login."""
    path = current.home / "cli.json"
    secret = stored_key(path)
    if secret is None or tokens.recognise(session, secret) is None:
        secret = tokens.create(session, COMMAND_LINE_KEY, Scope.ADMIN).secret
    text = json.dumps({"url": current.base_url, "token": secret})
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "w") as file:
        file.write(text)


def stored_key(path: Path) -> str | None:
    try:
        return str(json.loads(path.read_text())["token"])
    except (FileNotFoundError, ValueError, KeyError):
        return None


def welcome(session: Session, current: Settings) -> dict[str, str]:
    """A link for the administrator; at the first start also a project and its first build."""
    return {**sign_in(session, current), "first_build": told_first_build(session, current)}


def sign_in(session: Session, current: Settings) -> dict[str, str]:
    admins = select(User).where(User.is_admin).order_by(User.id).limit(1)
    admin = session.execute(admins).scalar_one()
    link = f"{current.base_url}/auth/link/{users.make_link(session, admin)}/"
    return {"link": link, "email": admin.email}


def told_first_build(session: Session, current: Settings) -> str:
    """A first build that cannot be made is no reason not to start."""
    try:
        with session.begin_nested():
            built = first_build(session, current)
    except ChangesError as error:
        return f"The first build could not be asked for: {error.message}"
    return f"The first build has begun: {built}" if built else ""


def first_build(session: Session, current: Settings) -> str | None:
    """Of our own repository, when we run from a checkout and have not built it yet."""
    checkout = Path(changes.__file__).parents[2]
    is_checkout = (checkout / ".git").exists() and (checkout / config.FILE_NAME).exists()
    if not is_checkout or queries.project_or_none(session, FIRST_PROJECT) is not None:
        return None
    project = first_project(session, str(checkout))
    session.flush()
    asked = ask.Asked(sha="HEAD", project=project.slug, cause=Cause.MANUAL)
    built = ask.build_what_was_asked(session, asked, timeout_min=current.default_job_timeout_min)
    return f"{project.slug} #{built[0].number}" if built else None


def first_project(session: Session, url: str) -> Project:
    repository = queries.repository_by_url(session, url)
    if repository is None:
        repository = create.create_repository(session, url, RepositoryBackend.GIT, may_be_local=True)
    project = create.create_project(session, "Changes", repository, slug=FIRST_PROJECT)
    session.refresh(project)
    return project


if __name__ == "__main__":
    main()
