"""podman: the commands of a step in a container of an image that its plan names.

The container lives as long as the step and sees the step's folders under their own paths. Where
there is runc it is taken: crun refuses to work while controllers of both versions are mounted.
"""

import os
import re
import secrets
import shutil
from dataclasses import replace
from pathlib import Path

from changes.agent.accounts import Account
from changes.agent.errors import AgentError
from changes.agent.logs import PIPES_FOLDER
from changes.agent.processes import Tree, kill_tree
from changes.agent.sandboxes import podman_images
from changes.agent.sandboxes.process import Client, quiet_run, start_child
from changes.agent.sandboxes.role import OWN_PATH, Ground, Running, Start

PROGRAM = "podman"
# Pulling an image may take its time.
START_WITHIN_S, STOP_WITHIN_S, PROBE_WITHIN_S = 600.0, 30.0, 10.0
IMAGE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/:@-]{0,254}")
# Of the environment of its client, which is not what commands get.
CLIENT_VARIABLES = ("HOME", "XDG_RUNTIME_DIR", "CONTAINERS_STORAGE_CONF", "CONTAINERS_REGISTRIES_CONF")
# What podman asks for by default may be more than this system gives.
SETTINGS = """\
[containers]
default_ulimits = ["nofile={files}:{files}", "nproc=32768:32768"]
[engine]
{runtime}
"""
FILES_MAX = 20_000
COMPLAINT_MAX_CHARS = 500


class NoContainer(AgentError):
    """The container could not be started; the words are podman's."""


class PodmanSandbox:
    kind = "podman"

    def __init__(self, ground: Ground) -> None:
        self._ground = ground
        self._name = f"changes-{ground.folder.step_id[:32].lower()}-{secrets.token_hex(4)}"
        self._env = client_environment(ground.home)
        self._is_up = False

    def start(self, start: Start) -> Running:
        if not self._is_up:
            self._bring_up()
        words = exec_line(self._name, start)
        # The values go by the environment of the client, since everybody can read its arguments. podman
        # itself must not be led by them, so what it looks at keeps the value it has for us.
        env = {**start.env, **self._env}
        return Client(start_child(words, as_agent(self._ground), start, env=env, cwd="/"))

    def _bring_up(self) -> None:
        done = quiet_run([PROGRAM, *run_line(self._name, self._ground)], START_WITHIN_S, env=self._env)
        if done is None or done.returncode:
            words = done.stderr.decode(errors="replace").strip() if done else "it took too long"
            raise NoContainer(f"podman could not start {self._ground.image}: {words[-COMPLAINT_MAX_CHARS:]}")
        self._is_up = True

    def stop(self) -> None:
        kill_tree(Tree(self._ground.mark))
        self._remove()

    def end(self, *, is_alone: bool) -> None:  # noqa: ARG002 - nobody can have left a container
        layer = self._ground.of_container
        if self._is_up and layer is not None and layer.is_kept:
            kill_tree(Tree(self._ground.mark))
            podman_images.keep(self._name, layer.upper, self._env)
        self._remove()

    def _remove(self) -> None:
        if self._is_up:
            quiet_run([PROGRAM, "rm", "--force", "--time", "0", self._name], STOP_WITHIN_S, env=self._env)
            self._is_up = False


def as_agent(ground: Ground) -> Ground:
    """The client runs as the agent and outside of the group: what it starts is held by the container."""
    return replace(ground, group=None, account=Account("", os.geteuid(), os.getegid()))


def run_line(name: str, ground: Ground) -> list[str]:
    """Raises NoContainer for what cannot be the name of an image."""
    if not IMAGE.fullmatch(ground.image):
        raise NoContainer(f"{ground.image[:80]!r} is no name of an image.")
    layer = ground.of_container
    image = layer.image if layer is not None and layer.image else ground.image
    limits, account = ground.limits, ground.account
    words = ["run", "--detach", "--rm", "--init", "--name", name, "--cap-drop", "all"]
    words += ["--security-opt", "no-new-privileges", "--user", f"{account.uid}:{account.gid}"]
    words += [] if account.uid == 0 or os.geteuid() == 0 else ["--userns", "keep-id"]
    words += [] if ground.has_network else ["--network", "none"]
    words += ["--memory", f"{limits.memory_mb}m"] if limits.memory_mb else []
    words += ["--pids-limit", str(limits.pids)] if limits.pids else []
    words += ["--cpus", f"{limits.cpus:g}"] if limits.cpus else []
    shown = [*((path, "ro") for path in ground.readable if path.exists()), (ground.folder.scripts, "ro")]
    shown += [(ground.folder.path / PIPES_FOLDER, "rw"), *((path, "rw") for path in ground.writable)]
    for path, how in shown:
        words += ["--volume", f"{path}:{path}:{how}"]
    return [*words, "--entrypoint", "", "--", image, "/bin/sh", "-c", "while :; do sleep 3600; done"]


def exec_line(name: str, start: Start) -> list[str]:
    words = [PROGRAM, "exec", "--workdir", str(start.folder)]
    for variable, value in start.env.items():
        # The image knows better where its programs are, unless the plan says it.
        if variable == "PATH" and value == OWN_PATH:
            continue
        shown = f"{variable}={value}" if variable in ("PATH", *CLIENT_VARIABLES) else variable
        words += ["--env", shown]
    return [*words, name, *start.argv]


def client_environment(home: Path) -> dict[str, str]:
    env = {name: os.environ[name] for name in CLIENT_VARIABLES if name in os.environ}
    return {"PATH": OWN_PATH, **env, "CONTAINERS_CONF": str(home / "containers.conf")}


def write_settings(home: Path) -> None:
    runtime = 'runtime = "runc"' if shutil.which("runc", path=OWN_PATH) else ""
    files = min(FILES_MAX, os.sysconf("SC_OPEN_MAX"))
    (home / "containers.conf").write_text(SETTINGS.format(files=files, runtime=runtime))


def works() -> bool:
    """That it is there. Whether an image runs is seen with the first one: looking costs half a second."""
    return shutil.which(PROGRAM, path=OWN_PATH) is not None
