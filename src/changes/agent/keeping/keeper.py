"""What a step finds when it begins, and what is kept of it when it has passed.

Caches only save time: whatever goes wrong with one is said in the log, and the step goes on. A
snapshot that cannot be had is made up for by running the set-up after all.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from changes.agent.errors import BadOffer, GivenUp, NotAccepted
from changes.agent.keeping import archives, containers, roots, templates, unpacking
from changes.agent.keeping.archives import BadArchive, Packed
from changes.agent.keeping.bringing import MEGABYTE, Bringing, Ground, Supply
from changes.agent.keeping.overlay import Laid
from changes.agent.keeping.roots import Root
from changes.agent.keeping.stock import Stock
from changes.agent.link import StepLink
from changes.agent.sandboxes.role import CONTAINER_ROOT
from changes.protocol import CacheAsk, CacheFound, CacheOffer, CacheSave, SnapshotMade

SAID_MAX = 20
FILE_NAME = "kept.tar.zst"
SAVES_TIME_WITHIN_S = 900.0


@dataclass
class Wanted:
    """A cache whose key is filled in, and what was found for it."""

    offer: CacheOffer
    key: str
    found: CacheFound = field(default_factory=CacheFound)


class Keeper:
    def __init__(self, ground: Ground, stock: Stock, link: StepLink) -> None:
        self._stock = stock
        self._link = link
        self.snapshot = Bringing(ground, self._supply(self._patient()))
        # The wanted caches of this step, as soon as they are known.
        self.caches: list[Wanted] = []
        self._ground = ground

    def bring_caches(self, source: Path, env: dict[str, str]) -> None:
        for offered in self._ground.offer.caches:
            try:
                self._bring_cache(offered, source, env)
            except (BadOffer, BadArchive, NotAccepted, GivenUp, OSError) as error:
                self._require_wanted(error)
                self._ground.say(f"[cache {offered.key}: {error}]")

    def _bring_cache(self, offered: CacheOffer, source: Path, env: dict[str, str]) -> None:
        ground, work = self._ground, self._ground.folder.work
        paths = self._roots(offered.paths, source)
        key = templates.key_of(offered.key, source, work, env)
        beginnings = [templates.key_of(each, source, work, env) for each in offered.restore_keys]
        wanted = Wanted(offered, key)
        self.caches.append(wanted)
        link = self._patient()
        found = link.find_cache(CacheAsk(key=key, restore_keys=beginnings))
        if not found.sha256:
            ground.say(f"[cache {key}: nothing yet]")
            return
        with self._supply(link).holding(found.sha256) as path:
            done = unpacking.unpack(path, paths, ground.account)
        wanted.found = found
        what = "found" if found.key == key else f"begun with {found.key}"
        ground.say(
            f"[cache {key}: {what}, {done.members} files, {found.size_bytes / MEGABYTE:.1f} MB packed]"
        )

    def keep_caches(self, source: Path) -> None:
        """A key that exists stays as it is."""
        for wanted in self.caches:
            if wanted.found.key == wanted.key:
                continue
            try:
                self._keep_cache(wanted, source)
            except (BadOffer, NotAccepted, GivenUp, OSError) as error:
                self._require_wanted(error)
                self._ground.say(f"[cache {wanted.key} is not kept: {error}]")

    def _supply(self, link: StepLink) -> Supply:
        return Supply(self._stock, link.fetch_blob, link.is_given_up)

    def _patient(self) -> StepLink:
        """Nobody waits longer for what only saves time, however long the server is away."""
        until = time.monotonic() + SAVES_TIME_WITHIN_S
        link = self._link
        return link.link.for_step(link.step_id, lambda: link.is_given_up() or time.monotonic() > until)

    def _require_wanted(self, error: Exception) -> None:
        """Only the cache was given up, or the step with it."""
        if isinstance(error, GivenUp) and self._link.is_given_up():
            raise error

    def _keep_cache(self, wanted: Wanted, source: Path) -> None:
        packed = self._packed(self._roots(wanted.offer.paths, source))
        try:
            if not packed.members:
                self._ground.say(f"[cache {wanted.key} is not kept: there is nothing]")
                return
            link = self._patient()
            link.send_blob(packed.sha256, packed.path)
            link.save_cache(CacheSave(key=wanted.key, sha256=packed.sha256))
            self._stock.put(packed.path, packed.sha256)
        finally:
            packed.path.unlink(missing_ok=True)
        size_mb = packed.size_bytes / MEGABYTE
        self._ground.say(f"[cache {wanted.key} is kept: {packed.members} files, {size_mb:.1f} MB packed]")

    def keep_snapshot(self, source: Path) -> None:
        """Raises AgentError, OSError; the server hears why it could not be made."""
        image = self._ground.offer.expected_snapshot
        laid = self.snapshot.laid
        try:
            beneath = [root_laid(each) for each in laid]
            packed = self._packed([*self._roots(self._ground.paths, source), *beneath], whiteouts=bool(laid))
            self._link.send_blob(packed.sha256, packed.path)
            kind = self.snapshot.kind_made
            self._link.tell_snapshot(SnapshotMade(image=image, sha256=packed.sha256, kind=kind))
        except (NotAccepted, OSError) as error:
            self._link.tell_snapshot(SnapshotMade(image=image, problem=str(error)))
            raise
        size_mb = packed.size_bytes / MEGABYTE
        self._ground.say(f"[snapshot {image[:12]} is kept: {packed.members} files, {size_mb:.1f} MB packed]")
        self._stock.put(packed.path, packed.sha256)

    def _roots(self, paths: Sequence[str], source: Path) -> list[Root]:
        return roots.of_step(paths, self._ground.folder, source)

    def _packed(self, kept: Sequence[Root], *, whiteouts: bool = False) -> Packed:
        into = self._ground.folder.path / FILE_NAME
        packed = archives.pack(kept, into, self._ground.account, whiteouts=whiteouts)
        for each in packed.left_out[:SAID_MAX]:
            self._ground.say(f"[not kept: {each}]")
        if len(packed.left_out) > SAID_MAX:
            self._ground.say(f"[not kept: {len(packed.left_out) - SAID_MAX} more]")
        return packed


def root_laid(laid: Laid) -> Root:
    """Raises NotAccepted for a container that could not be kept."""
    if laid.layer.target != CONTAINER_ROOT:
        return Root(laid.said, laid.upper, ())
    containers.require_kept(laid)
    return containers.root_of(laid)
