"""Commits into rows, thousands at a time: a first import keeps step with `git log`."""

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import lru_cache
from threading import Lock
from uuid import UUID

import psycopg
from sqlalchemy import bindparam, func, literal, select, text, update
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Session
from sqlalchemy.types import Text

from changes.base import db
from changes.people import identities
from changes.projects.mailmap import NOBODY, Mailmap
from changes.projects.models import Revision
from changes.projects.sync_rules import Placed
from changes.vcs.interface import Block, Person

# Blocks that are read and not written yet.
AHEAD_MAX = 3
WRITERS = 2
MESSAGE_MAX_CHARS = 100_000
COLUMNS = (
    "repository_id, sha, author_id, committer_id, message, parents, branches, date_created, date_committed"
)
COPY = f"copy revision ({COLUMNS}) from stdin"
# Whoever tells of a build that ran elsewhere may name a commit before it is read here, and knows neither its
# parents nor when it was made.
COPY_READ = f"copy read_now ({COLUMNS}) from stdin"
COMPLETE = text("""
    update revision set
        author_id = read_now.author_id, committer_id = read_now.committer_id, message = read_now.message,
        parents = read_now.parents, date_created = read_now.date_created,
        date_committed = read_now.date_committed
    from read_now
    where revision.repository_id = read_now.repository_id and revision.sha = read_now.sha
""")
IN_ARRAY = str.maketrans({'"': '\\"', "\\": "\\\\", "\0": "\N{REPLACEMENT CHARACTER}"})


@dataclass
class Import:
    """One run over new commits: whom it has met, and how many it stored."""

    repository_id: UUID
    mailmap: Mailmap = NOBODY
    authors: dict[tuple[str, str], str] = field(default_factory=dict)
    meeting: Lock = field(default_factory=Lock, repr=False)

    def save(self, session: Session, placed: Placed) -> None:
        """What is there already keeps what was read of it, and learns where it belongs now."""
        shas = placed.block.shas
        known = known_shas(session, self.repository_id, shas)
        rows = dict(zip(shas, self.rows(placed), strict=True))
        copy(session, [row for sha, row in rows.items() if sha not in known])
        told = by_hearsay(session, self.repository_id, known)
        complete(session, [row for sha, row in rows.items() if sha in told])
        held = zip(shas, placed.branches, strict=True)
        add_branches(session, self.repository_id, {sha: names for sha, names in held if sha in known})

    def meet(self, block: Block) -> None:
        """One block after the other, and for good: they share most of their authors."""
        with self.meeting:
            people = {*block.authors, *block.committers} - self.authors.keys()
            if not people:
                return
            proper = {person: self.mailmap.proper(Person(*person)) for person in people}
            with db.transaction() as session:
                found = identities.authors(session, {(who.name, who.email) for who in proper.values()})
            self.authors |= {person: found[who.name, who.email].hex for person, who in proper.items()}

    def rows(self, placed: Placed) -> list[str]:
        """In the text form of COPY, where two characters stand for what ends a field or a row."""
        block, mine = placed.block, self.repository_id.hex
        id_of = self.authors.__getitem__
        columns = (
            block.shas,
            map(id_of, block.authors),
            map(id_of, block.committers),
            all_escaped([message[:MESSAGE_MAX_CHARS] for message in block.messages]),
            [parents.replace(" ", ",") for parents in block.parents],
            map(array, placed.branches),
            block.authored,
            block.committed,
        )
        return [
            f"{mine}\t{sha}\t{author}\t{committer}\t{message}\t{{{parents}}}\t{branches}\t{authored}\t{committed}\n"
            for sha, author, committer, message, parents, branches, authored, committed in zip(
                *columns, strict=True
            )
        ]


def all_escaped(texts: Sequence[str]) -> list[str]:
    """All at once, as what is called for each of them costs more than what it does."""
    return escaped("\0".join(texts)).split("\0")


def escaped(text: str) -> str:
    doubled = text.replace("\\", "\\\\")
    return doubled.replace("\t", "\\t").replace("\r", "\\r").replace("\n", "\\n")


@lru_cache(maxsize=1024)
def array(names: tuple[str, ...]) -> str:
    quoted = ",".join(f'"{name.translate(IN_ARRAY)}"' for name in names)
    return escaped(f"{{{quoted}}}")


def known_shas(session: Session, repository_id: UUID, shas: Sequence[str]) -> set[str]:
    mine = select(Revision.sha).where(Revision.repository_id == repository_id)
    wanted = func.any(literal(shas, ARRAY(Text)))
    return set(session.execute(mine.where(Revision.sha == wanted)).scalars())


def by_hearsay(session: Session, repository_id: UUID, shas: set[str]) -> set[str]:
    """Of these, the ones that nobody has read yet."""
    mine = select(Revision.sha).where(Revision.repository_id == repository_id, Revision.sha.in_(shas))
    unread = mine.where(Revision.date_committed.is_(None), func.cardinality(Revision.parents) == 0)
    return set(session.execute(unread).scalars()) if shas else set()


def complete(session: Session, rows: Sequence[str]) -> None:
    if not rows:
        return
    session.execute(text("create temporary table read_now (like revision)"))
    copy(session, rows, COPY_READ)
    session.execute(COMPLETE)
    session.execute(text("drop table read_now"))


def copy(session: Session, rows: Sequence[str], statement: str = COPY) -> None:
    if not rows:
        return
    connection = session.connection().connection.driver_connection
    if not isinstance(connection, psycopg.Connection):
        raise TypeError("COPY needs a connection of psycopg")
    with connection.cursor() as cursor, cursor.copy(statement) as target:
        target.write("".join(rows))


def add_branches(session: Session, repository_id: UUID, held: Mapping[str, Sequence[str]]) -> None:
    if not held:
        return
    statement = (
        update(Revision)
        .where(Revision.repository_id == bindparam("of"), Revision.sha == bindparam("which"))
        .values(branches=bindparam("now"))
        .execution_options(synchronize_session=None)
    )
    rows = [{"of": repository_id, "which": sha, "now": list(names)} for sha, names in held.items()]
    session.connection().execute(statement, rows)


def save_all(work: Import, newest_first: Iterable[Placed]) -> Iterator[int]:
    """Each block in a transaction of its own; says how many are stored so far. While one is put into words
    another is written and the next is read: the database never waits for us.
    """
    count, writing = 0, deque[tuple[Future[None], int]]()
    with ThreadPoolExecutor(WRITERS, thread_name_prefix="import") as writer:
        for placed in newest_first:
            writing.append((writer.submit(store, work, placed), len(placed.branches)))
            if len(writing) > AHEAD_MAX:
                count += finished(writing)
                yield count
        while writing:
            count += finished(writing)
            yield count


def finished(writing: deque[tuple[Future[None], int]]) -> int:
    future, size = writing.popleft()
    future.result()
    return size


def store(work: Import, placed: Placed) -> None:
    """As if all were new, which they nearly always are; otherwise each is looked for first."""
    work.meet(placed.block)
    rows = work.rows(placed)
    try:
        with db.transaction() as session:
            # What a crash of the database takes is read again, as the rows of branches come last and
            # are waited for.
            session.execute(select(func.set_config("synchronous_commit", "off", True)))  # noqa: FBT003 -- of SQL
            copy(session, rows)
    except psycopg.errors.UniqueViolation:
        with db.transaction() as session:
            work.save(session, placed)
