"""Reads of changes, their versions and what was said of them."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import ColumnElement, Select, or_, select, tuple_
from sqlalchemy.orm import Session

from changes.base.errors import NotFound
from changes.base.paging import Page, Part, part
from changes.people.models import Author
from changes.projects.models import Change, Project, Repository, Source
from changes.projects.rules import ChangeKind, ChangeState

VERSIONS_MAX = 200
SHA_BEGINS_WITH = 7


@dataclass(frozen=True)
class ChangeFilter:
    """`text` is a part of the title, a key, or the beginning of a commit that it has become."""

    project: Project | None = None
    repository: Repository | None = None
    state: ChangeState | None = None
    kind: ChangeKind | None = None
    author: Author | None = None
    people: str = ""
    text: str = ""


EVERYTHING = ChangeFilter()


def change(session: Session, change_id: UUID) -> Change:
    found = session.get(Change, change_id)
    if found is None:
        raise NotFound("There is no such change.")
    return found


def changes(session: Session, page: Page, wanted: ChangeFilter = EVERYTHING) -> Part[Change]:
    """Those first that something happened to last."""
    found = filtered(select(Change), wanted)
    return part(session, found.order_by(Change.date_modified.desc(), Change.id.desc()), page)


def filtered(found: Select[Change], wanted: ChangeFilter) -> Select[Change]:
    if wanted.project is not None:
        mine = Change.project_id == wanted.project.id
        of_any = Change.project_id.is_(None) & (Change.repository_id == wanted.project.repository_id)
        found = found.where(mine | of_any)
    if wanted.repository is not None:
        found = found.where(Change.repository_id == wanted.repository.id)
    if wanted.state is not None:
        found = found.where(Change.state == wanted.state)
    if wanted.kind is not None:
        found = found.where(Change.kind == wanted.kind)
    if wanted.author is not None:
        found = found.where(Change.author_id == wanted.author.id)
    if wanted.people:
        found = found.where(Change.author_id.in_(authors_called(wanted.people)))
    return found.where(called(wanted.text.strip())) if wanted.text.strip() else found


def called(text: str) -> ColumnElement[bool]:
    ways = [Change.title.icontains(text, autoescape=True), Change.external_id == text]
    if len(text) >= SHA_BEGINS_WITH:
        ways.append(Change.external_id.startswith(text.lower(), autoescape=True))
        ways.append(Change.landed_sha.startswith(text.lower(), autoescape=True))
    return or_(*ways)


def authors_called(text: str) -> Select[UUID]:
    in_name = Author.name.icontains(text, autoescape=True)
    return select(Author.id).where(in_name | Author.email.icontains(text, autoescape=True))


def versions(session: Session, change: Change, *, limit: int = VERSIONS_MAX) -> Sequence[Source]:
    """Newest first."""
    mine = select(Source).where(Source.change_id == change.id).order_by(Source.number.desc()).limit(limit)
    return session.execute(mine).unique().scalars().all()


def version(session: Session, change: Change, number: int) -> Source:
    mine = select(Source).where(Source.change_id == change.id, Source.number == number)
    found = session.execute(mine).unique().scalar_one_or_none()
    if found is None:
        raise NotFound(f"This change has no version {number}.")
    return found


def source_of_commit(session: Session, repository_id: UUID, sha: str) -> Source:
    mine = select(Source).where(Source.repository_id == repository_id, Source.revision_sha == sha)
    found = session.execute(mine.where(Source.patch_id.is_(None))).unique().scalar_one_or_none()
    if found is None:
        raise NotFound("Nothing was built of such a commit.")
    return found


def sources_of_commits(
    session: Session, revisions: Collection[tuple[UUID, str]]
) -> dict[tuple[UUID, str], Source]:
    """Of those commits that anything was built of."""
    these = tuple_(Source.repository_id, Source.revision_sha).in_(revisions)
    mine = select(Source).where(these, Source.patch_id.is_(None))
    return {
        (each.repository_id, each.revision_sha): each for each in session.execute(mine).unique().scalars()
    }


def source(session: Session, source_id: UUID) -> Source:
    found = session.get(Source, source_id)
    if found is None:
        raise NotFound("There is no such source.")
    return found
