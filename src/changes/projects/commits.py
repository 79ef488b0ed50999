"""Commits of a repository, as far as anybody asked for them, and where each belongs."""

from collections.abc import Collection, Sequence
from functools import partial

from sqlalchemy import ColumnElement, Select, func, or_, select
from sqlalchemy.orm import Session, aliased

from changes.base.errors import Invalid, NotFound, Unavailable
from changes.base.paging import Page, Part, part
from changes.people.models import Author
from changes.projects import heads, looks, mirrors
from changes.projects.models import Project, Repository, Revision
from changes.projects.rules import ProjectStatus
from changes.vcs.errors import BadName, UnknownRevision, VcsError
from changes.vcs.interface import LogQuery, Mirror, RevisionSeen

BRANCHES_MAX = 100
# A shorter beginning of a sha fits too many.
SHA_BEGINS_WITH = 4


def commits(
    session: Session, repository: Repository, page: Page, *, branch: str = "", text: str = ""
) -> Part[Revision]:
    """Latest first."""
    return part(session, asked_for(repository, branch, text), page)


def asked_for(repository: Repository, branch: str, text: str) -> Select[Revision]:
    found = select(Revision).where(Revision.repository_id == repository.id)
    if branch:
        found = found.where(Revision.branches.contains([branch]))
    if text:
        begins = Revision.sha.startswith(text.lower(), autoescape=True)
        found = found.where(or_(begins, Revision.message.icontains(text, autoescape=True)))
    # In the order of the index: of a repository with a million commits only a page is read.
    return found.order_by(made().desc(), Revision.sha)


def made() -> ColumnElement[object]:
    return func.coalesce(Revision.date_committed, Revision.date_created)


def commit(session: Session, repository: Repository, sha: str) -> Revision:
    found = session.get(Revision, (repository.id, sha))
    if found is None:
        raise NotFound(f"Nobody has asked for a commit {sha} of this repository yet.")
    return found


def commit_beginning(session: Session, repository: Repository, sha: str) -> Revision:
    """By a sha or its beginning, if only one begins so."""
    found = session.get(Revision, (repository.id, sha))
    if found is not None:
        return found
    mine = select(Revision).where(Revision.repository_id == repository.id)
    begins = mine.where(Revision.sha.startswith(sha.lower(), autoescape=True)).limit(2)
    rows = session.execute(begins).unique().scalars().all() if len(sha) >= SHA_BEGINS_WITH else []
    if len(rows) != 1:
        raise NotFound(f"{'Several commits begin' if rows else 'No commit begins'} with {sha}.")
    return rows[0]


def commits_by(session: Session, authors: Collection[Author], page: Page) -> Part[Revision]:
    """Of these people in all repositories, latest first."""
    mine = select(Revision).where(Revision.author_id.in_([author.id for author in authors]))
    return part(session, mine.order_by(made().desc(), Revision.sha), page)


def log_from(session: Session, repository: Repository, parent: str, page: Page) -> Part[Revision]:
    """A commit and what it stands on, as its repository says; what is not stored here is made up of that."""
    query = LogQuery(starts=(parent,), skip=page.offset, limit=page.size + 1)
    seen = history_of(session, repository, query)
    rows = stored_or_made_up(session, repository, seen[: page.size])
    return Part(rows, has_next=len(seen) > page.size, has_previous=page.number > 1)


def history_of(session: Session, repository: Repository, query: LogQuery) -> list[RevisionSeen]:
    look = partial(look_at_history, mirrors.of(repository), query)
    return looks.looked(session, (repository.id, query), look)


def look_at_history(mirror: Mirror, query: LogQuery, _timeout_s: float) -> list[RevisionSeen]:
    try:
        return list(mirror.log(query))
    except (UnknownRevision, BadName) as error:
        raise Invalid(f"Unable to fetch commit log for {query.starts[0]}.", ["parent"]) from error
    except VcsError as error:
        raise Unavailable(f"The repository cannot be read now. {error}") from error


def stored_or_made_up(
    session: Session, repository: Repository, seen: Sequence[RevisionSeen]
) -> list[Revision]:
    known = by_sha(session, repository, [each.sha for each in seen])
    return [known.get(each.sha) or unknown(repository, each) for each in seen]


def by_sha(session: Session, repository: Repository, shas: Sequence[str]) -> dict[str, Revision]:
    mine = select(Revision).where(Revision.repository_id == repository.id, Revision.sha.in_(shas))
    return {each.sha: each for each in session.execute(mine).unique().scalars()}


def unknown(repository: Repository, seen: RevisionSeen) -> Revision:
    """Never stored."""
    return Revision(
        repository_id=repository.id,
        sha=seen.sha,
        author=None,
        message=seen.message,
        parents=list(seen.parents),
        branches=list(seen.branches),
        date_created=seen.authored_at,
        date_committed=seen.committed_at,
    )


def branches(session: Session, repository: Repository) -> Sequence[str]:
    """The default one first, then those that moved last; of a repository that nobody reads, those named."""
    found = [branch.name for branch in heads.listed(session, repository, limit=BRANCHES_MAX)]
    if found:
        return found
    each = func.unnest(Revision.branches).label("branch")
    mine = select(each).where(Revision.repository_id == repository.id).distinct()
    return session.execute(mine.order_by(each).limit(BRANCHES_MAX)).scalars().all()


def like(session: Session, sha: str, *, limit: int) -> list[tuple[Revision, Project]]:
    """Commits whose sha begins like this, each with one project of its repository."""
    if len(sha) < SHA_BEGINS_WITH or not set(sha.lower()) <= set("0123456789abcdef"):
        return []
    begins = with_project().where(Revision.sha.startswith(sha.lower(), autoescape=True))
    rows = session.execute(begins.order_by(made().desc(), Revision.sha).limit(limit))
    return [(row[0], row[1]) for row in rows]


def newest_by(session: Session, authors: Collection[Author], *, limit: int) -> list[tuple[Revision, Project]]:
    """Of these people, as far as a project builds them."""
    mine = with_project().where(Revision.author_id.in_([author.id for author in authors]))
    rows = session.execute(mine.order_by(made().desc(), Revision.sha).limit(limit))
    return [(row[0], row[1]) for row in rows]


def with_project() -> Select[Revision, Project]:
    other = aliased(Project)
    mine = (other.repository_id == Revision.repository_id) & (other.status == ProjectStatus.ACTIVE)
    first = select(other.id).where(mine).order_by(other.name, other.id).limit(1)
    of_repository = Project.id == first.correlate(Revision).scalar_subquery()
    return select(Revision, Project).join(Project, of_repository)
