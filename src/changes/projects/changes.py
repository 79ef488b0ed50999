"""A change and its versions: what is proposed, again and again, until it lands or is given up."""

from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from changes.base import clock, ids
from changes.base.errors import Conflict, Invalid
from changes.people.models import Author
from changes.projects import telling
from changes.projects.models import Change, Project, Repository, Revision, Source
from changes.projects.rules import ChangeKind, ChangeState

TITLE_MAX_CHARS = 128
KEY_MAX_CHARS = 255
NO_MESSAGE = "(no message)"


@dataclass(frozen=True, kw_only=True)
class NewChange:
    title: str
    kind: ChangeKind = ChangeKind.DIFF
    # Which system calls it so; empty for one that only says a key, or none.
    provider: str = ""
    key: str = ""
    message: str = ""
    url: str = ""
    author: Author | None = None
    project: Project | None = None


def create(session: Session, repository: Repository, asked: NewChange) -> Change:
    """One that is there by this key is told what is new of it, so asking again doubles nothing."""
    title = asked.title.strip()[:TITLE_MAX_CHARS]
    if not title:
        raise Invalid("A change needs a label.", ["label"])
    if len(asked.key) > KEY_MAX_CHARS:
        raise Invalid(f"A key has at most {KEY_MAX_CHARS} characters.", ["key"])
    found = by_key(session, repository.id, asked.provider, asked.key) if asked.key else None
    if found is not None:
        found.title, found.message = title, asked.message or found.message
        touch(session, found)
        return found
    return make(session, repository.id, asked, title)


def by_key(session: Session, repository_id: UUID, provider: str, key: str) -> Change | None:
    mine = select(Change).where(
        Change.repository_id == repository_id, Change.provider == provider, Change.external_id == key
    )
    return session.execute(mine).unique().scalar_one_or_none()


def make(session: Session, repository_id: UUID, asked: NewChange, title: str) -> Change:
    change_id, now = ids.new(), clock.now()
    key = asked.key or change_id.hex
    row = insert(Change).values(
        id=change_id,
        date_created=now,
        date_modified=now,
        repository_id=repository_id,
        project_id=asked.project.id if asked.project else None,
        kind=asked.kind,
        provider=asked.provider,
        external_id=key,
        url=asked.url,
        title=title,
        message=asked.message,
        author_id=asked.author.id if asked.author else None,
        state=ChangeState.LANDED if asked.kind == ChangeKind.COMMIT else ChangeState.OPEN,
        landed_sha=key if asked.kind == ChangeKind.COMMIT else None,
    )
    session.execute(row.on_conflict_do_nothing())
    made = by_key(session, repository_id, asked.provider, key)
    if made is None:
        raise Conflict("Somebody else makes the same change at this moment; ask again.", ["key"])
    return made


def claim_commit(session: Session, source: Source, revision: Revision) -> Change:
    """A commit that is built or looked after has a change: the one that landed as it, or one of its own."""
    if source.change_id is not None:
        return session.get_one(Change, source.change_id)
    landed = select(Change).where(
        Change.repository_id == revision.repository_id, Change.landed_sha == revision.sha
    )
    found = session.execute(landed.order_by(Change.kind.desc()).limit(1)).unique().scalar_one_or_none()
    asked = NewChange(
        title=revision.subject or NO_MESSAGE,
        kind=ChangeKind.COMMIT,
        key=revision.sha,
        message=revision.message,
        author=revision.author,
    )
    change = found or make(session, revision.repository_id, asked, asked.title[:TITLE_MAX_CHARS])
    add_version(session, change, source)
    return change


def add_version(session: Session, change: Change, source: Source) -> int:
    """Its number in the change; one that is a version already keeps its number and its change."""
    if source.repository_id != change.repository_id:
        raise Invalid("This change belongs to another repository.", ["change"])
    if source.change_id == change.id and source.number is not None:
        return source.number
    if source.change_id is not None:
        taken = session.get_one(Change, source.change_id)
        if taken.kind != ChangeKind.COMMIT:
            raise Conflict(f"This commit is a version of another change, {taken.external_id}.", ["change"])
    number = next_number(session, change)
    source.change_id, source.number = change.id, number
    session.flush()
    touch(session, change)
    return number


def next_number(session: Session, change: Change) -> int:
    """Counted in the row of the change, so two at once get two numbers."""
    counted = update(Change).where(Change.id == change.id)
    counted = counted.values(last_source_number=Change.last_source_number + 1)
    number = session.execute(
        counted.returning(Change.last_source_number), execution_options={"synchronize_session": False}
    ).scalar_one()
    session.refresh(change, ["last_source_number"])
    return number


def touch(session: Session, change: Change) -> None:
    change.date_modified = clock.now()
    session.flush()
    telling.tell_change(session, change)


def give_up(session: Session, change: Change, *, is_abandoned: bool) -> None:
    if change.state == ChangeState.LANDED:
        raise Conflict("It has landed; that is not taken back.", ["state"])
    change.state = ChangeState.ABANDONED if is_abandoned else ChangeState.OPEN
    touch(session, change)
