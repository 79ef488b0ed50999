"""Local copies of repositories, one per repository and machine."""

from pathlib import Path

from sqlalchemy.orm import object_session

from changes.base import db
from changes.base.errors import Invalid
from changes.base.slot import Slot
from changes.projects import credentials
from changes.projects.models import Repository
from changes.projects.rules import RepositoryBackend
from changes.vcs.interface import Credentials, Mirror
from changes.vcs.open import open_mirror

folder: Slot[Path] = Slot("folder for mirrors")


def of(repository: Repository) -> Mirror:
    """With what opens the door, if it needs that."""
    if repository.backend == RepositoryBackend.UNKNOWN:
        raise Invalid("This repository has no version control system.", ["repository"])
    folder.get().mkdir(parents=True, exist_ok=True)
    path = folder.get() / repository.id.hex
    return open_mirror(
        repository.backend.name.lower(), repository.url, path, credentials=credentials_of(repository)
    )


def credentials_of(repository: Repository) -> Credentials | None:
    session = object_session(repository)
    if session is not None:
        return credentials.opened(session, repository)
    with db.transaction() as own:
        return credentials.opened(own, repository)
