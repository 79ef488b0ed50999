"""Commits into rows, thousands at a time: a first import keeps step with `git log`."""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import islice
from typing import TypeVar
from uuid import UUID

import psycopg
from sqlalchemy import bindparam, func, literal, select, update
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Session
from sqlalchemy.types import Text

from changes.base import db
from changes.people import identities
from changes.projects.mailmap import NOBODY, Mailmap
from changes.projects.models import Revision
from changes.projects.sync_rules import Placed
from changes.vcs.interface import Person

BATCH = 5000
# Batches that are read and not written yet.
AHEAD_MAX = 2
MESSAGE_MAX_CHARS = 100_000
COLUMNS = (
    "repository_id, sha, author_id, committer_id, message, parents, branches, date_created, date_committed"
)
COPY = f"copy revision ({COLUMNS}) from stdin"
IN_ARRAY = str.maketrans({'"': '\\"', "\\": "\\\\", "\0": "\N{REPLACEMENT CHARACTER}"})
Item = TypeVar("Item")


@dataclass
class Import:
    """One run over new commits: whom it has met, and how many it stored."""

    repository_id: UUID
    mailmap: Mailmap = NOBODY
    authors: dict[Person, str] = field(default_factory=dict)

    def save(self, session: Session, placed: Sequence[Placed]) -> None:
        """What is there already keeps what was read of it, and learns where it belongs now."""
        known = known_shas(session, self.repository_id, [each.seen.sha for each in placed])
        copy(session, self.rows([each for each in placed if each.seen.sha not in known]))
        add_branches(session, self.repository_id, [each for each in placed if each.seen.sha in known])

    def meet(self, session: Session, placed: Sequence[Placed]) -> None:
        people = {who for each in placed for who in (each.seen.author, each.seen.committer)}
        people -= self.authors.keys()
        if not people:
            return
        proper = {person: self.mailmap.proper(person) for person in people}
        found = identities.authors(session, {(who.name, who.email) for who in proper.values()})
        self.authors |= {person: found[who.name, who.email].hex for person, who in proper.items()}

    def rows(self, placed: Sequence[Placed]) -> str:
        """In the text form of COPY, where two characters stand for what ends a field or a row."""
        mine, authors = self.repository_id.hex, self.authors
        return "".join(
            f"{mine}\t{sha}\t{authors[author]}\t{authors[committer]}\t"
            f"{escaped(message[:MESSAGE_MAX_CHARS])}\t{{{','.join(parents)}}}\t{array(branches)}\t"
            f"{authored_at.isoformat()}\t{committed_at.isoformat()}\n"
            for (sha, parents, author, committer, authored_at, committed_at, message, _), branches in placed
        )


def escaped(text: str) -> str:
    """Most texts hold nothing but ends of lines."""
    if "\\" in text:
        text = text.replace("\\", "\\\\")
    if "\t" in text or "\r" in text or "\0" in text:
        text = text.replace("\t", "\\t").replace("\r", "\\r").replace("\0", "\N{REPLACEMENT CHARACTER}")
    return text.replace("\n", "\\n")


@lru_cache(maxsize=1024)
def array(names: tuple[str, ...]) -> str:
    quoted = ",".join(f'"{name.translate(IN_ARRAY)}"' for name in names)
    return escaped(f"{{{quoted}}}")


def batches(items: Iterable[Item], size: int = BATCH) -> Iterator[list[Item]]:
    each = iter(items)
    while batch := list(islice(each, size)):
        yield batch


def known_shas(session: Session, repository_id: UUID, shas: list[str]) -> set[str]:
    mine = select(Revision.sha).where(Revision.repository_id == repository_id)
    wanted = func.any(literal(shas, ARRAY(Text)))
    return set(session.execute(mine.where(Revision.sha == wanted)).scalars())


def copy(session: Session, rows: str) -> None:
    if not rows:
        return
    connection = session.connection().connection.driver_connection
    if not isinstance(connection, psycopg.Connection):
        raise TypeError("COPY needs a connection of psycopg")
    with connection.cursor() as cursor, cursor.copy(COPY) as target:
        target.write(rows)


def add_branches(session: Session, repository_id: UUID, placed: Sequence[Placed]) -> None:
    if not placed:
        return
    statement = (
        update(Revision)
        .where(Revision.repository_id == bindparam("of"), Revision.sha == bindparam("which"))
        .values(branches=bindparam("now"))
        .execution_options(synchronize_session=None)
    )
    rows = [{"of": repository_id, "which": each.seen.sha, "now": list(each.branches)} for each in placed]
    session.connection().execute(statement, rows)


def save_all(work: Import, newest_first: Iterable[Placed]) -> Iterator[int]:
    """Each batch in a transaction of its own; says how many are stored so far. One is written while the
    next is read: three programs share the work.
    """
    count, writing = 0, deque[tuple[Future[None], int]]()
    with ThreadPoolExecutor(1, thread_name_prefix="import") as writer:
        for batch in batches(newest_first):
            writing.append((writer.submit(store, work, batch), len(batch)))
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


def store(work: Import, batch: Sequence[Placed]) -> None:
    """As if all were new, which they nearly always are; otherwise each is looked for first."""
    try:
        with db.transaction() as session:
            # What a crash of the database takes is read again, as the rows of branches come last and
            # are waited for.
            session.execute(select(func.set_config("synchronous_commit", "off", True)))  # noqa: FBT003 -- of SQL
            work.meet(session, batch)
            copy(session, work.rows(batch))
    except psycopg.errors.UniqueViolation:
        with db.transaction() as session:
            work.meet(session, batch)
            work.save(session, batch)
