"""A log beside the console of one step: of the service that its tests ask, a million lines of it."""

from collections.abc import Iterator, Sequence
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from changes.app.demo.dice import Dice
from changes.app.demo.rows import Ids
from changes.base.storage import Storage
from changes.builds.models import JobStep
from changes.builds.rules import Result
from changes.results import log_frames
from changes.results.log_frames import FRAME_BYTES, KEPT_LEVEL, Frame, Piece
from changes.results.models import Artifact, LogChunk, LogSource

NAME = "server"
LINES_MAX, LINES_OF_A_BUILD = 1_000_000, 1000
# So many lines make a block, of which each begins a group and one in twenty goes wrong.
BLOCK_LINES, BLOCKS_WITH_TROUBLE = 5000, 20
MS_PER_S = 1000
SHAPES = (
    "\033[2m{at:09d}\033[0m \033[36mDEBUG\033[0m orbit.http GET /items/{one} 200 [{two} ms]",
    "\033[2m{at:09d}\033[0m \033[32mINFO\033[0m  orbit.orders order {one} of customer {two} accepted",
    "\033[2m{at:09d}\033[0m \033[36mDEBUG\033[0m orbit.db select * from item where id = {one} [{two} rows]",
    "\033[2m{at:09d}\033[0m \033[32mINFO\033[0m  orbit.mail queued letter {one}, {two} wait",
    "\033[2m{at:09d}\033[0m \033[33mWARN\033[0m  orbit.cache {one} entries are older than {two} s",
)
TROUBLE = """\
Traceback (most recent call last):
  File "/srv/orbit/orders.py", line {one}, in settle
    ledger.book(order, amount)
  File "/srv/orbit/ledger.py", line 88, in book
    raise Unbalanced(f"{{order}} is off by {{rest}}")
orbit.ledger.Unbalanced: order {two} is off by 0.01"""


def tell(session: Session, storage: Storage, seed: int, builds: int) -> None:
    """The newest step has it of which tests failed; few builds have a shorter one."""
    failed = select(JobStep).join(Artifact, Artifact.step_id == JobStep.id)
    failed = failed.where(Artifact.name == "junit.xml", JobStep.date_finished.is_not(None))
    failed = failed.where(JobStep.result == Result.FAILED)
    # Of two months in one database, the newest step may be of the first.
    failed = failed.where(JobStep.id.not_in(select(LogSource.step_id).where(LogSource.name == NAME)))
    step = session.execute(failed.order_by(JobStep.id.desc()).limit(1)).scalar_one_or_none()
    if step is None or step.date_started is None or step.date_finished is None:
        return
    lines = min(LINES_MAX, builds * LINES_OF_A_BUILD)
    made = Ids(Dice(seed))
    source_id = made.at(step.date_started)
    key = f"logs/{source_id.hex}/{made.at(step.date_finished).hex}"
    kept = Kept(key, (step.date_started, step.date_finished), lines)
    for block in blocks(Dice(seed), lines):
        kept.add(block)
    storage.put_pieces(kept.key, iter(kept.finish()))
    about = {"newlines": sum(frame.newlines for frame in kept.frames), "is_packed": True}
    source = LogSource(id=source_id, step_id=step.id, job_id=step.job_id, name=NAME, **about)
    source.size_bytes, source.date_created = kept.size_bytes, step.date_started
    session.add(source)
    session.flush()
    stored = {"key": kept.key, "stored_bytes": sum(map(len, kept.stored)), "data": b"", "lines_before": 0}
    index = log_frames.index(kept.frames)
    session.add(LogChunk(source_id=source_id, offset=0, size_bytes=kept.size_bytes, frames=index, **stored))


def blocks(dice: Dice, lines: int) -> Iterator[bytes]:
    """Chance is asked once for each block: a million times would take seconds."""
    for number, first in enumerate(range(0, lines, BLOCK_LINES), start=1):
        one, two = dice.randrange(9000), dice.randrange(1, 90)
        said = [
            SHAPES[at % len(SHAPES)].format(at=at, one=one + at % 977, two=two + at % 61)
            for at in range(first, min(lines, first + BLOCK_LINES))
        ]
        said[0] = f"::group::Batch {number}"
        said[-1] = "::endgroup::"
        if number % BLOCKS_WITH_TROUBLE == 0:
            trouble = TROUBLE.format(one=one, two=two).split("\n")
            said[-1 - len(trouble) : -1] = trouble
        yield "".join(f"{line}\n" for line in said).encode()


class Kept:
    """Takes a log piece by piece, and makes of it what a packed one looks like."""

    def __init__(self, key: str, during: Sequence[datetime], lines: int) -> None:
        self.key = key
        self.frames: list[Frame] = []
        self.stored: list[bytes] = []
        self.size_bytes = self._lines = 0
        began, ended = (round(each.timestamp() * MS_PER_S) for each in during)
        self._began_ms, self._ms_for_each = began, (ended - began) / lines
        self._waiting = b""

    def add(self, data: bytes) -> None:
        self._waiting += data
        while len(self._waiting) >= FRAME_BYTES:
            self._make_frame(self._waiting[:FRAME_BYTES])
            self._waiting = self._waiting[FRAME_BYTES:]

    def finish(self) -> list[bytes]:
        if self._waiting:
            self._make_frame(self._waiting)
        self.stored.append(log_frames.table(self.frames))
        return self.stored

    def _make_frame(self, data: bytes) -> None:
        frame, stored = log_frames.compress(Piece(data, self._times(data)), KEPT_LEVEL)
        self.frames.append(frame)
        self.stored.append(stored)
        self.size_bytes += len(data)
        self._lines += frame.newlines

    def _times(self, data: bytes) -> list[int]:
        """As an agent reads: many lines at once."""
        found, at, lines = [0, self._at_ms(0)], 0, 0
        while at := data.find(b"\n", at + FRAME_BYTES // 16) + 1:
            lines = data.count(b"\n", 0, at)
            if at < len(data):
                found += [at, self._at_ms(lines)]
        return found

    def _at_ms(self, lines: int) -> int:
        return round(self._began_ms + (self._lines + lines) * self._ms_for_each)
