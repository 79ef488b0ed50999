"""Paths of an offer come from plans, repositories and strangers; here they are held inside the step."""

from pathlib import Path, PurePosixPath

from changes.agent.errors import BadOffer
from changes.agent.spool import StepFolder
from changes.protocol import CommandOffer, StepOffer


def source_of(offer: StepOffer, folder: StepFolder) -> Path:
    """Where commands start from: the work tree, or an empty folder."""
    return inside(folder.work, offer.checkout.path) if offer.checkout else folder.work


def folder_of(command: CommandOffer, source: Path) -> Path:
    return inside(source, command.cwd)


def inside(root: Path, path: str) -> Path:
    asked = PurePosixPath(path)
    if asked.is_absolute() or ".." in asked.parts or "\0" in path:
        raise BadOffer(f"The path {path!r} leads out of the step's folder.")
    return root / asked
