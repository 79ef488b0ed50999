"""podman and LXC: what they are asked for, and, in the long suite, the real ones."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.agent.contained import IMAGES, a_house_of_containers
from tests.agent.housed import House, refused_here
from tests.agent.running import a_step

from changes.agent.accounts import Account
from changes.agent.commands import BASE_ENVIRONMENT
from changes.agent.sandboxes import lxc, podman
from changes.agent.sandboxes.role import Ground, Start
from changes.agent.spool import StepFolder
from changes.protocol import Limits

IMAGE = IMAGES["podman"]


def a_ground(folder: Path, **more: object) -> Ground:
    account = Account("steps", 1234, 1235)
    return Ground(StepFolder(folder), "mark", account, folder / "pipe", **{"image": IMAGE, **more})  # type: ignore[arg-type]


def test_a_container_gets_no_privileges_and_its_limits(tmp_path: Path) -> None:
    limits = Limits(memory_mb=100, pids=50, cpus=1.5)

    line = " ".join(podman.run_line("box", a_ground(tmp_path, limits=limits, has_network=False)))

    for words in (
        "--cap-drop all",
        "--security-opt no-new-privileges",
        "--user 1234:1235",
        "--network none",
        "--memory 100m",
        "--pids-limit 50",
        "--cpus 1.5",
        f"--volume {tmp_path}/work:{tmp_path}/work:rw",
        f"--volume {tmp_path}/scripts:{tmp_path}/scripts:ro",
        f"-- {IMAGE} /bin/sh",
    ):
        assert words in line


@pytest.mark.parametrize("image", ["", "-v /:/host", "--privileged", "a b", "a\nb", "x" * 300])
def test_what_is_no_name_of_an_image_never_reaches_podman(tmp_path: Path, image: str) -> None:
    with pytest.raises(podman.NoContainer):
        podman.run_line("box", a_ground(tmp_path, image=image))


def test_no_value_of_a_variable_is_an_argument(tmp_path: Path) -> None:
    start = Start(["true"], tmp_path, {"TOKEN": "swordfish"}, tmp_path, tmp_path)

    assert "swordfish" not in " ".join(podman.exec_line("box", start))
    assert "swordfish" not in " ".join(lxc.attach_line(tmp_path, "box", a_ground(tmp_path), start))


@pytest.mark.parametrize(("path", "is_said"), [(BASE_ENVIRONMENT["PATH"], False), ("/opt/go/bin:/bin", True)])
def test_programs_are_looked_for_where_the_image_has_them_unless_the_plan_says_otherwise(
    tmp_path: Path, path: str, *, is_said: bool
) -> None:
    line = podman.exec_line("box", Start(["true"], tmp_path, {"PATH": path}, tmp_path, tmp_path))

    assert (f"PATH={path}" in line) == is_said


@pytest.mark.parametrize("image", ["", "..", "../../etc", "no such", "missing"])
def test_an_image_of_lxc_is_a_container_of_this_machine(tmp_path: Path, image: str) -> None:
    with pytest.raises(lxc.NoContainer, match="There is no container"):
        lxc.config(a_ground(tmp_path, image=image), tmp_path, "box", tmp_path / "upper")


def test_lxc_writes_into_a_layer_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "base/rootfs").mkdir(parents=True)
    ground = a_ground(tmp_path / "st ep", image="base", has_network=False)

    text = lxc.config(ground, tmp_path, "box", tmp_path / "upper")

    assert f"lxc.rootfs.path = overlayfs:{tmp_path}/base/rootfs:{tmp_path}/upper\n" in text
    assert "lxc.net.0.type = empty\n" in text
    assert "/st\\040ep/work" in text


def test_each_version_of_control_groups_has_names_of_its_own_in_lxc(tmp_path: Path) -> None:
    ground = a_ground(tmp_path, limits=Limits(memory_mb=1, pids=2, cpus=0.5))

    assert lxc.limits(ground, is_v2=False) == [
        "lxc.cgroup.memory.limit_in_bytes = 1048576",
        "lxc.cgroup.pids.max = 2",
        "lxc.cgroup.cpu.cfs_quota_us = 50000",
    ]
    assert lxc.limits(ground, is_v2=True) == [
        "lxc.cgroup2.memory.max = 1048576",
        "lxc.cgroup2.pids.max = 2",
        "lxc.cgroup2.cpu.max = 50000 100000",
    ]


@pytest.fixture(scope="module", params=["podman", "lxc"])
def house(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with a_house_of_containers(request.param, tmp_path_factory.mktemp("containers")) as house:
        yield house


@pytest.mark.long
def test_a_real_container_runs_the_commands_of_a_step(house: House) -> None:
    script = "id -u; echo $TOKEN; echo kept > file; sleep 600 &"
    offer = a_step(script, "cat file; exit 3", secrets={"TOKEN": "swordfish-1"}, network=False)

    step, report = house.run(offer)

    if not house.works:
        assert refused_here(report)
        return
    assert [each.return_code for each in report.commands] == [0, 3], step.console
    assert f"\n{house.housing.account.uid}\n***\n" in step.console
    assert "\nkept\n" in step.console


@pytest.mark.long
def test_a_real_container_ends_with_its_time(house: House) -> None:
    _, report = house.run(a_step("sleep 600", timeout_s=3.0))

    if not house.works:
        assert refused_here(report)
        return
    assert (report.result, report.reason) == ("failed", "timeout")
