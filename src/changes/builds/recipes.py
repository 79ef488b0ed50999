"""What a plan's step does, read from its JSON once and trusted afterwards.

The names of the fields are those of the original. `implementations.py` says which classes of
build steps there are; an agent runs every one of ours the same way, the sandbox is chosen on
the agent.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from changes.base import plain
from changes.base.errors import Invalid
from changes.builds import command_types, complaints, housing, implementations, keeping_said
from changes.builds.complaints import Way, Wrong, WrongData, inside
from changes.builds.implementations import (
    COMMAND_FIELDS,
    DEFAULT_ARTIFACTS,
    TIMEOUT_MAX_MIN,
    Implementation,
)
from changes.builds.other_repos import OtherRepo, read_others, wrong_others
from changes.builds.rules import CommandType

__all__ = [
    "COMMAND_FIELDS",
    "DEFAULT_ARTIFACTS",
    "DEFAULT_IMPLEMENTATION",
    "TIMEOUT_MAX_MIN",
    "CommandRecipe",
    "Recipe",
    "inside",
    "read",
]

DEFAULT_IMPLEMENTATION = implementations.DEFAULT
LXC_IMPLEMENTATION = implementations.LXC
IMPLEMENTATIONS = tuple(implementations.BY_NAME)
# Those of which the data says what agents of ours do.
OURS = (DEFAULT_IMPLEMENTATION, LXC_IMPLEMENTATION)
SOURCE_FOLDER = "source"
LABEL_MAX = 128
BASE_ENV = {"CHANGES": "1"}
FIELDS = set(implementations.BY_NAME[DEFAULT_IMPLEMENTATION].names)
# Kept beside the step: for the agent's environment, for who hands steps out, for those who ask.
KEPT = (
    "release", "max_executors", "cpus", "memory", "labels", "artifact_search_path", "test_stats_from",
    "step_token", "depth", "sparse", "reports", "submodules", "lfs", *housing.KEPT,
    *keeping_said.KEPT,
)  # fmt: skip
PREFIX = "unable to create build step provided data: "


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
    label: str = ""
    other_repos: list[OtherRepo] = field(default_factory=list)
    # What each generated command gets when the output of the collector does not say it.
    base: Mapping[str, Any] = field(default_factory=dict)
    data: Mapping[str, Any] = field(default_factory=dict)
    # The original's step for tests of itself: everything ends as aborted.
    is_dummy: bool = False

    @property
    def collector(self) -> CommandRecipe | None:
        """The command whose output names the steps of the next phase."""
        return next((each for each in self.commands if command_types.is_collector(each.type)), None)

    @property
    def commands_to_run(self) -> list[tuple[int, CommandRecipe]]:
        """With their places among all; those for other kinds of steps leave gaps."""
        is_wanted = (
            command_types.runs_in_collecting_step if self.collector else command_types.runs_in_plain_step
        )
        return [(place, each) for place, each in enumerate(self.commands) if is_wanted(each.type)]


def read(implementation: str, data: Any) -> Recipe:
    """Every field that is wrong is named, each in words of its own."""
    kind = implementations.named(implementation)
    if not isinstance(data, dict):
        raise Invalid("data must be a JSON mapping", ["data"])
    problem = plain.problem(data)
    if problem:
        raise Invalid(PREFIX + problem, ["data"])
    wrong = wrong_data(kind, data)
    if wrong:
        raise WrongData(wrong, PREFIX)
    if kind.is_dummy:
        return Recipe(commands=[], is_dummy=True)
    return Recipe(
        commands=[read_command(written_out(command), data) for command in data.get("commands", [])],
        checkout_folder=inside(data.get("repo_path") or SOURCE_FOLDER),
        cluster=data.get("cluster"),
        timeout_min=int(data.get("timeout", 0)),
        label=(data.get("label") or "").strip()[:LABEL_MAX],
        other_repos=read_others(data.get("other_repos") or []),
        base={name: data[name] for name in ("path", "env", "artifacts", "reports") if name in data},
        data=kept_of(kind, data),
    )


def kept_of(kind: Implementation, data: Mapping[str, Any]) -> dict[str, Any]:
    kept = {name: data[name] for name in KEPT if data.get(name) is not None}
    sandbox = housing.sandbox_of(data, is_lxc=kind.name == LXC_IMPLEMENTATION)
    return {**kept, "sandbox": sandbox} if sandbox else kept


def wrong_data(kind: Implementation, data: Mapping[str, Any]) -> list[Wrong]:
    wrong = complaints.unknown_names(data, kind.names)
    for each in kind.fields:
        wrong += each.wrong(data)
    wrong += housing.wrong_housing(data) + keeping_said.wrong_keeping(data)
    wrong += wrong_others(data.get("other_repos"), data.get("repo_path") or SOURCE_FOLDER)
    commands = data.get("commands", [])
    if not isinstance(commands, list):
        return [*wrong, Wrong(("commands",), "commands must be a list")]
    for place, command in enumerate(commands):
        wrong += wrong_command(written_out(command), ("commands", place))
    return wrong or wrong_together([read_command(written_out(each), data) for each in commands])


def wrong_together(commands: list[CommandRecipe]) -> list[Wrong]:
    """A step collects or works: what a collecting step would leave out, nobody shall wait for."""
    collectors = [each for each in commands if command_types.is_collector(each.type)]
    if not collectors:
        return []
    wrong = [
        Wrong(
            ("commands", place, "type"),
            f"a step that collects runs no command of type {each.type.name.lower()};"
            " put it into a step of its own",
        )
        for place, each in enumerate(commands)
        if each.type not in command_types.BESIDE_A_COLLECTOR
    ]
    if len(collectors) > 1:
        wrong.append(Wrong(("commands",), "a step has at most one command that collects"))
    return wrong


def written_out(command: Any) -> Any:
    """The short form, a script alone, means the long one."""
    return {"script": command} if isinstance(command, str) else command


def unquoted(command: Any) -> str:
    """In YAML `true` and `5` are no texts, though they would do as scripts."""
    if isinstance(command, (bool, int, float)):
        return f", and {str(command).lower()} is neither without quotes"
    return ""


def wrong_command(
    command: Any, way: Way, extra: tuple[str, ...] = (), types: tuple[CommandType, ...] = tuple(CommandType)
) -> list[Wrong]:
    if not isinstance(command, dict):
        return [Wrong(way, f"must be a script or a mapping{unquoted(command)}")]
    wrong = complaints.unknown_names(command, [*COMMAND_FIELDS, *extra], way)
    if not isinstance(command.get("script"), str) or not command["script"].strip():
        wrong.append(Wrong((*way, "script"), "script is missing"))
    wrong += wrong_surroundings(command, way) + complaints.wrong_text(command, "label", way)
    if command_types.named(command.get("type", "default")) not in types:
        names = ", ".join(kind.name.lower() for kind in types)
        wrong.append(Wrong((*way, "type"), f"type must be one of {names}"))
    return wrong


def wrong_surroundings(fields: Mapping[str, Any], way: Way = ()) -> list[Wrong]:
    """What a step says for all its commands, and each command may say for itself."""
    return [
        *complaints.wrong_path(fields, "path", way),
        *complaints.wrong_variables(fields, "env", way),
        *complaints.wrong_texts(fields, "artifacts", "patterns", way),
    ]


def read_command(command: Mapping[str, Any], data: Mapping[str, Any]) -> CommandRecipe:
    script: str = command["script"]
    path = command.get("path", data.get("path")) or ""
    env = {**BASE_ENV, **data.get("env", {}), **command.get("env", {})}
    kind = command_types.named(command.get("type", "default")) or CommandType.DEFAULT
    of_itself = [*DEFAULT_ARTIFACTS, *filter(None, [command_types.FILES.get(kind)])]
    return CommandRecipe(
        script=script,
        label=str(command.get("label") or script.strip().split("\n", 1)[0])[:LABEL_MAX],
        cwd=inside(path),
        env={str(name): as_text(value) for name, value in env.items()},
        artifacts=[
            *command.get("artifacts", data.get("artifacts", of_itself)),
            *data.get("reports", []),
        ],
        type=kind,
    )


def as_text(value: Any) -> str:
    """As the file says it, not as Python does."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else str(value)
