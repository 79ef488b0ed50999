"""Snapshots that are unpacked once on this machine; all steps that begin with one lie on it and only read.

What a checkout brings is not among it: that is mixed with the files of the step, and so unpacked anew.
"""

import json
import re
import shutil
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from changes.agent.accounts import Account
from changes.agent.keeping import containers, roots, unpacking
from changes.agent.keeping.archives import MANIFEST
from changes.agent.keeping.roots import Root
from changes.agent.keeping.stock import Stock
from changes.agent.sandboxes.choice import PODMAN

LAYERS = "layers"
MAY_PASS = 0o711
READABLE = 0o755
DIGEST = re.compile(r"[0-9a-f]{64}")
FRESH, OLD = ".new", ".old"
# In the folder of a step: which layer its folders lie on.
IN_USE = "layer"
UNUSED_LAYERS_KEPT = 5


@dataclass(frozen=True)
class Shelf:
    stock: Stock
    # The folders of all steps, which say what they lie on.
    steps: Path
    is_given_up: Callable[[], bool]

    @property
    def layers(self) -> Path:
        return self.stock.folder.parent / LAYERS

    def take(self, sha256: str, step: Path) -> Mapping[str, Path] | None:
        """For each root it names where it lies, if it is unpacked here: empty for those of checkouts.

        It stays as long as the step has a folder. Raises GivenUp.
        """
        ready = self.layers / sha256
        with self.stock.alone(f"layer {sha256}", self.is_given_up):
            try:
                said = json.loads((ready / MANIFEST).read_text())
            except FileNotFoundError:
                return None
            ready.touch()
            (step / IN_USE).write_text(sha256)
        return {each: ready / str(number) for number, each in enumerate(said)}

    def put(self, sha256: str, packed: Path, account: Account) -> int:
        """How many files had to be unpacked. Raises BadArchive, OSError, GivenUp."""
        self.layers.mkdir(mode=MAY_PASS, exist_ok=True)
        ready = self.layers / sha256
        with self.stock.alone(f"layer {sha256}", self.is_given_up):
            if (ready / MANIFEST).exists():
                return 0
            fresh = ready.with_name(f"{sha256}{FRESH}")
            for path in (ready, fresh):
                shutil.rmtree(path, ignore_errors=True)
            fresh.mkdir(mode=MAY_PASS)
            said = unpacking.roots_in(packed)
            bases = [base(fresh / str(number), each, account) for number, each in enumerate(said)]
            wanted = [each for each in bases if is_shelved(each.said)]
            done = unpacking.unpack(packed, wanted, account, whiteouts=True)
            (fresh / MANIFEST).write_text(json.dumps(said))
            fresh.rename(ready)
        self.tidy(but=sha256)
        return done.members

    def tidy(self, but: str) -> None:
        """Of those that no step lies on, the newest stay."""
        found = []
        for path in self.layers.iterdir():
            with suppress(OSError):
                if DIGEST.fullmatch(path.name) and path.name != but:
                    found.append((path.stat().st_mtime, path))
        unused = [path for _, path in sorted(found, reverse=True) if path.name not in self.in_use()]
        for path in unused[UNUSED_LAYERS_KEPT:]:
            with self.stock.alone(f"layer {path.name}", self.is_given_up):
                # A step may have begun with it since.
                if path.name not in self.in_use():
                    old = path.with_name(f"{path.name}{OLD}")
                    path.rename(old)
                    shutil.rmtree(old, ignore_errors=True)

    def in_use(self) -> set[str]:
        found = set()
        for noted in self.steps.glob(f"*/{IN_USE}"):
            with suppress(OSError):
                found.add(noted.read_text())
        return found


def is_shelved(said: str) -> bool:
    """Images of podman have a store of their own."""
    is_of_podman = said == containers.ROOTS[PODMAN]
    return (roots.is_of_machine(said) and not is_of_podman) or roots.is_of_home(said)


def base(folder: Path, said: str, account: Account) -> Root:
    folder.mkdir(mode=READABLE)
    is_of_container = said in containers.ROOTS.values()
    if not is_of_container:
        account.own(folder)
    return Root(said, folder, (), is_of_container)
