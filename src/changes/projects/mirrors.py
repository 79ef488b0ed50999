"""Local copies of repositories, one per repository and machine."""

from pathlib import Path

from changes.base.errors import Invalid
from changes.base.slot import Slot
from changes.projects.models import Repository
from changes.projects.rules import RepositoryBackend
from changes.vcs.interface import Mirror
from changes.vcs.open import open_mirror

folder: Slot[Path] = Slot("folder for mirrors")


def of(repository: Repository) -> Mirror:
    if repository.backend == RepositoryBackend.UNKNOWN:
        raise Invalid("This repository has no version control system.", ["repository"])
    folder.get().mkdir(parents=True, exist_ok=True)
    return open_mirror(repository.backend.name.lower(), repository.url, folder.get() / repository.id.hex)
