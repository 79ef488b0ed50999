"""Control groups of both versions. Those of this machine are used; the other kind is a folder of files."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from changes.agent import cgroups
from changes.agent.cgroups import UNIFIED, Amounts, Group, Trees

HYBRID = """\
30 24 0:26 / /sys/fs/cgroup rw - tmpfs tmpfs rw,mode=755
31 30 0:27 / {root}/cpu rw,relatime - cgroup cgroup rw,cpu,cpuacct
32 30 0:28 / {root}/memory rw,relatime - cgroup cgroup rw,memory
33 30 0:29 / {root}/pids rw,relatime - cgroup cgroup rw,pids
34 30 0:30 / {root}/unified rw,relatime - cgroup2 cgroup2 rw
"""
NEW = "30 24 0:26 / {root} rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n"


@pytest.fixture
def trees() -> Iterator[Trees]:
    # What is swept is our own, whoever else runs these tests here.
    trees = cgroups.find(f"changes-test-{os.getpid()}")
    yield trees
    trees.leave()


def run_in(group: Group, *argv: str) -> subprocess.CompletedProcess[str]:
    joining = "; ".join(f"echo 0 > {path}" for path in group.joining)
    return subprocess.run(
        ["/bin/sh", "-c", f'{joining}; exec "$@"', "sh", *argv], capture_output=True, text=True, check=False
    )


def test_what_this_machine_can_limit_it_limits(trees: Trees) -> None:
    if "memory" not in trees.limits:
        assert trees.limits == [] or "pids" in trees.limits
        return
    group = trees.make("bounded", Amounts(memory_mb=50))

    ended = run_in(group, "python3", "-c", "x = bytearray(200 << 20)")

    assert ended.returncode == -9
    assert group.memory_kills() == 1
    assert (group.peak_memory_kb() or 0) > 10_000
    group.remove()


def test_a_group_is_killed_whole(trees: Trees) -> None:
    if not trees.limits:
        assert trees.limits == []
        return
    group = trees.make("killed", Amounts(pids=100))
    joining = "; ".join(f"echo 0 > {path}" for path in group.joining)
    with subprocess.Popen(
        ["/bin/sh", "-c", f"{joining}; setsid sleep 600 & setsid env -i sleep 600 & echo up; wait"],
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"up\n"

        assert group.kill()

    assert process.returncode == -9
    assert group.members() == set()
    group.remove()


def test_what_an_earlier_agent_left_is_swept(trees: Trees) -> None:
    if not trees.limits:
        assert trees.limits == []
        return
    group = trees.make("left", Amounts())

    trees.sweep()

    assert not any(folder.exists() for folder in group.folders.values())


def test_nothing_is_limited_where_nothing_may_be_written(tmp_path: Path) -> None:
    assert cgroups.find("changes", proc=tmp_path).limits == []


def a_proc(tmp_path: Path, mountinfo: str, own: str) -> tuple[Path, Path]:
    root, proc = tmp_path / "cgroup", tmp_path / "proc"
    (proc / "self").mkdir(parents=True)
    (proc / "self/mountinfo").write_text(mountinfo.format(root=root))
    (proc / "self/cgroup").write_text(own)
    return root, proc


def test_version_two_is_used_where_it_has_the_controllers(tmp_path: Path) -> None:
    root, proc = a_proc(tmp_path, NEW, "0::/machine/agent\n")
    own = root / "machine/agent"
    group = own / "changes/step"
    group.mkdir(parents=True)
    for folder in (root, own, own / "changes"):
        (folder / "cgroup.controllers").write_text("cpu memory pids io")
        (folder / "cgroup.subtree_control").write_text("cpu memory pids")
        (folder / "cgroup.procs").write_text("")
    for name in ("memory.max", "memory.swap.max", "memory.oom.group", "pids.max", "cpu.max"):
        (group / name).write_text("max")

    trees = cgroups.find("changes", proc)
    made = trees.make("step", Amounts(memory_mb=2, pids=3, cpus=0.5))

    assert trees.limits == ["memory", "pids", "cpu"]
    assert made.joining == [group / "cgroup.procs"]
    assert (group / "memory.max").read_text() == str(2 * 2**20)
    assert (group / "memory.swap.max").read_text() == "0"
    assert (group / "pids.max").read_text() == "3"
    assert (group / "cpu.max").read_text() == "50000 100000"


def test_what_version_two_counts_is_read(tmp_path: Path) -> None:
    group = Group({UNIFIED: tmp_path}, frozenset({"cpu", "memory", "pids"}))
    (tmp_path / "cpu.stat").write_text("usage_usec 2500000\nuser_usec 1\n")
    (tmp_path / "memory.peak").write_text("4096\n")
    (tmp_path / "memory.events").write_text("low 0\noom 3\noom_kill 2\n")

    assert (group.cpu_ms(), group.peak_memory_kb(), group.memory_kills()) == (2500, 4, 2)


def test_in_a_hybrid_each_controller_has_its_own_tree(tmp_path: Path) -> None:
    root, proc = a_proc(tmp_path, HYBRID, "3:memory:/a/b\n2:cpu,cpuacct:/\n1:pids:/\n0::/\n")
    folders = [root / "memory/a/b", root / "cpu", root / "pids", root / "unified"]
    for folder in folders:
        (folder / "changes").mkdir(parents=True)
        (folder / "changes/cgroup.procs").write_text("")
    (root / "unified/cgroup.controllers").write_text("hugetlb\n")
    (root / "unified/cgroup.subtree_control").write_text("")

    trees = cgroups.find("changes", proc)

    assert trees.v1 == {
        "cpu": root / "cpu/changes",
        "cpuacct": root / "cpu/changes",
        "memory": root / "memory/a/b/changes",
        "pids": root / "pids/changes",
    }
    assert trees.v2_controllers == ()
    assert trees.limits == ["memory", "pids", "cpu"]


def test_version_one_is_joined_by_one_thread_which_stops_nobody_else(tmp_path: Path) -> None:
    group = Group({"memory": tmp_path / "memory", "pids": tmp_path / "pids", UNIFIED: tmp_path}, frozenset())

    assert group.joining == [tmp_path / "cgroup.procs", tmp_path / "memory/tasks", tmp_path / "pids/tasks"]


def test_version_one_has_names_of_its_own() -> None:
    found = cgroups.settings(Amounts(memory_mb=1, pids=2, cpus=1.5), ())

    assert ("memory", "memory.limit_in_bytes", str(2**20)) in found
    assert ("pids", "pids.max", "2") in found
    assert ("cpu", "cpu.cfs_quota_us", "150000") in found


def test_no_limit_writes_nothing() -> None:
    assert cgroups.settings(Amounts(), ("memory", "pids", "cpu")) == []
