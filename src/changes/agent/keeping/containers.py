"""What a step leaves in its container itself, beside the folders that its plan names.

Of podman an image is kept, as podman saves it; of LXC the layer that lies over its root file system.
An image that comes from elsewhere is loaded only if it brings no names: it could bear that of another.
"""

import json
import re
import tarfile
from pathlib import Path

from changes.agent.accounts import Account
from changes.agent.errors import AgentError, NotAccepted
from changes.agent.keeping import unpacking
from changes.agent.keeping.archives import BadArchive
from changes.agent.keeping.overlay import FOLDER, Laid, made
from changes.agent.keeping.roots import Root
from changes.agent.keeping.stock import Stock
from changes.agent.sandboxes import podman_images
from changes.agent.sandboxes.choice import LXC, PODMAN
from changes.agent.sandboxes.podman import client_environment
from changes.agent.sandboxes.role import CONTAINER_ROOT, Layer

# No folder of a machine is called so: two slashes are one.
ROOTS = {PODMAN: "//podman", LXC: "//lxc"}
OF_AGENT_ONLY, READABLE = 0o700, 0o755
MANIFEST, MANIFEST_MAX_BYTES = "manifest.json", 1024 * 1024
CONFIG = re.compile(r"([0-9a-f]{64})\.json")


def lay(kind: str, step: Path, *, below: Path | None, image: str = "", is_kept: bool = False) -> Laid:
    """The container mounts it itself, as the agent and for itself only."""
    own = made(step / FOLDER) / "container"
    upper, work, merged = own / "upper", own / "work", own / "merged"
    for each in (own, upper, work, merged):
        each.mkdir(mode=OF_AGENT_ONLY, exist_ok=True)
    # The root of the container is this folder.
    upper.chmod(READABLE)
    lowers = () if below is None else (below,)
    return Laid(ROOTS[kind], upper, Layer(CONTAINER_ROOT, lowers, upper, work, merged, image, is_kept))


def root_of(laid: Laid) -> Root:
    return Root(laid.said, laid.upper, (), is_of_container=True)


def require_kept(laid: Laid) -> None:
    """Raises NotAccepted when podman could not make an image."""
    complaint = laid.upper / podman_images.COMPLAINT
    if laid.said != ROOTS[PODMAN]:
        return
    if not (laid.upper / podman_images.FILE).is_file():
        words = complaint.read_text() if complaint.is_file() else "nothing of it is there"
        raise NotAccepted(f"The container could not be kept: {words}")


def load(packed: Path, sha256: str, stock: Stock, step: Path, account: Account) -> str:
    """The name of the image, which podman has from now on. Raises BadArchive."""
    name = podman_images.name_of(sha256)
    env = client_environment(stock.folder.parent)
    into = lay(PODMAN, step, below=None).upper
    unpacking.unpack(packed, [Root(ROOTS[PODMAN], into, (), is_of_container=True)], account)
    saved = into / podman_images.FILE
    try:
        podman_images.load(saved, identity_of(saved), name, env)
    except AgentError as error:
        raise BadArchive(str(error)) from error
    finally:
        saved.unlink(missing_ok=True)
    podman_images.tidy(name, env)
    return name


def identity_of(saved: Path) -> str:
    """Raises BadArchive for whatever is not one image without a name."""
    try:
        with tarfile.open(saved, "r:", encoding="utf-8") as tar:
            (found,) = manifest_of(tar)
    except (OSError, tarfile.TarError, ValueError, TypeError) as error:
        raise BadArchive(f"The image of the container cannot be read: {error}") from error
    config = CONFIG.fullmatch(str(found.get("Config")))
    if config is None or found.get("RepoTags"):
        raise BadArchive("The image of the container is none that an agent has made.")
    return config[1]


def manifest_of(tar: tarfile.TarFile) -> list[dict[str, object]]:
    info = tar.getmember(MANIFEST)
    file = tar.extractfile(info) if info.isreg() and info.size <= MANIFEST_MAX_BYTES else None
    found = json.loads(file.read()) if file is not None else None
    if not isinstance(found, list) or not all(isinstance(each, dict) for each in found):
        raise ValueError("it does not say what it holds")
    return found
