"""`.changes.yml`: plans that live in the repository, beside the code they build. Pure.

    plans:
      - name: fast tests
        commands:
          - make test-fast
          - {script: make lint, label: Lint}
        artifacts: [junit.xml]

      - name: release
        needs: [fast tests]
        steps:
          - {label: Build, commands: [make dist]}
          - {label: Check, commands: [make check-dist]}

What is said about the job as a whole has keys of its own (`JOB_KEYS`); everything else is the
data of its build step, or of each of its `steps`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import yaml

from changes.base import plain
from changes.base.errors import Invalid

FILE_NAME = ".changes.yml"
SIZE_MAX_BYTES = 256 * 1024
PLANS_MAX = 100
STEPS_MAX = 50
NODES_MAX = 20_000
NAME_MAX = 128
JOB_KEYS = ("needs", "optional", "group", "retry", "expect_tests", "cancel_superseded", "selective")
# Kept in place of a file that is too large to be kept; it is refused in the same words.
TOO_LARGE = "#" * (SIZE_MAX_BYTES + 1)

# The way to a value: names of keys, and positions from 0.
Way = tuple[str | int, ...]
Lines = Mapping[Way, int]


@dataclass(frozen=True)
class PlanConfig:
    """`said` is what it says about its job, `steps` the data of each of its steps."""

    name: str
    steps: list[dict[str, Any]]
    said: dict[str, Any] = field(default_factory=dict)
    lines: Lines = field(default_factory=dict, compare=False, repr=False)

    @property
    def data(self) -> dict[str, Any]:
        """Of all its steps together, for those who only look."""
        commands = [each.get("commands") for each in self.steps]
        together = [command for each in commands if isinstance(each, list) for command in each]
        return {**(self.steps[0] if self.steps else {}), "commands": together}

    def line_of(self, way: Way, step: int | None = None) -> int:
        """Of a value of the plan or of one of its steps; what is not there stands where it is missing."""
        ways = [("steps", step, *way), way] if step is not None else [way]
        for each in ways:
            if each in self.lines:
                return self.lines[each]
        nearest = (each[:length] for length in range(len(way) + 2, -1, -1) for each in ways)
        return next((self.lines[each] for each in nearest if each in self.lines), 1)


class Bounded(yaml.SafeLoader):
    """Safe, and without aliases and tags: nothing that is small on disk may grow large in memory,
    and nothing but plain values comes out.
    """

    def __init__(self, stream: str) -> None:
        super().__init__(stream)
        self.nodes = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        self.nodes += 1
        if self.check_event(yaml.events.AliasEvent):
            raise Invalid("aliases (*name) are not supported")
        if self.nodes > NODES_MAX:
            raise Invalid("the file has too many values")
        if getattr(self.peek_event(), "tag", None) not in (None, "!"):  # type: ignore[no-untyped-call]
            raise Invalid("tags (!name) are not supported")
        return super().compose_node(parent, index)


def read(text: str) -> list[PlanConfig]:
    """Raises Invalid with one sentence that says what is wrong and where."""
    if len(text.encode()) > SIZE_MAX_BYTES:
        raise Invalid(f"{FILE_NAME} is larger than {SIZE_MAX_BYTES // 1024} KiB.")
    data, lines = load(text)
    if not isinstance(data, dict) or not isinstance(data.get("plans"), list):
        raise Invalid(f'{FILE_NAME} needs a list "plans".')
    unknown = sorted(str(name) for name in set(data) - {"plans"})
    if unknown:
        line = lines.get((unknown[0],), 1)
        raise Invalid(f"{FILE_NAME} line {line} has unknown keys: {', '.join(unknown)}. Allowed: plans.")
    if len(data["plans"]) > PLANS_MAX:
        raise Invalid(f"{FILE_NAME} has more than {PLANS_MAX} plans.")
    of_plans = by_plan(lines)
    plans = [read_plan(place, plan, of_plans[place]) for place, plan in enumerate(data["plans"])]
    names = [plan.name for plan in plans]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise Invalid(f"{FILE_NAME} has several plans named {', '.join(twice)}.")
    return plans


def load(text: str) -> tuple[Any, Lines]:
    try:
        loader = Bounded(text)
        try:
            node = loader.get_single_node()
            data = None if node is None else loader.construct_document(node)
        finally:
            loader.dispose()
        problem = plain.problem(data)
        lines = {} if problem or node is None else lines_of(node)
    except (yaml.YAMLError, RecursionError, ValueError, Invalid) as error:
        # A ValueError comes from what looks like a number or a date and is none.
        raise Invalid(f"{FILE_NAME} cannot be read: {' '.join(str(error).split())}") from None
    if problem:
        raise Invalid(f"{FILE_NAME} cannot be used: {problem}.")
    return data, lines


def lines_of(node: yaml.Node) -> dict[Way, int]:
    """Where each value stands, by the way to it; a key's line is that of its name."""
    lines: dict[Way, int] = {}
    waiting: list[tuple[Way, yaml.Node]] = [((), node)]
    while waiting:
        way, each = waiting.pop()
        lines.setdefault(way, each.start_mark.line + 1)
        if isinstance(each, yaml.SequenceNode):
            waiting += [((*way, place), item) for place, item in enumerate(each.value)]
        elif isinstance(each, yaml.MappingNode):
            for key, value in each.value:
                lines[*way, key.value] = key.start_mark.line + 1
                waiting.append(((*way, key.value), value))
    return lines


def by_plan(lines: Lines) -> dict[str | int, dict[Way, int]]:
    found: dict[str | int, dict[Way, int]] = {}
    for way, line in lines.items():
        if way[:1] == ("plans",) and len(way) > 1:
            found.setdefault(way[1], {})[way[2:]] = line
    return found


def read_plan(place: int, plan: Any, lines: Lines) -> PlanConfig:
    where = f"{FILE_NAME} line {lines.get((), 1)}: plan {place + 1}"
    if not isinstance(plan, dict):
        raise Invalid(f"{where} must be a mapping with a name and commands.")
    name = plan.get("name")
    if not isinstance(name, str) or not name.strip():
        raise Invalid(f"{where} has no name.")
    said = {key: plan[key] for key in JOB_KEYS if key in plan}
    shared = {key: value for key, value in plan.items() if key not in {"name", "steps", *JOB_KEYS}}
    steps = steps_of(where, plan["steps"], shared) if "steps" in plan else [shared]
    return PlanConfig(name.strip()[:NAME_MAX], steps, said, lines)


def steps_of(where: str, steps: Any, shared: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What the plan says is for those steps that do not say it themselves; variables add up."""
    if not isinstance(steps, list) or not all(isinstance(each, dict) for each in steps):
        raise Invalid(f"{where}: steps must be a list of mappings with commands.")
    if len(steps) > STEPS_MAX:
        raise Invalid(f"{where} has more than {STEPS_MAX} steps.")
    if "commands" in shared:
        raise Invalid(f"{where} has commands and steps; put the commands into a step.")
    return [with_shared(each, shared) for each in steps]


def with_shared(step: Mapping[str, Any], shared: Mapping[str, Any]) -> dict[str, Any]:
    together = {**shared, **step}
    envs: Sequence[Any] = [each.get("env") for each in (shared, step)]
    if all(isinstance(env, dict) for env in envs):
        together["env"] = {**envs[0], **envs[1]}
    return together
