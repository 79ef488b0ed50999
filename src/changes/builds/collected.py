"""What a collecting command printed, read into the work of the next phase. Pure.

The shapes are those of the original; what it left unchecked is refused here with the place.
"""

import json
import math
import shlex
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from changes.base import plain
from changes.base.errors import Invalid
from changes.builds import complaints, recipes
from changes.builds.command_types import COLLECTORS
from changes.builds.complaints import Way, Wrong, WrongData
from changes.builds.rules import CommandType

OUTPUT_MAX_BYTES = 10 * 1024 * 1024
NAMES_MAX = 100_000
STEPS_MAX = 5_000
NAME_MAX = 2048
LABEL_MAX = 128
WEIGHT_MAX = 10**9
PHASES = {
    CommandType.COLLECT_STEPS: "Run commands",
    CommandType.COLLECT_TESTS: "Run tests",
    CommandType.COLLECT_BAZEL_TARGETS: "Run test targets",
}
PLACEHOLDERS = {
    CommandType.COLLECT_TESTS: "{test_names}",
    CommandType.COLLECT_BAZEL_TARGETS: "{target_names}",
}
SURROUNDINGS = ("path", "env", "artifacts", "label")
GENERATED_TYPES = tuple(kind for kind in CommandType if kind not in (*COLLECTORS, CommandType.SNAPSHOT))


@dataclass(frozen=True)
class Collected:
    """`commands` for a step each, or `names` to be shared out and put into the command `cmd`."""

    kind: CommandType
    phase: str
    commands: list[dict[str, Any]] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    cmd: str = ""
    surroundings: Mapping[str, Any] = field(default_factory=dict)
    artifact_search_path: str = ""
    # Of the names those that the change does not affect.
    unaffected: list[str] = field(default_factory=list)
    excluded: list[str] = field(default_factory=list)
    files_behind: Mapping[str, list[str]] = field(default_factory=dict)
    messages: list[str] = field(default_factory=list)

    def script_for(self, names: Collection[str]) -> str:
        """Each name is one word of the shell, whatever it contains."""
        return self.cmd.replace(PLACEHOLDERS[self.kind], " ".join(map(shlex.quote, names)))


def read(kind: CommandType, text: str) -> Collected:
    """Raises Invalid with the line or the place of what is wrong."""
    if len(text) > OUTPUT_MAX_BYTES or len(text.encode(errors="replace")) > OUTPUT_MAX_BYTES:
        raise Invalid(f"it is larger than {OUTPUT_MAX_BYTES // 1024**2} MiB")
    data = read_json(text)
    wrong = wrong_output(kind, data)
    if wrong:
        raise WrongData(wrong, "")
    phase = (data.get("phase") or PHASES[kind])[:LABEL_MAX]
    if kind == CommandType.COLLECT_STEPS:
        written = [recipes.written_out(command) for command in data["commands"]]
        return Collected(kind, phase, commands=written)
    return Collected(
        kind,
        phase,
        names=data["tests"] if kind == CommandType.COLLECT_TESTS else targets_to_run(data),
        cmd=data["cmd"],
        surroundings={name: data[name] for name in SURROUNDINGS if name in data},
        artifact_search_path=data.get("artifact_search_path") or "",
        unaffected=data["unaffected_targets"] if kind == CommandType.COLLECT_BAZEL_TARGETS else [],
        excluded=data.get("excluded_targets") or [],
        files_behind=data.get("dependency_map") or {},
        messages=data.get("messages") or [],
    )


def read_json(text: str) -> dict[str, Any]:
    try:
        data = json.loads(text)
    except json.JSONDecodeError as error:
        raise Invalid(f"it is not JSON: line {error.lineno}, column {error.colno}: {error.msg}") from None
    except (RecursionError, ValueError) as error:
        raise Invalid(f"it is not JSON: {error}") from None
    if not isinstance(data, dict):
        raise Invalid("it must be a JSON object")
    problem = plain.problem(data)
    if problem:
        raise Invalid(problem)
    return data


def wrong_output(kind: CommandType, data: Mapping[str, Any]) -> list[Wrong]:
    """Names beside those known are passed over, as the original did: collectors print more."""
    wrong = complaints.wrong_text(data, "phase")
    if kind == CommandType.COLLECT_STEPS:
        return wrong + wrong_commands(data.get("commands"))
    if kind == CommandType.COLLECT_TESTS:
        return wrong + wrong_cmd(kind, data) + wrong_names(data, "tests", may_be_empty=False)
    return wrong + wrong_cmd(kind, data) + wrong_targets(data)


def wrong_commands(commands: Any) -> list[Wrong]:
    if not isinstance(commands, list):
        return [Wrong(("commands",), "commands must be a list")]
    if len(commands) > STEPS_MAX:
        return [Wrong(("commands",), f"there are {len(commands)} commands; at most {STEPS_MAX} can be run")]
    wrong = []
    for place, command in enumerate(commands):
        written, way = recipes.written_out(command), ("commands", place)
        wrong += recipes.wrong_command(written, way, ("weight",), GENERATED_TYPES)
        if isinstance(written, dict):
            wrong += wrong_weight(written, way)
    return wrong


def wrong_weight(command: Mapping[str, Any], way: Way) -> list[Wrong]:
    weight = command.get("weight", 0)
    is_number = isinstance(weight, (int, float)) and not isinstance(weight, bool)
    if is_number and math.isfinite(weight) and 0 <= weight <= WEIGHT_MAX:
        return []
    return [Wrong((*way, "weight"), "weight must be a number that is not negative")]


def wrong_cmd(kind: CommandType, data: Mapping[str, Any]) -> list[Wrong]:
    wrong = recipes.wrong_surroundings(data) + complaints.wrong_text(data, "label")
    wrong += complaints.wrong_path(data, "artifact_search_path")
    cmd, placeholder = data.get("cmd"), PLACEHOLDERS[kind]
    if not isinstance(cmd, str) or not cmd.strip():
        return [*wrong, Wrong(("cmd",), "cmd is missing")]
    if placeholder not in cmd:
        return [*wrong, Wrong(("cmd",), f"cmd must contain {placeholder}")]
    return wrong


def wrong_names(data: Mapping[str, Any], field_name: str, *, may_be_empty: bool) -> list[Wrong]:
    names = data.get(field_name)
    if not isinstance(names, list):
        return [Wrong((field_name,), f"{field_name} must be a list of names")]
    if not names and not may_be_empty:
        return [Wrong((field_name,), f"{field_name} is empty: nothing was collected")]
    if len(names) > NAMES_MAX:
        text = f"there are {len(names)} {field_name}; at most {NAMES_MAX} can be run"
        return [Wrong((field_name,), text)]
    for place, name in enumerate(names):
        if not isinstance(name, str) or not name.strip() or len(name) > NAME_MAX:
            text = f"must be a name of at most {NAME_MAX} characters"
            return [Wrong((field_name, place), text)]
    return wrong_twice(names, field_name)


def wrong_twice(names: list[str], field_name: str) -> list[Wrong]:
    seen: set[str] = set()
    for place, name in enumerate(names):
        if name in seen:
            return [Wrong((field_name, place), f"{name!r} is listed twice")]
        seen.add(name)
    return []


def wrong_targets(data: Mapping[str, Any]) -> list[Wrong]:
    wrong = [
        each
        for name in ("affected_targets", "unaffected_targets")
        for each in wrong_names(data, name, may_be_empty=True)
    ]
    if data.get("excluded_targets") is not None:
        wrong += wrong_names(data, "excluded_targets", may_be_empty=True)
    if data.get("messages") is not None:
        wrong += complaints.wrong_texts(data, "messages", "texts")
    behind = data.get("dependency_map") or {}
    if not isinstance(behind, dict) or not all(is_list_of_texts(files) for files in behind.values()):
        wrong.append(Wrong(("dependency_map",), "dependency_map must map targets to lists of files"))
    return wrong or wrong_twice(targets_to_run(data), "affected_targets")


def is_list_of_texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(each, str) for each in value)


def targets_to_run(data: Mapping[str, Any]) -> list[str]:
    """All of them: which are affected matters only where results are taken over (selective.py)."""
    return [*data["affected_targets"], *data["unaffected_targets"]]
