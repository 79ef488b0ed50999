"""What a plan's step does, read from its JSON once and trusted afterwards.

The names of the implementations and of their fields are those of the original; an agent
runs every one of ours the same way, the sandbox is chosen on the agent.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

from changes.base import plain
from changes.base.errors import Invalid
from changes.builds.rules import CommandType

DEFAULT_IMPLEMENTATION = "changes.buildsteps.default.DefaultBuildStep"
LXC_IMPLEMENTATION = "changes.buildsteps.lxc.LXCBuildStep"
IMPLEMENTATIONS = (DEFAULT_IMPLEMENTATION, LXC_IMPLEMENTATION)
SOURCE_FOLDER = "source"
LABEL_MAX = 128
TIMEOUT_MAX_MIN = 7 * 24 * 60
NUMBER_MAX = 2**31 - 1
BASE_ENV = {"CHANGES": "1"}
DEFAULT_ARTIFACTS = [
    "junit.xml", "*.junit.xml", "xunit.xml", "*.xunit.xml", "nosetests.xml", "*.nosetests.xml",
    "coverage.xml", "*.coverage.xml", "CHANGES_ANALYTICS.json", "*.CHANGES_ANALYTICS.json",
]  # fmt: skip
FIELDS = {
    "commands", "path", "repo_path", "env", "artifacts", "release", "max_executors", "cpus", "memory",
    "clean", "cluster", "timeout",
}  # fmt: skip
COMMAND_FIELDS = {"script", "path", "env", "artifacts", "label", "type"}


@dataclass(frozen=True)
class CommandRecipe:
    script: str
    label: str
    cwd: str
    env: Mapping[str, str]
    artifacts: list[str]
    type: CommandType


@dataclass(frozen=True)
class Recipe:
    commands: list[CommandRecipe]
    checkout_folder: str = SOURCE_FOLDER
    cluster: str | None = None
    timeout_min: int = 0
    data: Mapping[str, Any] = field(default_factory=dict)


def read(implementation: str, data: Any) -> Recipe:
    """Every field that is wrong is named, each in words of its own."""
    if implementation not in IMPLEMENTATIONS:
        raise Invalid(f"unable to load build step implementation: {implementation!r}", ["implementation"])
    if not isinstance(data, dict):
        raise Invalid("data must be a JSON mapping", ["data"])
    problem = plain.problem(data)
    if problem:
        raise Invalid(f"unable to create build step provided data: {problem}", ["data"])
    wrong = [f"unknown field {name!r}" for name in sorted(set(data) - FIELDS)]
    wrong += wrong_numbers(data) + wrong_texts(data, "cluster", "release") + wrong_paths(data, "repo_path")
    wrong += wrong_surroundings(data)
    commands = data.get("commands", [])
    if not isinstance(commands, list):
        wrong.append("commands must be a list")
        commands = []
    wrong += wrong_commands(commands)
    if wrong:
        raise Invalid("unable to create build step provided data: " + "; ".join(wrong), ["data"])
    return Recipe(
        commands=[read_command(written_out(command), data) for command in commands],
        checkout_folder=inside(data.get("repo_path") or SOURCE_FOLDER),
        cluster=data.get("cluster"),
        timeout_min=int(data.get("timeout", 0)),
        data={name: data[name] for name in ("release", "max_executors", "cpus", "memory") if name in data},
    )


def wrong_numbers(data: Mapping[str, Any]) -> list[str]:
    most = {"max_executors": NUMBER_MAX, "cpus": NUMBER_MAX, "memory": NUMBER_MAX, "timeout": TIMEOUT_MAX_MIN}
    return [
        f"{name} must be a whole number from 0 to {limit}"
        for name, limit in most.items()
        if name in data and not (type(data[name]) is int and 0 <= data[name] <= limit)
    ]


def wrong_texts(fields: Mapping[str, Any], *names: str) -> list[str]:
    return [f"{name} must be text" for name in names if not isinstance(fields.get(name), str | None)]


def wrong_paths(fields: Mapping[str, Any], name: str) -> list[str]:
    wrong = wrong_texts(fields, name)
    if wrong:
        return wrong
    try:
        inside(fields.get(name) or "")
    except Invalid as error:
        return [error.message]
    return []


def wrong_surroundings(fields: Mapping[str, Any]) -> list[str]:
    """What a step says for all its commands, and each command may say for itself."""
    wrong = wrong_paths(fields, "path")
    env = fields.get("env", {})
    if not isinstance(env, dict) or any(isinstance(value, (dict, list)) for value in env.values()):
        wrong.append("env must be a mapping of names to plain values")
    elif any(not name or "=" in name for name in env):
        wrong.append("env has a name that no variable can have")
    artifacts = fields.get("artifacts", [])
    if not isinstance(artifacts, list) or not all(isinstance(pattern, str) for pattern in artifacts):
        wrong.append("artifacts must be a list of patterns")
    return wrong


def wrong_commands(commands: list[Any]) -> list[str]:
    return [
        f"command {number}: {problem}"
        for number, command in enumerate(commands, start=1)
        for problem in problems_of(written_out(command))
    ]


def written_out(command: Any) -> Any:
    """The short form, a script alone, means the long one."""
    return {"script": command} if isinstance(command, str) else command


def problems_of(command: Any) -> list[str]:
    if not isinstance(command, dict):
        return ["must be a script or a mapping"]
    problems = [f"unknown field {name!r}" for name in sorted(set(command) - COMMAND_FIELDS)]
    if not isinstance(command.get("script"), str) or not command["script"].strip():
        problems.append("script is missing")
    problems += wrong_surroundings(command)
    if str(command.get("type", "default")).upper() not in CommandType.__members__:
        problems.append(f"type must be one of {', '.join(kind.name.lower() for kind in CommandType)}")
    return problems


def read_command(command: Mapping[str, Any], data: Mapping[str, Any]) -> CommandRecipe:
    script: str = command["script"]
    path = command.get("path", data.get("path")) or ""
    env = {**BASE_ENV, **data.get("env", {}), **command.get("env", {})}
    return CommandRecipe(
        script=script,
        label=str(command.get("label") or script.strip().split("\n", 1)[0])[:LABEL_MAX],
        cwd=inside(path),
        env={str(name): str(value) for name, value in env.items()},
        artifacts=list(command.get("artifacts", data.get("artifacts", DEFAULT_ARTIFACTS))),
        type=CommandType[str(command.get("type", "default")).upper()],
    )


def inside(path: str) -> str:
    """Paths are relative to the checkout and stay in it."""
    parts = PurePosixPath(path)
    if parts.is_absolute() or ".." in parts.parts:
        raise Invalid(f"path {path!r} must stay inside the checkout")
    return "" if str(parts) == "." else str(parts)
