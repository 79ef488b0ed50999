"""What is kept on disk, so that neither an absent server nor a killed agent loses anything.

One folder per step under `steps/`. Dropping a step renames its folder into `trash/` first: that is
one act, so a crash leaves either a step to report or rubbish to remove.
"""

import logging
import os
import re
import secrets
import shutil
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import msgspec
from msgspec import Struct

from changes.agent.errors import BadOffer
from changes.agent.processes import Identity
from changes.protocol import CONSOLE, StepOffer, StepReport

Kind = TypeVar("Kind")
SOON_DONE_AGAIN_MS = 10_000
STEP_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
log = logging.getLogger("changes.agent")


class Running(Struct, frozen=True):
    """By what the processes of a step are known again after a crash."""

    mark: str
    leader: Identity | None = None


@dataclass(frozen=True)
class StepFolder:
    path: Path

    @property
    def step_id(self) -> str:
        return self.path.name

    @property
    def console(self) -> Path:
        return self.path / "logs" / CONSOLE

    @property
    def work(self) -> Path:
        return self.path / "work"

    @property
    def home(self) -> Path:
        return self.path / "home"

    @property
    def temporary(self) -> Path:
        return self.path / "tmp"

    @property
    def scripts(self) -> Path:
        return self.path / "scripts"

    @property
    def artifacts(self) -> Path:
        return self.path / "artifacts"

    def note_running(self, running: Running) -> None:
        """A line more: on a full disk the mark that was noted first is still there."""
        # Needed after a crash of the agent, not of the machine: no process outlives that.
        with (self.path / "running.json").open("ab", buffering=0) as file:
            file.write(msgspec.json.encode(running) + b"\n")

    def running(self) -> Running | None:
        """The newest that is whole."""
        path = self.path / "running.json"
        with suppress(FileNotFoundError):
            for line in reversed(path.read_bytes().splitlines()):
                noted = _decoded(path, line, Running)
                if noted is not None:
                    return noted
        return None

    def keep_report(self, report: StepReport) -> None:
        """Should the agent end before the server has it; on a full disk it is sent all the same. Only what
        took long is safe from a power cut, too: the rest is sooner done again than the disk is waited for.
        """
        write = write_durably if (report.duration_ms or 0) > SOON_DONE_AGAIN_MS else write_whole
        try:
            write(self.path / "report.json", msgspec.json.encode(report))
        except OSError as error:
            log.critical("The report of step %s cannot be kept on disk: %s", self.step_id, error)

    def report(self) -> StepReport | None:
        return _stored(self.path / "report.json", StepReport)


class Spool:
    def __init__(self, home: Path) -> None:
        self._steps = home / "steps"
        self._trash = home / "trash"
        for folder in (self._steps, self._trash):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def free_mb(self) -> int:
        """What is left on the disk of the steps for somebody without privileges."""
        try:
            status = os.statvfs(self._steps)
        except FileNotFoundError:
            # Somebody has taken the folder away; whoever opens a step there says so.
            status = os.statvfs(self._steps.parent)
        return status.f_bavail * status.f_frsize // 2**20

    def open(self, offer: StepOffer) -> StepFolder:
        """Raises BadOffer when the id could not be a folder, or is one already."""
        if not STEP_ID.fullmatch(offer.id):
            raise BadOffer(f"A step cannot have the id {offer.id[:80]!r}.")
        folder = StepFolder(self._steps / offer.id)
        try:
            folder.path.mkdir(mode=0o700)
        except FileExistsError:
            raise BadOffer(f"Step {offer.id} is here already.") from None
        try:
            for inner in (folder.console.parent, folder.work, folder.home, folder.temporary, folder.scripts):
                inner.mkdir(mode=0o700)
            # What was offered may hold secrets, and is not for the disk.
            folder.console.touch(mode=0o600)
        except OSError:
            self.drop(folder)
            raise
        return folder

    def leftovers(self) -> list[StepFolder]:
        """Steps of an earlier run of the agent, the oldest first."""
        found = []
        for path in self._steps.iterdir():
            if STEP_ID.fullmatch(path.name) and path.is_dir() and not path.is_symlink():
                found.append(path)
            else:
                log.warning("%s is no step of this agent; it is left as it is.", path)
        return [StepFolder(path) for path in sorted(found, key=lambda path: path.stat().st_mtime)]

    def drop(self, folder: StepFolder) -> None:
        rubbish = self._trash / f"{folder.step_id}.{secrets.token_hex(4)}"
        folder.path.rename(rubbish)
        _remove(rubbish)

    def empty_trash(self) -> None:
        for rubbish in self._trash.iterdir():
            _remove(rubbish)


def write_durably(path: Path, content: bytes) -> None:
    """Either the old content or the new one is there, even after a power cut."""
    write_whole(path, content, os.fsync)


def write_whole(path: Path, content: bytes, flush: Callable[[int], None] | None = None) -> None:
    """Either the old content or the new one is there, whenever we are killed."""
    # Should somebody have left a link under this name, it is not followed.
    beside = path.with_name(f".{path.name}.new")
    beside.unlink(missing_ok=True)
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        if flush is not None:
            flush(descriptor)
    beside.replace(path)


def _stored(path: Path, kind: type[Kind]) -> Kind | None:
    """None for what is not there, damaged, or written by a version that said it in another way."""
    try:
        return _decoded(path, path.read_bytes(), kind)
    except FileNotFoundError:
        return None
    except OSError as error:
        log.warning("%s cannot be read: %s", path, error)
        return None


def _decoded(path: Path, content: bytes, kind: type[Kind]) -> Kind | None:
    try:
        return msgspec.json.decode(content, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        log.warning("%s cannot be read: %s", path, error)
        return None


def _remove(rubbish: Path) -> None:
    """Links are removed, never followed."""
    with suppress(PermissionError):
        shutil.rmtree(rubbish)
        return
    # Builds make folders read-only (Go's module cache does); their owner may undo that.
    for _, folders, _, parent in os.fwalk(rubbish):
        for name in folders:
            with suppress(OSError):
                os.chmod(name, 0o700, dir_fd=parent, follow_symlinks=False)
    try:
        shutil.rmtree(rubbish)
    except OSError as error:
        log.warning("Could not remove %s, will try again at the next start: %s", rubbish, error)
