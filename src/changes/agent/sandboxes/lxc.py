"""LXC: the commands of a step in a container over a root file system that lies on this machine.

The `image` of a plan is the name of a container under the LXC folder of this machine, made for
instance by `lxc-create`. Steps never write to it: each gets a layer of its own above it, which goes
with the step. Only an agent that is root can do this.
"""

import os
import re
import secrets
import shutil
from pathlib import Path

from changes.agent.cgroups import MEGABYTE
from changes.agent.errors import AgentError
from changes.agent.logs import PIPES_FOLDER
from changes.agent.processes import Tree, kill_tree
from changes.agent.sandboxes.podman import as_agent
from changes.agent.sandboxes.process import Client, quiet_run, start_child
from changes.agent.sandboxes.role import OWN_PATH, Ground, Running, Start

PROGRAMS = ("lxc-start", "lxc-attach", "lxc-stop")
IMAGES = Path("/var/lib/lxc")
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
START_WITHIN_S, STOP_WITHIN_S = 60.0, 30.0
COMPLAINT_MAX_CHARS = 500
CPU_PERIOD_US = 100_000
HOST_NETWORK, NO_NETWORK = "none", "empty"


class NoContainer(AgentError):
    """The container could not be started; the words are those of LXC."""


class LxcSandbox:
    kind = "lxc"

    def __init__(self, ground: Ground, images: Path = IMAGES) -> None:
        self._ground = ground
        self._images = images
        self._folder = ground.folder.path / "lxc"
        self._name = f"changes-{secrets.token_hex(6)}"
        self._is_up = False

    def start(self, start: Start) -> Running:
        if not self._is_up:
            self._bring_up()
        words = attach_line(self._folder, self._name, self._ground, start)
        return Client(start_child(words, as_agent(self._ground), start, env=dict(start.env), cwd="/"))

    def _bring_up(self) -> None:
        container = self._folder / self._name
        layer = self._ground.of_container
        upper = self._folder / "upper" if layer is None else layer.upper
        for folder in (container, upper):
            folder.mkdir(parents=True, exist_ok=True)
        text = config(self._ground, self._images, self._name, upper)
        (container / "config").write_text(text)
        done = quiet_run(start_line(self._folder, self._name), START_WITHIN_S, env={"PATH": OWN_PATH})
        if done is None or done.returncode:
            words = done.stderr.decode(errors="replace").strip() if done else "it took too long"
            raise NoContainer(f"LXC could not start {self._ground.image}: {words[-COMPLAINT_MAX_CHARS:]}")
        self._is_up = True

    def stop(self) -> None:
        kill_tree(Tree(self._ground.mark))
        self._take_down()

    def end(self, *, is_alone: bool) -> None:  # noqa: ARG002 - nobody can have left a container
        self._take_down()

    def _take_down(self) -> None:
        if self._is_up:
            line = ["lxc-stop", "--lxcpath", str(self._folder), "--name", self._name, "--kill"]
            quiet_run(line, STOP_WITHIN_S, env={"PATH": OWN_PATH})
            shutil.rmtree(self._folder, ignore_errors=True)
            self._is_up = False


def config(ground: Ground, images: Path, name: str, upper: Path) -> str:
    """Raises NoContainer for an image that is none."""
    root = images / ground.image / "rootfs"
    if not NAME.fullmatch(ground.image) or not root.is_dir():
        raise NoContainer(f"There is no container {ground.image[:80]!r} under {images} on this machine.")
    layer = ground.of_container
    # What lies above comes first, but for the one that is written to.
    way = [*(layer.lowers if layer is not None else ()), root, upper]
    lines = [
        f"lxc.rootfs.path = overlayfs:{':'.join(map(str, way))}",
        f"lxc.uts.name = {name}",
        f"lxc.net.0.type = {HOST_NETWORK if ground.has_network else NO_NETWORK}",
        "lxc.mount.auto = proc:mixed sys:ro",
        "lxc.cap.drop = sys_admin sys_module sys_rawio sys_time mknod net_admin sys_ptrace",
    ]
    folders = [*ground.writable, ground.folder.path / PIPES_FOLDER]
    readable = [ground.folder.scripts, *(path for path in ground.readable if path.exists())]
    for path, how in [*((each, "rw") for each in folders), *((each, "ro") for each in readable)]:
        inside = str(path).lstrip("/").replace(" ", "\\040")
        outside = str(path).replace(" ", "\\040")
        lines.append(f"lxc.mount.entry = {outside} {inside} none bind,{how},create=dir 0 0")
    return "\n".join([*lines, *limits(ground), ""])


def limits(ground: Ground, *, is_v2: bool | None = None) -> list[str]:
    """Both versions have names of their own for the same things."""
    wanted = ground.limits
    is_new = Path("/sys/fs/cgroup/cgroup.controllers").exists() if is_v2 is None else is_v2
    if is_new:
        found = {"memory.max": wanted.memory_mb * MEGABYTE, "pids.max": wanted.pids}
        quota = f"{round(wanted.cpus * CPU_PERIOD_US)} {CPU_PERIOD_US}" if wanted.cpus else ""
        given = {**{name: str(value) for name, value in found.items() if value}}
        given |= {"cpu.max": quota} if quota else {}
        return [f"lxc.cgroup2.{name} = {value}" for name, value in given.items()]
    found = {
        "memory.limit_in_bytes": wanted.memory_mb * MEGABYTE,
        "pids.max": wanted.pids,
        "cpu.cfs_quota_us": round(wanted.cpus * CPU_PERIOD_US),
    }
    return [f"lxc.cgroup.{name} = {value}" for name, value in found.items() if value]


def start_line(folder: Path, name: str) -> list[str]:
    words = ["lxc-start", "--lxcpath", str(folder), "--name", name, "--daemon", "--"]
    return [*words, "/bin/sh", "-c", "trap 'exit 0' TERM; while :; do sleep 3600 & wait $!; done"]


def attach_line(folder: Path, name: str, ground: Ground, start: Start) -> list[str]:
    """The values go by the environment of the client: everybody on this machine can read arguments."""
    account = ground.account
    words = ["lxc-attach", "--lxcpath", str(folder), "--name", name, "--keep-env"]
    words += [] if account.uid == 0 else ["--uid", str(account.uid), "--gid", str(account.gid)]
    enter = 'cd "$0" || exit 126; exec "$@"'
    return [*words, "--", "/bin/sh", "-c", enter, str(start.folder), *start.argv]


def works() -> bool:
    return os.geteuid() == 0 and all(shutil.which(each, path=OWN_PATH) for each in PROGRAMS)
