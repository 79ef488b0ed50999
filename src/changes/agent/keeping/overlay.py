"""Folders of the machine that a step may change, while the machine itself stays as it is.

Over each lies an empty folder of the step's (overlayfs), and between both what a snapshot brings. All
of it is mounted in namespaces of the step alone, by its own account: no root is needed, and nothing
is left to unmount, however the agent ends.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from changes.agent.accounts import Account
from changes.agent.errors import BadOffer
from changes.agent.sandboxes.role import Layer

FOLDER = "layers"
# A folder of the machine belongs to root; one of ours in its place lets the step write into it.
MIRRORED_FOLDERS_MAX = 5000
FOLDER_MODE = 0o755


@dataclass(frozen=True)
class Laid:
    """`said` is the folder of the machine, `upper` what the step changes in it."""

    said: str
    upper: Path
    layer: Layer


def lay(
    said: Sequence[str], brought: Sequence[Path | None], step_folder: Path, account: Account
) -> list[Laid]:
    """`brought`: for each what a snapshot has for it. Raises BadOffer, OSError."""
    laid = []
    top = step_folder / FOLDER
    top.mkdir(mode=FOLDER_MODE)
    for number, (each, below) in enumerate(zip(said, brought, strict=True)):
        target = Path(each)
        if not target.is_dir() or target.resolve() != target:
            raise BadOffer(f"The snapshot is to keep {each}, which is no folder of this machine.")
        own = top / str(number)
        parts = [own / name for name in ("upper", "work", "merged")]
        for part in (own, *parts):
            part.mkdir(mode=FOLDER_MODE)
            account.own(part)
        mirror_folders(target, parts[0], account)
        lowers = (target,) if below is None else (below, target)
        laid.append(Laid(each, parts[0], Layer(target, lowers, *parts)))
    return laid


def mirror_folders(of: Path, into: Path, account: Account) -> None:
    made = 0
    for top, folders, _ in os.walk(of):
        beside = into / Path(top).relative_to(of)
        for name in folders:
            made += 1
            if made > MIRRORED_FOLDERS_MAX:
                raise BadOffer(f"{of} has more than {MIRRORED_FOLDERS_MAX} folders: name a smaller one.")
            if not (Path(top) / name).is_symlink():
                (beside / name).mkdir(mode=FOLDER_MODE)
                account.own(beside / name)
