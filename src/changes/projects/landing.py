"""A commit that a proposed change has become: found by what its message says, by its sha, or by its lines."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from uuid import UUID

import structlog
from sqlalchemy import select
from sqlalchemy.orm import Session, lazyload

from changes.base import clock, db
from changes.base.process import settings
from changes.projects import diffs, mirrors, telling
from changes.projects.events import RevisionsSeen
from changes.projects.models import Change, Patch, Repository, Revision, Source
from changes.projects.rules import ChangeKind, ChangeState
from changes.vcs.errors import TooLarge, VcsError
from changes.vcs.interface import Mirror

BY_TRAILER, BY_SHA, BY_LINES = "trailer", "sha", "lines"
OPEN_MAX = 1000

log = structlog.get_logger()


def link(event: RevisionsSeen) -> None:
    """Only what reaches the default branch has landed; a proposal is a branch itself."""
    if event.is_first_import:
        return
    with db.transaction() as session:
        repository = session.get(Repository, event.repository_id)
        if repository is None or event.branch != repository.default_branch:
            return
        by_name = found_by_name(session, repository, event.shas)
        for sha, change, how in by_name:
            land(session, change, sha, how)
        wanted = fingerprints(session, repository)
    left = [sha for sha in event.shas if sha not in {sha for sha, _, _ in by_name}]
    if wanted and left:
        link_by_lines(repository, left, wanted)


def found_by_name(
    session: Session, repository: Repository, shas: Sequence[str]
) -> list[tuple[str, Change, str]]:
    mine = select(Source.revision_sha, Change).join(Change, Change.id == Source.change_id)
    at_head = mine.where(
        Source.repository_id == repository.id, Source.revision_sha.in_(shas), Source.patch_id.is_(None)
    )
    proposed = at_head.where(Change.kind != ChangeKind.COMMIT, Change.state == ChangeState.OPEN)
    found = [(row[0], row[1], BY_SHA) for row in session.execute(proposed)]
    named = trailers_of(session, repository, shas)
    wanted = {value for values in named.values() for value in values}
    if wanted:
        called = select(Change).where(
            Change.repository_id == repository.id,
            Change.external_id.in_(wanted),
            Change.kind != ChangeKind.COMMIT,
            Change.state == ChangeState.OPEN,
        )
        changes = {change.external_id: change for change in session.execute(called).unique().scalars()}
        found += matched(named, changes)
    return found


def trailers_of(session: Session, repository: Repository, shas: Sequence[str]) -> dict[str, set[str]]:
    keys = settings.get().landing_trailers
    mine = select(Revision.sha, Revision.message).where(
        Revision.repository_id == repository.id, Revision.sha.in_(shas)
    )
    return {row[0]: set(names_in(row[1], keys)) for row in session.execute(mine)}


def names_in(message: str, keys: Collection[str]) -> Iterator[str]:
    """What the lines `Key: value` call a change; of an address also its last part, as of `…/D123`."""
    wanted = {key.lower() for key in keys}
    for line in message.splitlines():
        key, colon, value = line.partition(":")
        if colon and key.strip().lower() in wanted and value.strip():
            yield value.strip()
            yield value.strip().rstrip("/").rpartition("/")[2]


def matched(
    named: Mapping[str, set[str]], changes: Mapping[str, Change]
) -> Iterator[tuple[str, Change, str]]:
    for sha, values in named.items():
        for value in values & changes.keys():
            yield sha, changes[value], BY_TRAILER


def fingerprints(session: Session, repository: Repository) -> dict[str, UUID]:
    """Of the patches of changes that are open; the newest of equal ones counts."""
    mine = select(Patch.fingerprint, Change.id).join(Source, Source.patch_id == Patch.id)
    opened = mine.join(Change, Change.id == Source.change_id).where(
        Patch.repository_id == repository.id,
        Patch.fingerprint != "",
        Change.state == ChangeState.OPEN,
        Change.kind != ChangeKind.COMMIT,
    )
    rows = session.execute(opened.order_by(Source.id.desc()).limit(OPEN_MAX)).all()
    return {row[0]: row[1] for row in reversed(rows)}


def link_by_lines(repository: Repository, shas: Sequence[str], wanted: Mapping[str, UUID]) -> None:
    mirror = mirrors.of(repository)
    for sha in shas:
        change_id = wanted.get(fingerprint_of(mirror, sha))
        if change_id is not None:
            with db.transaction() as session:
                land(session, session.get_one(Change, change_id), sha, BY_LINES)


def fingerprint_of(mirror: Mirror, sha: str) -> str:
    """A commit too large to be compared, or gone again since, is not what was proposed."""
    try:
        return diffs.figures(mirror.diff(sha)).fingerprint
    except TooLarge:
        return ""
    except VcsError as error:
        log.info("a commit could not be compared", sha=sha, error=str(error))
        return ""


def land(session: Session, change: Change, sha: str, how: str) -> None:
    locked = session.get(
        Change,
        change.id,
        options=[lazyload(Change.author), lazyload(Change.repository)],
        with_for_update=True,
        populate_existing=True,
    )
    if locked is None or locked.state != ChangeState.OPEN:
        return
    locked.state, locked.landed_sha, locked.landed_by = ChangeState.LANDED, sha, how
    locked.date_landed = locked.date_modified = clock.now()
    session.flush()
    telling.tell_change(session, locked)
