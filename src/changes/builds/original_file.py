"""`<slug>.yaml` of the original as it is in a source: at its revision, with its patch on top."""

from uuid import UUID

from sqlalchemy.orm import Session

from changes.base.errors import Invalid
from changes.projects import config, config_original, config_source, mirrors
from changes.projects.models import Project, Source
from changes.projects.rules import RepositoryBackend
from changes.vcs.errors import MissingFile, TooLarge, VcsError
from changes.vcs.interface import Mirror

REMEMBERED_MAX, REMEMBERED_MAX_CHARS = 500, 10_000
Key = tuple[UUID, str, str]
# What a commit says never changes, and to ask for it costs a process.
remembered: dict[Key, str] = {}


def key_of(project: Project, source: Source) -> Key:
    return project.repository_id, source.revision_sha, config_original.file_name(project.slug)


def remember(key: Key, text: str) -> str:
    if len(remembered) >= REMEMBERED_MAX:
        remembered.clear()
    if len(text) <= REMEMBERED_MAX_CHARS:
        remembered[key] = text
    return text


def text_of(session: Session, project: Project, source: Source) -> str:
    """Empty where there is none. Raises a VcsError where nobody can say so now."""
    if project.repository.backend == RepositoryBackend.UNKNOWN:
        return ""
    key = key_of(project, source)
    _, sha, name = key
    text = remembered.get(key)
    if text is None:
        text = remember(key, read(mirrors.of(project.repository), sha, name))
    return config_source.with_patch(session, text, source, name)


def read(mirror: Mirror, sha: str, name: str) -> str:
    try:
        return mirror.read_file(sha, name, config.SIZE_MAX_BYTES).decode("utf-8", "replace")
    except MissingFile:
        return ""
    except TooLarge:
        return config.TOO_LARGE


def removed_files(session: Session, project: Project, source: Source) -> tuple[str, ...]:
    """Patterns of those that agents are to remove. What is wrong with the file its triggers say."""
    if key_of(project, source) not in remembered and not can_be_read(project):
        return ()
    try:
        said = config_original.read(text_of(session, project, source), project.slug)
    except (Invalid, VcsError):
        return ()
    return said.ignored_files if said.removes_ignored else ()


def can_be_read(project: Project) -> bool:
    """A commit that is known needs no copy of its repository to be built."""
    return project.repository.backend != RepositoryBackend.UNKNOWN and mirrors.of(project.repository).exists()
