"""Lays out the snapshot that a step begins with."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path

from changes.agent.accounts import Account
from changes.agent.errors import BadOffer, GivenUp, NotAccepted
from changes.agent.keeping import containers, overlay, roots, unpacking
from changes.agent.keeping.archives import BadArchive
from changes.agent.keeping.overlay import Laid
from changes.agent.keeping.shelf import Shelf
from changes.agent.keeping.stock import Stock
from changes.agent.sandboxes import podman_images
from changes.agent.sandboxes.choice import BUBBLEWRAP, LXC, PODMAN, WITH_IMAGE
from changes.agent.sandboxes.podman import client_environment
from changes.agent.sandboxes.role import Layer
from changes.agent.spool import StepFolder
from changes.protocol import SnapshotOffer, StepOffer

ARCHIVE = "archive"
MEGABYTE = 2**20
DEFAULT_PATHS = (roots.HOME,)


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
class Brought:
    """Where what lies below the folders of the step is, by root, and the image of its container."""

    below: Mapping[str, Path]
    files: int = 0
    image: str = ""


@dataclass(frozen=True)
class Bringing:
    ground: Ground
    supply: Supply
    # What the step may change without changing what lies below it.
    laid: list[Laid] = field(default_factory=list)

    @property
    def layers(self) -> tuple[Layer, ...]:
        return tuple(each.layer for each in self.laid)

    @property
    def kind_made(self) -> str:
        """Of a step that makes a snapshot."""
        of_container = {root: kind for kind, root in containers.ROOTS.items()}
        return next((of_container[each.said] for each in self.laid if each.said in of_container), ARCHIVE)

    def bring(self, kind: str, source: Path) -> bool:
        """Whether it is there, so that nothing need be set up. Raises BadOffer for what cannot be kept."""
        offer, ground = self.ground.offer, self.ground
        machine = self._of_machine(kind)
        brought = None if offer.snapshot is None else self._try(offer.snapshot, kind, machine, source)
        below = brought.below if brought is not None else {}
        if machine:
            lowers = [below.get(each) for each in machine]
            self.laid.extend(overlay.lay(machine, lowers, ground.folder.path, ground.account))
        for said in self._over_home(kind, list(below)):
            self.laid.append(overlay.lay_over_home(said, below[said], ground.folder, ground.account))
        if kind in WITH_IMAGE and (brought is not None or offer.expected_snapshot):
            lower, image = below.get(containers.ROOTS[LXC]), brought.image if brought is not None else ""
            is_kept = bool(offer.expected_snapshot)
            self.laid.append(
                containers.lay(kind, ground.folder.path, below=lower, image=image, is_kept=is_kept)
            )
        return brought is not None

    def _of_machine(self, kind: str) -> list[str]:
        """Of a container all is kept, whatever folders of it are named."""
        machine = roots.of_machine(self.ground.paths)
        if not machine or kind == BUBBLEWRAP:
            return machine
        if self.ground.offer.expected_snapshot and kind not in WITH_IMAGE:
            raise BadOffer(f"The sandbox {kind} cannot keep {machine[0]}: bubblewrap and containers can.")
        return []

    def _over_home(self, kind: str, said: Sequence[str]) -> list[str]:
        """Roots that are laid below the home of the step instead of being unpacked into it."""
        offer = self.ground.offer
        home = roots.outermost(
            [each for each in said if roots.is_of_home(each) and each in self.ground.paths]
        )
        if not home or kind != BUBBLEWRAP or offer.expected_snapshot:
            return []
        if any(roots.is_of_home(path) for cache in offer.caches for path in cache.paths):
            # What is kept of it is packed from outside, where nobody sees what lies below.
            return []
        return home if overlay.works(self._shelf.layers, self.ground.account) else []

    @property
    def _shelf(self) -> Shelf:
        return Shelf(self.supply.stock, self.ground.folder.path.parent, self.supply.is_given_up)

    def _try(self, wanted: SnapshotOffer, kind: str, machine: Sequence[str], source: Path) -> Brought | None:
        ground = self.ground
        if wanted.kind not in (ARCHIVE, kind):
            ground.say(f"[the snapshot is of the sandbox {wanted.kind}, not of {kind}: everything is set up]")
            return None
        try:
            brought = self._at_hand(wanted, kind, machine) or self._fetched(wanted, kind, machine, source)
        except (BadArchive, NotAccepted, GivenUp) as error:
            ground.say(f"[the snapshot cannot be used, so everything is set up: {error}]")
            return None
        size_mb = wanted.size_bytes / MEGABYTE
        words = f"{brought.files} files unpacked" if brought.files else "nothing had to be unpacked"
        ground.say(f"[snapshot {wanted.image[:12]} laid out: {words}, {size_mb:.1f} MB packed]")
        return brought

    def _at_hand(self, wanted: SnapshotOffer, kind: str, machine: Sequence[str]) -> Brought | None:
        """Without a look at what is packed, if all that the step wants of it lies unpacked already."""
        below = None if kind == PODMAN else self._shelf.take(wanted.sha256, self.ground.folder.path)
        if below is None:
            return None
        self._require_place(list(below), machine, kind)
        loose = roots.outside(self.ground.paths, self._layered(kind, machine, list(below)))
        return None if set(loose) & set(below) else Brought(below)

    def _fetched(self, wanted: SnapshotOffer, kind: str, machine: Sequence[str], source: Path) -> Brought:
        ground = self.ground
        with self.supply.holding(wanted.sha256) as path:
            said = unpacking.roots_in(path)
            self._require_place(said, machine, kind)
            layered = self._layered(kind, machine, said)
            loose = [each for each in roots.outside(ground.paths, layered) if each in said]
            files, below = 0, None
            if loose:
                own = roots.of_step(loose, ground.folder, source)
                files = unpacking.unpack(path, own, ground.account).members
            if layered:
                files += self._shelf.put(wanted.sha256, path, ground.account)
                below = self._shelf.take(wanted.sha256, ground.folder.path)
            return Brought(below or {}, files, self._image(wanted, path))

    def _layered(self, kind: str, machine: Sequence[str], said: Sequence[str]) -> list[str]:
        """Roots that are laid under what the step writes."""
        under = {*machine, *([containers.ROOTS[LXC]] if kind == LXC else [])}
        return [*(each for each in said if each in under), *self._over_home(kind, said)]

    def _image(self, wanted: SnapshotOffer, packed: Path) -> str:
        """Loaded where it is not present."""
        if wanted.kind != PODMAN:
            return ""
        stock, name = self.supply.stock, podman_images.name_of(wanted.sha256)
        with stock.alone(name, self.supply.is_given_up):
            if podman_images.has(name, client_environment(stock.folder.parent)):
                return name
            ground = self.ground
            return containers.load(packed, wanted.sha256, stock, ground.folder.path, ground.account)

    def _require_place(self, said: Sequence[str], machine: Sequence[str], kind: str) -> None:
        """For what nobody can unpack anywhere."""
        known = {*machine, containers.ROOTS.get(kind)}
        lacking = [each for each in said if roots.is_of_machine(each) and each not in known]
        if lacking:
            raise BadArchive(f"it holds {lacking[0]}, which this step cannot lay out")
