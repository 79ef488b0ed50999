"""From a name somebody typed to a commit we know all about."""

import functools
from dataclasses import dataclass

from sqlalchemy import Select, bindparam, case, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session, lazyload
from sqlalchemy.orm.attributes import set_committed_value

from changes.base import clock, ids, questions
from changes.base.questions import Question
from changes.people import identities
from changes.people.models import Author
from changes.projects import looks, patches
from changes.projects.models import Patch, Project, Repository, Revision, Source
from changes.projects.rules import RepositoryBackend
from changes.vcs.interface import Person, RevisionSeen

SAID_BY_COMMIT = ("author_id", "committer_id", "message", "parents", "date_created", "date_committed")
COMMIT_OF_PROJECT = """
select {names} from project
join repository on repository.id = project.repository_id
join revision on revision.repository_id = project.repository_id
join source on source.repository_id = revision.repository_id and source.revision_sha = revision.sha
    and source.patch_id is null
left join author on author.id = revision.author_id
where project.slug = %(slug)s and revision.sha = %(sha)s and revision.config is not null
"""


@dataclass(frozen=True)
class KnownCommit:
    """A commit that somebody has looked at, of a project, with its source."""

    project: Project
    revision: Revision
    source: Source


def known_commit(session: Session, slug: str, sha: str) -> KnownCommit | None:
    """By one question, for what is asked again and again. None also where there may be one after a look."""
    session.flush()
    asked = known_commit_asked(slug, sha)
    found = questions.ask(session, asked.statement, asked.values)
    if not found:
        return None
    project, repository, revision, source, author = questions.objects(
        session, found[0], Project, Repository, Revision, Source, Author
    )
    set_committed_value(project, "repository", repository)
    set_committed_value(revision, "author", author)
    set_committed_value(source, "repository", repository)
    set_committed_value(source, "revision", revision)
    return KnownCommit(project, revision, source)


def known_commit_asked(slug: str, sha: str) -> Question:
    return Question(commit_of_project(), {"slug": slug, "sha": sha})


@functools.cache
def commit_of_project() -> str:
    """With all that is ever asked of it."""
    return COMMIT_OF_PROJECT.format(names=questions.names(Project, Repository, Revision, Source, Author))


def find(session: Session, repository: Repository, name: str) -> Revision:
    """The commit of this name: a known full sha costs no look into the repository.

    A repository without version control takes the name as it is.
    """
    known = session.get(Revision, (repository.id, name))
    if known is not None and known.config is not None:
        return known
    if repository.backend == RepositoryBackend.UNKNOWN:
        return save_bare(session, repository, name)
    found = looks.find(session, repository, name)
    return save(session, repository, found.seen, found.config)


def save(session: Session, repository: Repository, seen: RevisionSeen, config_text: str) -> Revision:
    author = author_of(session, seen.author)
    committer = author_of(session, seen.committer)
    row = insert(Revision).values(
        repository_id=repository.id,
        sha=seen.sha,
        author_id=author,
        committer_id=committer,
        message=clean(seen.message),
        parents=list(seen.parents),
        branches=list(seen.branches),
        config=clean(config_text),
        date_created=seen.authored_at,
        date_committed=seen.committed_at,
    )
    # What somebody told us of a commit gives way to what it says itself; that never changes.
    said = {
        name: case((Revision.date_committed.is_(None), row.excluded[name]), else_=getattr(Revision, name))
        for name in SAID_BY_COMMIT
    }
    read = {"config": row.excluded.config, "branches": row.excluded.branches}
    index = [Revision.repository_id, Revision.sha]
    session.execute(row.on_conflict_do_update(index_elements=index, set_={**said, **read}))
    found = select(Revision).where(Revision.repository_id == repository.id, Revision.sha == seen.sha)
    return session.execute(found.execution_options(populate_existing=True)).unique().scalar_one()


def author_of(session: Session, person: Person) -> object:
    key = (person.name, person.email)
    return identities.authors(session, [key])[key]


def save_bare(session: Session, repository: Repository, name: str) -> Revision:
    row = insert(Revision).values(
        repository_id=repository.id,
        sha=name,
        message="",
        parents=[],
        branches=[],
        config="",
        date_created=clock.now(),
    )
    session.execute(row.on_conflict_do_nothing())
    return session.get_one(Revision, (repository.id, name))


def clean(text: str) -> str:
    """PostgreSQL cannot store NUL; commits can hold it."""
    return text.replace("\0", "\N{REPLACEMENT CHARACTER}")


def source_of(
    session: Session, revision: Revision, patch: Patch | None = None, data: object = None
) -> Source:
    """One source per commit; each patch has its own."""
    if patch is None:
        return source_of_commit(session, revision) or new_source_of_commit(session, revision, data)
    source = Source(
        id=ids.new(),
        repository_id=revision.repository_id,
        revision_sha=revision.sha,
        patch_id=patch.id,
        data=data or {},
    )
    session.add(source)
    session.flush()
    return source


def source_of_commit(session: Session, revision: Revision) -> Source | None:
    """Its commit and repository are here already."""
    given = {"repository_id": revision.repository_id, "sha": revision.sha}
    return session.execute(without_patch(), given).scalar_one_or_none()


@functools.cache
def without_patch() -> Select[Source]:
    mine = select(Source).where(
        Source.repository_id == bindparam("repository_id"),
        Source.revision_sha == bindparam("sha"),
        Source.patch_id.is_(None),
    )
    return mine.options(lazyload("*"))


def new_source_of_commit(session: Session, revision: Revision, data: object) -> Source:
    """Somebody else may make it at the same moment; then there is his."""
    row = insert(Source).values(
        id=ids.new(),
        repository_id=revision.repository_id,
        revision_sha=revision.sha,
        data=data or {},
        date_created=clock.now(),
    )
    session.execute(row.on_conflict_do_nothing())
    made = source_of_commit(session, revision)
    if made is None:
        raise RuntimeError("the source of a commit was neither found nor made")
    return made


def save_patch(session: Session, revision: Revision, diff: bytes, *, label: str = "", url: str = "") -> Patch:
    return patches.save(session, revision, diff, label=label, url=url)
