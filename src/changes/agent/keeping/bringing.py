"""Lays out the snapshot that a step begins with."""

import shutil
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from changes.agent.accounts import Account
from changes.agent.errors import BadOffer, GivenUp, NotAccepted
from changes.agent.keeping import overlay, roots, unpacking
from changes.agent.keeping.archives import BadArchive
from changes.agent.keeping.overlay import Laid
from changes.agent.keeping.roots import Root
from changes.agent.keeping.stock import Stock
from changes.agent.sandboxes.choice import BUBBLEWRAP
from changes.agent.sandboxes.role import Layer
from changes.agent.spool import StepFolder
from changes.protocol import SnapshotOffer, StepOffer

LAYERS = "layers"
ARCHIVE = "archive"
MEGABYTE = 2**20
DEFAULT_PATHS = (roots.HOME,)
MAY_PASS = 0o711
READABLE = 0o755
# In the folder of a step: which layer its folders lie on.
IN_USE = "layer"
UNUSED_LAYERS_KEPT = 5


@dataclass(frozen=True)
class Supply:
    """Where bytes come from. `fetch` goes on behind what a file has; it raises NotAccepted, StepGone …"""

    stock: Stock
    fetch: Callable[[str, Path], None]
    is_given_up: Callable[[], bool]

    def holding(self, sha256: str) -> AbstractContextManager[Path]:
        return self.stock.holding(sha256, lambda part: self.fetch(sha256, part), self.is_given_up)


@dataclass(frozen=True)
class Ground:
    """The step that all is laid out for."""

    offer: StepOffer
    folder: StepFolder
    account: Account
    say: Callable[[str], None]

    @property
    def paths(self) -> list[str]:
        return self.offer.snapshot_paths or list(DEFAULT_PATHS)


@dataclass(frozen=True)
class Bringing:
    ground: Ground
    supply: Supply
    # Folders of the machine that the step may change.
    laid: list[Laid] = field(default_factory=list)

    @property
    def layers(self) -> tuple[Layer, ...]:
        return tuple(each.layer for each in self.laid)

    def bring(self, kind: str, source: Path) -> bool:
        """Whether it is there, so that nothing need be set up. Raises BadOffer for what cannot be kept."""
        offer, ground = self.ground.offer, self.ground
        machine = self._of_machine(kind)
        brought: dict[str, Path] = {}
        has_it = False
        if offer.snapshot is not None and offer.snapshot.kind == ARCHIVE:
            has_it = self._try(offer.snapshot, machine, source, brought)
        if machine:
            below = [brought.get(each) for each in machine]
            self.laid.extend(overlay.lay(machine, below, ground.folder.path, ground.account))
        return has_it

    def _of_machine(self, kind: str) -> list[str]:
        machine = roots.of_machine(self.ground.paths)
        if not machine or kind == BUBBLEWRAP:
            return machine
        if self.ground.offer.expected_snapshot:
            raise BadOffer(f"Only the sandbox bubblewrap can keep {machine[0]}, and this step has {kind}.")
        return []

    def _try(
        self, wanted: SnapshotOffer, machine: Sequence[str], source: Path, brought: dict[str, Path]
    ) -> bool:
        ground = self.ground
        try:
            with self.supply.holding(wanted.sha256) as path:
                said = unpacking.roots_in(path)
                lacking = [each for each in said if roots.is_of_machine(each) and each not in machine]
                if lacking:
                    ground.say(f"[the snapshot holds {lacking[0]}, which this step cannot lay out]")
                    return False
                own = roots.of_step(ground.paths, ground.folder, source)
                done = unpacking.unpack(path, own, ground.account)
                brought.update(self._layers_of(path, wanted.sha256, machine))
        except (BadArchive, NotAccepted, GivenUp) as error:
            ground.say(f"[the snapshot cannot be used, so everything is set up: {error}]")
            return False
        size_mb = wanted.size_bytes / MEGABYTE
        ground.say(f"[snapshot {wanted.image[:12]} laid out: {done.members} files, {size_mb:.1f} MB packed]")
        return True

    def _layers_of(self, path: Path, sha256: str, machine: Sequence[str]) -> dict[str, Path]:
        """Unpacked once on this machine; all steps with this snapshot read it."""
        if not machine:
            return {}
        ready = self.supply.stock.folder.parent / LAYERS / sha256
        ready.parent.mkdir(mode=MAY_PASS, exist_ok=True)
        with self.supply.stock.alone(f"layer {sha256}", self.supply.is_given_up):
            if not ready.is_dir():
                fresh = ready.with_name(f"{sha256}.new")
                shutil.rmtree(fresh, ignore_errors=True)
                fresh.mkdir(mode=MAY_PASS)
                bases = [self._base(fresh / str(number), said) for number, said in enumerate(machine)]
                unpacking.unpack(path, bases, self.ground.account, whiteouts=True)
                fresh.rename(ready)
            ready.touch()
            note_use(self.ground.folder.path, sha256)
        tidy(ready.parent, self.ground.folder.path.parent)
        return {said: ready / str(number) for number, said in enumerate(machine)}

    def _base(self, folder: Path, said: str) -> Root:
        folder.mkdir(mode=READABLE)
        self.ground.account.own(folder)
        return Root(said, folder, ())


def note_use(step: Path, sha256: str) -> None:
    """What lies below the folders of a step stays as long as the step has a folder."""
    (step / IN_USE).write_text(sha256)


def tidy(layers: Path, steps: Path) -> None:
    """Of those that no step lies on, the newest stay; what somebody else tidies at the same time is gone."""
    in_use = set()
    for noted in steps.glob(f"*/{IN_USE}"):
        with suppress(OSError):
            in_use.add(noted.read_text())
    found = []
    for path in layers.iterdir():
        with suppress(OSError):
            if path.suffix != ".new" and path.name not in in_use:
                found.append((path.stat().st_mtime, path))
    for _, path in sorted(found, reverse=True)[UNUSED_LAYERS_KEPT:]:
        shutil.rmtree(path, ignore_errors=True)
