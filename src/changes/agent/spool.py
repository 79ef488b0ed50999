"""What is kept on disk, so that neither an absent server nor a killed agent loses anything.

One folder per step under `steps/`. Dropping a step renames its folder into `trash/` first: that is
one act, so a crash leaves either a step to report or rubbish to remove.
"""

import logging
import os
import re
import secrets
import shutil
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
        # Needed after a crash of the agent, not of the machine: no process outlives that.
        (self.path / "running.json").write_bytes(msgspec.json.encode(running))

    def running(self) -> Running | None:
        return _stored(self.path / "running.json", Running)

    def keep_report(self, report: StepReport) -> None:
        write_durably(self.path / "report.json", msgspec.json.encode(report))

    def report(self) -> StepReport | None:
        return _stored(self.path / "report.json", StepReport)


class Spool:
    def __init__(self, home: Path) -> None:
        self._steps = home / "steps"
        self._trash = home / "trash"
        for folder in (self._steps, self._trash):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def open(self, offer: StepOffer) -> StepFolder:
        """Raises BadOffer when the id could not be a folder, or is one already."""
        if not STEP_ID.fullmatch(offer.id):
            raise BadOffer(f"A step cannot have the id {offer.id[:80]!r}.")
        folder = StepFolder(self._steps / offer.id)
        try:
            folder.path.mkdir(mode=0o700)
        except FileExistsError:
            raise BadOffer(f"Step {offer.id} is here already.") from None
        for inner in (folder.console.parent, folder.work, folder.home, folder.temporary, folder.scripts):
            inner.mkdir(mode=0o700)
        folder.console.touch(mode=0o600)
        write_durably(folder.path / "offer.json", msgspec.json.encode(offer))
        return folder

    def leftovers(self) -> list[StepFolder]:
        """Steps of an earlier run of the agent, the oldest first."""
        found = [path for path in self._steps.iterdir() if STEP_ID.fullmatch(path.name)]
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
    beside = path.with_name(f".{path.name}.new")
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(descriptor)
    beside.replace(path)


def _stored(path: Path, kind: type[Kind]) -> Kind | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except (FileNotFoundError, msgspec.DecodeError):
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
