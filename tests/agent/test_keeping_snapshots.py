"""A snapshot that one step makes and others begin with, in each sandbox, by real agents."""

import io
import json
import os
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.agent.contained import a_house_of_containers, podman_said
from tests.agent.housed import House, a_house, refused_here
from tests.agent.running import a_command, a_step

from changes.agent.accounts import Account
from changes.agent.keeping import archives, containers, overlay
from changes.agent.keeping.archives import BadArchive
from changes.agent.keeping.roots import Root
from changes.agent.sandboxes import podman_images
from changes.protocol import CacheOffer, SnapshotMade, SnapshotOffer, StepOffer

pytestmark = pytest.mark.system

OWN = Account("", os.geteuid(), os.getegid())
SET_UP = a_command("echo SETTING UP", id="c0", type="setup")


@pytest.fixture(
    scope="module",
    params=[
        "process",
        "bubblewrap",
        pytest.param("podman", marks=pytest.mark.long),
        pytest.param("lxc", marks=pytest.mark.long),
    ],
)
def house(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    if request.param in containers.ROOTS:
        with a_house_of_containers(request.param, tmp_path_factory.mktemp("containers")) as house:
            yield house
        return
    with a_house(request.param) as house:
        yield house


def made(house: House, script: str, *paths: str) -> SnapshotMade:
    step, report = house.run(a_step(script, expected_snapshot="image-1", snapshot_paths=list(paths)))
    assert report.result == "passed", step.console
    assert step.snapshot is not None
    return step.snapshot


def begun_with(snapshot: SnapshotMade, *scripts: str, **more: object) -> StepOffer:
    offered = SnapshotOffer(image="image-1", sha256=snapshot.sha256, kind=snapshot.kind)
    return a_step(SET_UP, *scripts, snapshot=offered, **more)


def is_laid_over(house: House) -> bool:
    """Else what is kept of the home is unpacked into it."""
    return house.kind == "bubblewrap" and overlay.works(house.home / "layers", house.housing.account)


def is_refused(house: House) -> bool:
    """Where this sandbox does not work."""
    return not house.works and refused_here(house.run(a_step("true"))[1])


def test_what_was_set_up_is_there(house: House) -> None:
    if is_refused(house):
        return
    script = "mkdir -p ~/tools/bin; echo made > ~/tools/data; ln -s data ~/tools/link; chmod 700 ~/tools/bin"
    snapshot = made(house, script)

    script = "cat ~/tools/data ~/tools/link; test -O ~/tools/data; touch ~/tools/bin/new ~/tools/new; ls ~"
    step, report = house.run(begun_with(snapshot, script))

    assert report.result == "passed", step.console
    assert "\nmade\nmade\ntools\n" in step.console
    assert "SETTING UP\n$" not in step.console


def test_what_one_step_changes_another_does_not_see(house: House) -> None:
    if is_refused(house):
        return
    snapshot = made(house, "echo one > ~/first; echo two > ~/second; mkdir ~/d; echo x > ~/d/third")
    spoil = "echo spoilt > ~/first; rm ~/second; rm -r ~/d; mkdir ~/d; echo y > ~/more"
    house.run(begun_with(snapshot, spoil))

    step, report = house.run(begun_with(snapshot, "cat ~/first ~/second ~/d/third; ls ~ | wc -l"))

    assert report.result == "passed", step.console
    assert "\none\ntwo\nx\n3\n" in step.console.replace(" ", "")


def test_a_snapshot_is_unpacked_once_on_a_machine(house: House) -> None:
    if is_refused(house) or not is_laid_over(house):
        return
    snapshot = made(house, "echo once > ~/file")

    consoles = [house.run(begun_with(snapshot, "cat ~/file"))[0].console for _ in range(2)]

    assert all("\nonce\n" in console for console in consoles)
    assert ["nothing had to be unpacked" in console for console in consoles] == [False, True]


def test_part_of_a_home_is_kept_and_the_rest_is_as_ever(house: House) -> None:
    if is_refused(house):
        return
    snapshot = made(house, "mkdir -p ~/a/b; echo in > ~/a/b/file; echo out > ~/a/other", "~/a/b", "built")

    offer = begun_with(snapshot, "cat ~/a/b/file; ls ~/a; touch ~/a/new", snapshot_paths=["~/a/b", "built"])
    step, report = house.run(offer)

    assert report.result == "passed", step.console
    assert "\nin\nb\n" in step.console


def test_a_cache_in_the_home_is_kept_with_all_that_is_in_it(house: House) -> None:
    """It is packed from outside of the sandbox, where what lies below a home is not to be seen."""
    if is_refused(house):
        return
    snapshot = made(house, "mkdir ~/.cache; echo kept > ~/.cache/file")
    cache = CacheOffer(key="deps", paths=["~/.cache"])

    step, _ = house.run(begun_with(snapshot, "echo more > ~/.cache/more", caches=[cache]))

    assert "files unpacked" in step.console
    assert "[cache deps is kept: 3 files" in step.console


def test_what_was_changed_in_a_container_is_kept(house: House) -> None:
    if is_refused(house):
        return
    if house.kind not in containers.ROOTS:
        step, report = house.run(a_step("true", expected_snapshot="i", snapshot_paths=["/no-such-folder"]))
        assert report.reason == "bad_offer", step.console
        return
    snapshot = made(house, "echo tool > /opt/tool; rm /opt/old; mkdir /opt/d; echo SECRET=1 > ~/too", "~")
    assert snapshot.kind == house.kind
    forget(house)

    reading = "cat /opt/tool ~/too; ls -d /opt/*; echo spoilt > /opt/tool"
    consoles = [house.run(begun_with(snapshot, reading))[0].console for _ in range(2)]

    assert all("\ntool\nSECRET=1\n/opt/d\n/opt/tool\n" in console for console in consoles), consoles


def forget(house: House) -> None:
    """As on another machine, which has to fetch all of it."""
    for path in (house.home / "kept").iterdir():
        path.unlink()
    if house.kind == "podman":
        for name in podman_said(house, "images", "--quiet", podman_images.REPOSITORY).split():
            podman_said(house, "rmi", name)


def test_a_snapshot_of_another_sandbox_is_not_used(house: House) -> None:
    if is_refused(house):
        return
    other = "lxc" if house.kind != "lxc" else "podman"

    step, report = house.run(begun_with(SnapshotMade(image="i", sha256="0" * 64, kind=other), "true"))

    assert report.result == "passed"
    assert f"the snapshot is of the sandbox {other}" in step.console
    assert "\nSETTING UP\n" in step.console


def test_an_archive_that_holds_more_than_the_step_may_lay_out_is_not_used(house: House) -> None:
    if is_refused(house):
        return
    folder = house.home.parent / "forged"
    folder.mkdir(exist_ok=True)
    (folder / "passwd").write_text("x")
    packed = archives.pack([Root("/etc", folder, ())], folder / "packed", OWN)
    house.coordinator.blobs[packed.sha256] = bytearray(packed.path.read_bytes())

    step, report = house.run(begun_with(SnapshotMade(image="i", sha256=packed.sha256), "true"))

    assert report.result == "passed"
    assert "it holds /etc, which this step cannot lay out" in step.console
    assert "\nSETTING UP\n" in step.console


# --- images that podman has saved ----------------------------------------------------------------


def saved(tmp_path: Path, manifest: object) -> Path:
    path = tmp_path / "image.tar"
    content = json.dumps(manifest).encode()
    with tarfile.open(path, "w") as tar:
        info = tarfile.TarInfo("manifest.json")
        info.size = len(content)
        tar.addfile(info, io.BytesIO(content))
    return path


def test_an_image_without_a_name_is_known_by_its_number(tmp_path: Path) -> None:
    path = saved(tmp_path, [{"Config": f"{'a' * 64}.json", "RepoTags": []}])

    assert containers.identity_of(path) == "a" * 64


@pytest.mark.parametrize(
    "manifest",
    [
        [{"Config": f"{'a' * 64}.json", "RepoTags": ["docker.io/library/debian:12"]}],
        [{"Config": f"{'a' * 64}.json"}, {"Config": f"{'b' * 64}.json"}],
        [{"Config": "../../etc/passwd"}],
        [{"Config": "--all.json"}],
        [{}],
        [],
        ["x"],
        {"Config": "x"},
        None,
    ],
)
def test_an_image_that_could_take_the_place_of_another_is_not_loaded(
    tmp_path: Path, manifest: object
) -> None:
    with pytest.raises(BadArchive):
        containers.identity_of(saved(tmp_path, manifest))


def test_what_is_no_image_is_told(tmp_path: Path) -> None:
    (tmp_path / "image.tar").write_bytes(b"no image")

    with pytest.raises(BadArchive):
        containers.identity_of(tmp_path / "image.tar")
