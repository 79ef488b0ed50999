"""Plays the role of `builds.log_search.LogSearch`.

The patterns come from a plan, which may stand in a repository that anybody may propose changes to.
PostgreSQL looks for them: it can be stopped after a while, and its engine needs no exponential time
for what makes others hang.
"""

from collections.abc import Sequence
from uuid import UUID

import structlog
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from changes.base.db import Session
from changes.base.errors import NotFound
from changes.protocol import CONSOLE
from changes.results import log_reading, logs

# What went wrong is told at the end of a log.
TAIL_BYTES = 256 * 1024
LOOK_MAX_MS = 2_000
LOOK = text(
    "select exists (select from regexp_split_to_table(cast(:log as text), E'\\n') as line,"
    " unnest(cast(:patterns as text[])) as pattern where line ~ pattern)"
)

log = structlog.get_logger()


class LogTails:
    def finds(self, session: Session, step_id: UUID, patterns: Sequence[str]) -> bool:
        try:
            source = logs.source_of_step(session, step_id, CONSOLE)
        except NotFound:
            return False
        start = max(0, source.size_bytes - TAIL_BYTES)
        data = b"".join(log_reading.bytes_between(session, source, start, source.size_bytes))
        shown = data.decode("utf-8", "replace").replace("\0", "\N{REPLACEMENT CHARACTER}")
        return matches(session, shown, [as_postgresql(pattern) for pattern in patterns])


def matches(session: Session, shown: str, patterns: Sequence[str]) -> bool:
    """What cannot be looked for, or not in time, is not found."""
    try:
        with session.begin_nested():
            session.execute(text(f"set local statement_timeout = {LOOK_MAX_MS}"))
            found = session.execute(LOOK, {"log": shown, "patterns": list(patterns)}).scalar_one()
            session.execute(text("set local statement_timeout = default"))
            return bool(found)
    except DBAPIError as error:
        log.warning("patterns not looked for", error=str(error.orig).split("\n", 1)[0])
        return False


def as_postgresql(pattern: str) -> str:
    """The border of a word is written in another way there."""
    return pattern.replace(r"\b", r"\y").replace(r"\B", r"\Y")
