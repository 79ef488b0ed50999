"""What an agent of the original is told: how it is started, and what it is to run. Pure."""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from changes.builds.offers import EXPECTED_SNAPSHOT
from changes.builds.original import scripts
from changes.builds.original.scripts import Surroundings
from changes.protocol import CommandOffer, StepOffer

BASH = f"#!/bin/bash -eu\n{scripts.OWN_HOME}"
# As for agents of ours: nothing of the machine's own environment is passed on.
BASE_ENVIRONMENT = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "LANG": "C.UTF-8",
    "TERM": "dumb",
    "CI": "true",
}
DEFAULT_CPUS, DEFAULT_MEMORY_MB = 4, 8192
LXC, BASIC = "lxc", "basic"


@dataclass(frozen=True)
class Start:
    """For the command line of an agent."""

    program: str
    address: str
    adapter: str = BASIC


def command_line(start: Start, offer: StepOffer, data: Mapping[str, Any]) -> str:
    """For a shell. Flags that the public agent does not know would end it at once, so there are none."""
    flags = {
        "server": f"{start.address}/api/0/",
        "jobstep_id": offer.id,
        "adapter": start.adapter,
        # Without a slash at the end; the agent adds one.
        "artifacts-server": f"{start.address}/store",
        "artifact-search-path": scripts.folder(offer),
        "use-external-env": "false",
    }
    if data.get(EXPECTED_SNAPSHOT):
        # Only with this it makes the image that it is told of.
        flags["save-snapshot"] = UUID(data[EXPECTED_SNAPSHOT]).hex
    if start.adapter == LXC:
        limits = {"release": data.get("release"), "cpus": data.get("cpus"), "memory": data.get("memory")}
        flags |= {name: str(value) for name, value in limits.items() if value}
    return shlex.join([start.program, *(f"-{name}={value}" for name, value in flags.items())])


def resources(data: Mapping[str, Any]) -> dict[str, int]:
    """What a scheduler sets aside, by its names."""
    return {"cpus": data.get("cpus") or DEFAULT_CPUS, "mem": data.get("memory") or DEFAULT_MEMORY_MB}


def limits(data: Mapping[str, Any]) -> dict[str, int]:
    """What the agent holds the step to; empty where the plan says nothing."""
    return {name: data[name] for name in ("cpus", "memory") if data.get(name)}


def commands(about: Surroundings) -> list[dict[str, Any]]:
    own = [in_checkout(each, about.offer) for each in about.offer.commands]
    return [shaped(each) for each in (*scripts.setups(about), *own)]


def in_checkout(command: CommandOffer, offer: StepOffer) -> CommandOffer:
    folder = scripts.folder(offer)
    return CommandOffer(
        id=command.id,
        name=command.name,
        # It is executed as it is, so it says itself what reads it.
        script=command.script if command.script.startswith("#!") else BASH + command.script,
        cwd=f"{folder}/{command.cwd}" if command.cwd else folder,
        env={**BASE_ENVIRONMENT, **offer.env, **command.env},
        artifacts=command.artifacts,
        type=command.type,
        captures_output=command.captures_output,
    )


def shaped(command: CommandOffer) -> dict[str, Any]:
    return {
        "id": command.id,
        "name": command.name,
        "script": command.script,
        "env": command.env or BASE_ENVIRONMENT,
        "cwd": command.cwd,
        "artifacts": command.artifacts,
        "captureOutput": command.captures_output,
        "type": {"id": command.type, "name": f"CommandType.{command.type}"},
    }


def adapter_of(frozen: Mapping[str, Any], data: Mapping[str, Any]) -> str:
    """By the implementation that the plan's step had when the job was made."""
    steps: Sequence[Mapping[str, Any]] = frozen.get("snapshot", {}).get("steps", [])
    place = data.get("plan_step", 0)
    name = steps[place].get("implementation", "") if 0 <= place < len(steps) else ""
    return LXC if str(name).endswith(".LXCBuildStep") else BASIC
