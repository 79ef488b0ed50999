"""Folders of the machine that a step may change, while the machine itself stays as it is.

Over each lies an empty folder of the step's (overlayfs), and between both what a snapshot brings. All
of it is mounted in namespaces of the step alone, by its own account: no root is needed, and nothing
is left to unmount, however the agent ends.
"""

import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from changes.agent.accounts import Account
from changes.agent.errors import BadOffer
from changes.agent.keeping.roots import of_path
from changes.agent.sandboxes.bubblewrap import mounting
from changes.agent.sandboxes.process import quiet_run
from changes.agent.sandboxes.role import OWN_PATH, Layer, dropping
from changes.agent.spool import StepFolder

FOLDER = "layers"
# A folder of the machine belongs to root; one of ours in its place lets the step write into it.
MIRRORED_FOLDERS_MAX = 5000
FOLDER_MODE = 0o755
PROBE_WITHIN_S = 10.0


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
    top = made(step_folder / FOLDER)
    for number, (each, below) in enumerate(zip(said, brought, strict=True)):
        target = Path(each)
        if not target.is_dir() or target.resolve() != target:
            raise BadOffer(f"The snapshot is to keep {each}, which is no folder of this machine.")
        own = top / str(number)
        upper, work, merged = own / "upper", own / "work", own / "merged"
        for part in (own, upper, work, merged):
            part.mkdir(mode=FOLDER_MODE)
            account.own(part)
        mirror_folders(target, upper, account)
        lowers = (target,) if below is None else (below, target)
        laid.append(Laid(each, upper, Layer(target, lowers, upper, work, merged)))
    return laid


def lay_over_home(said: str, below: Path, step: StepFolder, account: Account) -> Laid:
    """What the step changes lies in its home as ever; only what it leaves as it was lies below."""
    target = of_path(said, step, step.work)
    upper = target.base
    for name in target.parts:
        upper = upper / name
        upper.mkdir(exist_ok=True)
        account.own(upper)
    own = made(step.path / FOLDER) / f"home-{len(list((step.path / FOLDER).iterdir()))}"
    work, merged = own / "work", own / "merged"
    for part in (own, work, merged):
        part.mkdir(mode=FOLDER_MODE)
        account.own(part)
    return Laid(said, upper, Layer(upper, (below,), upper, work, merged))


@cache
def works(top: Path, account: Account) -> bool:
    """Whether folders can be laid over each other here: not every file system takes what changes."""
    with tempfile.TemporaryDirectory(prefix="probe-", dir=made(top)) as name:
        probe = Path(name)
        probe.chmod(FOLDER_MODE)
        parts = [probe / each for each in ("lower", "upper", "work", "merged")]
        for each in parts:
            each.mkdir(mode=FOLDER_MODE)
            account.own(each)
        lower, upper, work, merged = parts
        layer = Layer(merged, (lower,), upper, work, merged)
        words = [*dropping(account), *mounting([layer]), "/bin/true"]
        done = quiet_run(words, PROBE_WITHIN_S, env={"PATH": OWN_PATH})
    return done is not None and done.returncode == 0


def made(folder: Path) -> Path:
    folder.mkdir(mode=FOLDER_MODE, exist_ok=True)
    return folder


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
