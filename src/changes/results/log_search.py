"""Plays the role of `builds.log_search.LogSearch`.

The patterns come from a plan, which may stand in a repository that anybody may propose changes to, and
what they look at was printed by anybody's program. RE2 needs linear time for whatever either of them says.
"""

from collections.abc import Sequence
from uuid import UUID

import structlog

from changes.base.db import Session
from changes.base.errors import NotFound
from changes.projects import log_lines
from changes.protocol import CONSOLE
from changes.results import log_reading, log_scan, logs

# What went wrong is told at the end of a log.
TAIL_BYTES = 256 * 1024

log = structlog.get_logger()


class LogTails:
    def finds(self, session: Session, step_id: UUID, patterns: Sequence[str]) -> bool:
        try:
            source = logs.source_of_step(session, step_id, CONSOLE)
        except NotFound:
            return False
        start = max(0, source.size_bytes - TAIL_BYTES)
        data = b"".join(log_reading.bytes_between(session, source, start, source.size_bytes))
        shown = log_scan.plain(data)
        return any(matches(shown, pattern) for pattern in patterns)


def matches(shown: bytes, pattern: str) -> bool:
    """What cannot be read is not found: plans of the version before were held against other rules."""
    try:
        return log_lines.compiled(pattern).search(shown) is not None
    except log_lines.Unreadable as why:
        log.warning("a pattern cannot be looked for", pattern=pattern, why=why.message)
        return False
