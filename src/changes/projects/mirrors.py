"""Local copies of repositories, one per repository and machine."""

from pathlib import Path

from sqlalchemy.orm import Session, object_session

from changes.base import db
from changes.base.errors import Invalid
from changes.base.slot import Slot
from changes.projects import credentials
from changes.projects.models import Repository
from changes.projects.rules import RepositoryBackend
from changes.vcs.interface import Credentials, Mirror
from changes.vcs.open import open_mirror

folder: Slot[Path] = Slot("folder for mirrors")


def of(repository: Repository, session: Session | None = None) -> Mirror:
    """With what opens the door, if it needs that; who has a transaction already saves one."""
    if repository.backend == RepositoryBackend.UNKNOWN:
        raise Invalid("This repository has no version control system.", ["repository"])
    folder.get().mkdir(parents=True, exist_ok=True)
    path = folder.get() / repository.id.hex
    found = credentials_of(repository, session or object_session(repository))
    return open_mirror(repository.backend.name.lower(), repository.url, path, credentials=found)


def credentials_of(repository: Repository, session: Session | None) -> Credentials | None:
    if session is not None:
        return credentials.opened(session, repository)
    with db.transaction() as own:
        return credentials.opened(own, repository)
