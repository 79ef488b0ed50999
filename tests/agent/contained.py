"""A house whose steps run in containers of a system of one program, with stores of its own."""

import shutil
import subprocess
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.agent.housed import House, a_house

from changes.agent.sandboxes import lxc, podman

IMAGES = {"podman": "localhost/changes-test:1", "lxc": "base"}
BUSYBOX = Path("/bin/busybox")


def a_root(folder: Path) -> Path:
    for name in ("bin", "tmp", "etc", "proc", "dev", "sys", "opt"):
        (folder / name).mkdir(parents=True)
    # Steps are not root in there either.
    (folder / "opt").chmod(0o777)
    (folder / "tmp").chmod(0o1777)
    shutil.copy(BUSYBOX, folder / "bin/busybox")
    known = subprocess.run([BUSYBOX, "--list"], capture_output=True, text=True, check=True).stdout.split()
    for name in set(known) - {"busybox"}:
        (folder / "bin" / name).symlink_to("busybox")
    (folder / "etc/passwd").write_text("root:x:0:0::/:/bin/sh\n")
    (folder / "opt/old").write_text("old\n")
    return folder


@contextmanager
def a_house_of_containers(kind: str, folder: Path) -> Iterator[House]:
    """Nothing of the machine's is touched. Where the kind does not work, it is a house all the same."""
    settings = folder / "storage.conf"
    settings.write_text(
        f'[storage]\ndriver = "overlay"\ngraphroot = "{folder}/graph"\nrunroot = "{folder}/run"\n'
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CONTAINERS_STORAGE_CONF", str(settings))
        patch.setattr(lxc.LxcSandbox.__init__, "__defaults__", (folder / "lxc",))
        with a_house(kind) as house:
            house.image = IMAGES[kind]
            if house.works:
                root = a_root(folder / "lxc/base/rootfs")
                if kind == "podman":
                    store(root, folder / "root.tar", house)
            yield house


def store(root: Path, packed: Path, house: House) -> None:
    with tarfile.open(packed, "w") as archive:
        archive.add(root, arcname=".")
    podman_said(house, "import", "--quiet", str(packed), IMAGES["podman"])


def podman_said(house: House, *words: str) -> str:
    env = podman.client_environment(house.home)
    return subprocess.run(["podman", *words], env=env, check=True, capture_output=True, text=True).stdout
