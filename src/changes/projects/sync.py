"""One look at a repository: what is new in it becomes rows and events, whatever its branches did.

The rows of its branches say what was known before, and are written last, in one transaction with the
events. Whoever is killed before that has stored commits that the next look finds there.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field

import structlog

from changes.base import bell, clock, db, events
from changes.projects import heads, import_commits, mailmap, mirrors, sync_rules, telling
from changes.projects.events import RevisionsSeen
from changes.projects.import_commits import Import
from changes.projects.mailmap import NOBODY, Mailmap
from changes.projects.models import Repository
from changes.projects.sync_rules import Move, Placed
from changes.vcs.errors import MissingFile, TooLarge, UnknownRevision
from changes.vcs.interface import LogQuery, Mirror

# Of each branch it is asked which commits came to it, which costs a process; more are taken by their heads.
ASKED_BRANCHES_MAX = 300
# Of one branch in one look; of what is beyond it, the oldest are told of by nobody.
NEW_ON_BRANCH_MAX = 20_000
FIRST_HEADS_MAX = 100
PROGRESS_EVERY_S = 0.5

log = structlog.get_logger()


@dataclass(frozen=True)
class Seen:
    """What a look has found."""

    before: Mapping[str, str]
    heads: Mapping[str, str]
    default: str
    moved: Sequence[Move]
    # Oldest first.
    new_on: Mapping[str, Sequence[str]] = field(default_factory=dict)

    @property
    def gone(self) -> set[str]:
        return set(self.before) - set(self.heads)


def look(repository: Repository) -> bool:
    """Whether there was anything new. Without anything, it is one question to the other side."""
    mirror, before, has_news = asked(repository)
    if not has_news:
        return False
    mirror.update()
    seen = find_new(repository, mirror, before)
    store_commits(repository, mirror, seen)
    return take_over(repository, seen)


def asked(repository: Repository) -> tuple[Mirror, Mapping[str, str], bool]:
    """The copy, what was known of its branches, and whether the remote has anything else. It is asked
    first: what was known is read while it thinks, and no transaction waits for its answer.
    """
    with ExitStack() as asking:
        with db.transaction() as session:
            mirror = mirrors.of(repository, session)
            is_filled = repository.is_imported and mirror.exists()
            answer = asking.enter_context(mirror.asked_branches()) if is_filled else None
            before = heads.known(session, repository.id)
        return mirror, before, answer is None or answer() != before


def find_new(repository: Repository, mirror: Mirror, before: Mapping[str, str]) -> Seen:
    now = mirror.branches()
    default = mirror.default_branch() if now else ""
    moved = sync_rules.moves(before, now, default)
    seen = Seen(before, now, default, moved)
    if not repository.is_imported:
        firsts = {move.name: [move.new] for move in moved[:FIRST_HEADS_MAX]}
        return Seen(before, now, default, moved, firsts)
    return Seen(before, now, default, moved, {move.name: came_to(mirror, move, seen) for move in moved})


def came_to(mirror: Mirror, move: Move, seen: Seen) -> Sequence[str]:
    """Which commits a branch holds now and did not before; of a new one those that none held."""
    if len(seen.moved) > ASKED_BRANCHES_MAX:
        return [move.new]
    old = move.old if move.old is not None and mirror.has(move.old) else None
    excludes = (old,) if old else tuple(sha for name, sha in seen.before.items() if name != move.name)
    query = LogQuery(starts=(move.new,), excludes=excludes, limit=NEW_ON_BRANCH_MAX, children_first=True)
    # A commit of Mercurial is on one branch, whatever was built upon it.
    found = [each.sha for each in mirror.log(query) if move.name in (each.branches or (move.name,))][::-1]
    # Somebody led it back to where it was once, or gave a name to what is known.
    return found or [move.new]


def store_commits(repository: Repository, mirror: Mirror, seen: Seen) -> None:
    if not seen.moved:
        return
    known = tuple(dict.fromkeys(seen.before.values())) if repository.is_imported else ()
    work = Import(repository.id, read_mailmap(mirror, seen))
    count, told_at = 0, time.monotonic()
    for count in import_commits.save_all(work, fresh_commits(mirror, seen, known)):
        if not repository.is_imported and time.monotonic() - told_at >= PROGRESS_EVERY_S:
            tell_progress(repository, count)
            told_at = time.monotonic()
    if not repository.is_imported:
        tell_progress(repository, count)


def fresh_commits(mirror: Mirror, seen: Seen, known: tuple[str, ...]) -> Iterator[Placed]:
    """What the default branch holds is of it alone, so git need not sort that before it tells any of it."""
    default = [move.new for move in seen.moved if move.name == seen.default]
    if default:
        on_default = mirror.log_blocks(LogQuery(tuple(default), known))
        yield from sync_rules.all_on(seen.default, on_default)
    others = tuple(dict.fromkeys(move.new for move in seen.moved if move.new not in default))
    if others:
        beside = mirror.log_blocks(LogQuery(others, (*known, *default), children_first=True))
        yield from sync_rules.labelled(beside, seen.heads, seen.default)


def read_mailmap(mirror: Mirror, seen: Seen) -> Mailmap:
    """Of the default branch: whoever may change that one may say who wrote what."""
    head = seen.heads.get(seen.default)
    if head is None:
        return NOBODY
    try:
        content = mirror.read_file(head, mailmap.FILE_NAME, mailmap.SIZE_MAX_BYTES)
    except (MissingFile, TooLarge, UnknownRevision):
        return NOBODY
    return mailmap.parse(content.decode("utf-8", "replace"))


def tell_progress(repository: Repository, count: int) -> None:
    with db.transaction() as session:
        stored = session.get(Repository, repository.id)
        if stored is not None:
            stored.imported_count = count
            bell.tell(session, telling.topic_of(stored))


def take_over(read: Repository, seen: Seen) -> bool:
    """Unless somebody else has taken over a look of his meanwhile: then his is the newer one."""
    with db.transaction() as session:
        repository = session.get(Repository, read.id, with_for_update=True, populate_existing=True)
        if repository is None or heads.known(session, read.id) != seen.before:
            return False
        is_first = not repository.is_imported
        repository.is_imported, repository.default_branch = True, seen.default
        if not (seen.moved or seen.gone or is_first):
            return False
        repository.date_changed = clock.now()
        heads.keep(session, repository.id, seen.moved, seen.gone)
        if not is_first:
            for branch, shas in seen.new_on.items():
                heads.add_to_branch(session, repository, branch, shas)
        for event in told(repository, seen, is_first=is_first):
            events.announce(session, event)
        telling.tell(session, repository)
    return True


def told(repository: Repository, seen: Seen, *, is_first: bool) -> Iterator[RevisionsSeen]:
    for branch, shas in seen.new_on.items():
        for some in sync_rules.chunks(shas):
            yield RevisionsSeen(repository.id, branch, some, is_first_import=is_first)
