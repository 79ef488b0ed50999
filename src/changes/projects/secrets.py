"""Secrets of projects: sealed when they are kept, opened when a trusted step is handed out, never shown."""

import re
from collections.abc import Iterable, Sequence
from uuid import UUID

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from changes.base import clock, ids, secrets
from changes.base.errors import Invalid, NotFound
from changes.projects.models import Project, ProjectSecret

NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}")
# What is shorter cannot be hidden in logs: it would be found where it is none.
VALUE_MIN_BYTES, VALUE_MAX_BYTES = 6, 48 * 1024
SECRETS_MAX = 100
# Those that tell programs and the agent itself where they are; a secret in their place would be no secret.
TAKEN = {"PATH", "HOME", "TMPDIR", "LANG", "TERM", "CI", "LD_PRELOAD", "LD_LIBRARY_PATH", "BASH_ENV", "ENV"}
TAKEN_PREFIX = "CHANGES_"


def of(session: Session, project: Project) -> Sequence[ProjectSecret]:
    mine = select(ProjectSecret).where(ProjectSecret.project_id == project.id)
    return session.execute(mine.order_by(ProjectSecret.name)).scalars().all()


def keep(session: Session, project: Project, name: str, value: str) -> ProjectSecret:
    """In place of what was there under this name."""
    refuse_unfit(name, value)
    known = {each.name: each for each in of(session, project)}
    if name not in known and len(known) >= SECRETS_MAX:
        raise Invalid(f"A project has at most {SECRETS_MAX} secrets.", ["name"])
    found = known.get(name) or ProjectSecret(id=ids.new(), project_id=project.id, name=name)
    found.sealed = secrets.seal(value, purpose(project.id, name))
    found.date_modified = clock.now()
    session.add(found)
    session.flush()
    return found


def drop(session: Session, project: Project, name: str) -> None:
    mine = (ProjectSecret.project_id == project.id, ProjectSecret.name == name)
    gone = session.execute(delete(ProjectSecret).where(*mine).returning(ProjectSecret.id)).first()
    if gone is None:
        raise NotFound(f"The project has no secret {name[:80]!r}.")


def opened(project_id: UUID, sealed: Iterable[tuple[str, bytes]]) -> dict[str, str]:
    """Raises Unreadable where the key of the server is another one than it was."""
    return {name: secrets.unseal(each, purpose(project_id, name)) for name, each in sealed}


def purpose(project_id: UUID, name: str) -> str:
    return f"project:{project_id.hex}:{name}"


def refuse_unfit(name: str, value: str) -> None:
    if not NAME.fullmatch(name):
        raise Invalid(
            "A secret has the name of a variable: letters, digits and _, none of them first a digit.",
            ["name"],
        )
    if name in TAKEN or name.startswith(TAKEN_PREFIX):
        raise Invalid(f"{name} is a variable that is taken.", ["name"])
    size = len(value.encode())
    if size < VALUE_MIN_BYTES:
        raise Invalid(
            f"A secret of less than {VALUE_MIN_BYTES} bytes cannot be hidden in logs; take a longer one.",
            ["value"],
        )
    if size > VALUE_MAX_BYTES:
        raise Invalid(f"A secret has at most {VALUE_MAX_BYTES // 1024} KiB.", ["value"])
    if "\0" in value:
        raise Invalid("No variable can hold a NUL.", ["value"])
