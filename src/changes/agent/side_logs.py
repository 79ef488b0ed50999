"""The logs of a step beside its console, each with a name of its own.

`infra` has what prepares the machine. Commands add others by writing files into `$CHANGES_LOGS`: each
is followed while it grows. All of them are kept by the rules of the console, on disk first.
"""

import logging
import os
import re
import stat
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from changes.agent import cards
from changes.agent.accounts import Account
from changes.agent.cards import Cards
from changes.agent.errors import AgentError, GivenUp, NotAccepted, OffsetExpected, Refused, StepGone
from changes.agent.kept_log import KeptLog, Rules
from changes.agent.late_threads import LateThread
from changes.agent.link import StepLink
from changes.agent.logs import Console
from changes.agent.read_times import ReadTimes
from changes.agent.spool import StepFolder
from changes.protocol import CONSOLE

INFRA = "infra"
STREAMS_FOLDER = "streams"
STREAM_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
STREAMS_MAX = 20
LOOK_EVERY_S = 0.5
READ_BYTES = 1024 * 1024
# Of a file that grows faster than it is read, at the end of the step.
LAST_READS = 4096

log = logging.getLogger("changes.agent")


@dataclass(frozen=True)
class Sifting:
    """What is kept of a log, and whose files may be one."""

    rules: Rules
    account: Account


class SideLogs:
    """`on_end` hears StepGone or Refused when the server wants no more of this step."""

    def __init__(
        self, folder: StepFolder, link: StepLink, sifting: "Sifting", on_end: Callable[[Exception], None]
    ) -> None:
        self._folder, self._link, self._sifting, self._on_end = folder, link, sifting, on_end
        self._rules = sifting.rules
        self._streams = folder.path / STREAMS_FOLDER
        self._streams.mkdir(mode=0o700)
        sifting.account.own(self._streams)
        account = sifting.account
        self._cards = Cards(
            cards.make_folder(self._streams, account.own), link, sifting.rules.secrets, account.uid
        )
        self._carriers: list[Carrier] = []
        self._files: dict[str, FollowedFile] = {}
        self._is_over = threading.Event()
        self._infra: Console | None = None
        self._follower = LateThread(self._follow, LOOK_EVERY_S, "streams")

    @property
    def streams(self) -> Path:
        return self._streams

    @property
    def infra(self) -> Console:
        """Made for the first command that writes to it; most steps have none."""
        if self._infra is None:
            self._infra = Console(self._path_of(INFRA), self._carrier(INFRA).grew, self._rules)
            self._sifting.account.own(self._infra.pipe)
        return self._infra

    def _path_of(self, name: str) -> Path:
        return self._folder.console.parent / name

    def _carrier(self, name: str) -> "Carrier":
        carrier = Carrier(name, self._path_of(name), self._link, self._on_end)
        self._carriers.append(carrier)
        return carrier

    def finish(self) -> None:
        """Call when all writers are dead. Returns when all is sent, or nobody wants it any more."""
        self._is_over.set()
        self._follower.finish()
        self._look(LAST_READS)
        cards.send(self._cards, self._on_end, is_end=True)
        for problem in self._cards.problems:
            self.infra.say(problem)
        for file in self._files.values():
            file.finish()
        if self._infra is not None:
            self._infra.close()
        for carrier in self._carriers:
            carrier.finish()

    def _follow(self) -> None:
        while not self._is_over.is_set():
            self._look(1)
            cards.send(self._cards, self._on_end)
            self._is_over.wait(LOOK_EVERY_S)

    def _look(self, reads: int) -> None:
        try:
            names = sorted(path.name for path in self._streams.iterdir())
        except OSError:
            return
        for name in names:
            if name not in self._files and self._is_welcome(name):
                kept = KeptLog(self._path_of(name), self._rules)
                uid = self._sifting.account.uid
                self._files[name] = FollowedFile(self._streams / name, uid, kept, self._carrier(name))
        for file in self._files.values():
            file.read(reads)

    def _is_welcome(self, name: str) -> bool:
        is_new = len(self._files) < STREAMS_MAX and name not in (CONSOLE, INFRA)
        return is_new and bool(STREAM_NAME.fullmatch(name))


class FollowedFile:
    def __init__(self, path: Path, uid: int, kept: KeptLog, carrier: "Carrier") -> None:
        self._path, self._uid, self._kept, self._carrier = path, uid, kept, carrier
        self._read_bytes = 0

    def read(self, reads: int) -> None:
        """A link or a pipe in its place is not followed; what was cut off is not read again."""
        try:
            descriptor = os.open(self._path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        except OSError:
            return
        status = os.fstat(descriptor)
        # Another name of a file that only the agent may read would be read by the agent.
        if not stat.S_ISREG(status.st_mode) or status.st_uid != self._uid:
            os.close(descriptor)
            return
        with os.fdopen(descriptor, "rb", buffering=0) as file:
            file.seek(self._read_bytes)
            for _ in range(reads):
                piece = file.read(READ_BYTES)
                if not piece:
                    break
                self._read_bytes += len(piece)
                self._kept.add(piece)
        self._carrier.grew(self._kept.size)

    def finish(self) -> None:
        self._kept.finish()
        self._carrier.grew(self._kept.size)


class Carrier:
    """Sends one log as it grows; its thread starts with the first byte."""

    def __init__(self, name: str, path: Path, link: StepLink, on_end: Callable[[Exception], None]) -> None:
        self._name, self._path, self._link, self._on_end = name, path, link, on_end
        self._changed = threading.Condition()
        self._size = self._sent = 0
        self._times = ReadTimes()
        self._is_over = False
        self._thread: threading.Thread | None = None

    def grew(self, size: int) -> None:
        with self._changed:
            if size > self._size:
                self._times.note(self._size)
            self._size = size
            self._changed.notify()
            if size and self._thread is None:
                self._thread = threading.Thread(target=self._carry, daemon=True, name=self._name)
                self._thread.start()

    def finish(self) -> None:
        with self._changed:
            self._is_over = True
            self._changed.notify()
        if self._thread is not None:
            self._thread.join()

    def _carry(self) -> None:
        try:
            with self._path.open("rb", buffering=0) as file:
                while self._has_more():
                    file.seek(self._sent)
                    self._send(file.read(min(self._link.log_chunk_max_bytes, self._size - self._sent)))
        except GivenUp:
            return
        except (StepGone, Refused) as error:
            self._on_end(error)
        except (AgentError, OSError) as error:
            log.warning("Step %s: the log %s cannot be sent: %s", self._link.step_id, self._name, error)

    def _has_more(self) -> bool:
        with self._changed:
            self._changed.wait_for(lambda: self._sent < self._size or self._is_over)
            return self._sent < self._size

    def _send(self, chunk: bytes) -> None:
        try:
            times = self._times.told(self._sent, self._sent + len(chunk))
            self._sent = self._link.append_log(self._name, self._sent, chunk, times)
        except OffsetExpected as error:
            if error.offset == self._sent or error.offset > self._size:
                raise NotAccepted(f"byte {error.offset} was expected where there is none") from error
            self._sent = error.offset
