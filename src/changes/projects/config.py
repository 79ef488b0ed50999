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
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from typing import Any, NamedTuple

import yaml

from changes.base import plain
from changes.base.errors import Invalid
from changes.projects import config_matrix, config_words

FILE_NAME = ".changes.yml"
SIZE_MAX_BYTES = 256 * 1024
PLANS_MAX = 100
STEPS_MAX = 50
NODES_MAX = 20_000
NAME_MAX = 128
JOB_KEYS = (
    "needs", "optional", "group", "retry", "expect_tests", "cancel_superseded", "selective", "second_look",
    "vanished_tests", "coverage",
    "triggers", "parameters", "owners", "log_errors",
)  # fmt: skip
FILE_KEYS = ("plans", "result")
RESULTS = ("all", "any", "required-only")
# Kept in place of a file that is too large to be kept; it is refused in the same words.
TOO_LARGE = "#" * (SIZE_MAX_BYTES + 1)

# The way to a value: names of keys, and positions from 0.
Way = tuple[str | int, ...]


class Place(NamedTuple):
    """Both count from 1."""

    line: int
    column: int

    def __str__(self) -> str:
        return f"line {self.line}, column {self.column}"


Lines = Mapping[Way, Place]
TOP = Place(1, 1)


@dataclass(frozen=True)
class PlanConfig:
    """`said` is what it says about its job, `steps` the data of each of its steps."""

    name: str
    steps: list[dict[str, Any]]
    said: dict[str, Any] = field(default_factory=dict)
    lines: Lines = field(default_factory=dict, compare=False, repr=False)
    # What it was called before its matrix made several of it.
    of_matrix: str = field(default="", compare=False)

    @property
    def data(self) -> dict[str, Any]:
        """Of all its steps together, for those who only look."""
        commands = [each.get("commands") for each in self.steps]
        together = [command for each in commands if isinstance(each, list) for command in each]
        return {**(self.steps[0] if self.steps else {}), "commands": together}

    def place_of(self, way: Way, step: int | None = None) -> Place:
        """Of a value of the plan or of one of its steps; what is not there stands where it is missing."""
        ways = [("steps", step, *way), way] if step is not None else [way]
        for each in ways:
            if each in self.lines:
                return self.lines[each]
        nearest = (each[:length] for length in range(len(way) + 2, -1, -1) for each in ways)
        return next((self.lines[each] for each in nearest if each in self.lines), TOP)


class Bounded(yaml.SafeLoader):
    """Safe, and without aliases and tags: nothing that is small on disk may grow large in memory,
    and nothing but plain values comes out.
    """

    def __init__(self, stream: str) -> None:
        super().__init__(stream)
        self.nodes = 0
        self.depth = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        self.nodes += 1
        if problem := self.problem():
            raise Invalid(config_words.at(self.peek_event().start_mark, problem))  # type: ignore[no-untyped-call]
        self.depth += 1
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node

    def problem(self) -> str:
        if self.check_event(yaml.events.AliasEvent):
            return "aliases (*name) are not supported"
        if self.nodes > NODES_MAX:
            return "the file has too many values"
        if getattr(self.peek_event(), "tag", None) not in (None, "!"):  # type: ignore[no-untyped-call]
            return "tags (!name) are not supported"
        return config_words.TOO_DEEP if self.depth > plain.DEPTH_MAX else ""

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:  # noqa: FBT001, FBT002 -- of PyYAML
        try:
            return super().construct_object(node, deep)
        except ValueError as error:
            raise config_words.value_refused(node.start_mark, error) from None


@dataclass(frozen=True)
class FileConfig:
    """`result` says how its jobs are summed up; None leaves that to the project."""

    plans: list[PlanConfig]
    result: str | None = None


def read(text: str) -> list[PlanConfig]:
    """Raises Invalid with one sentence that says what is wrong and where."""
    return read_file(text).plans


def read_file(text: str) -> FileConfig:
    """The whole of it, in the same words when it is wrong."""
    if len(text.encode()) > SIZE_MAX_BYTES:
        raise Invalid(f"{FILE_NAME} is larger than {SIZE_MAX_BYTES // 1024} KiB.")
    data, lines = load(text)
    if not isinstance(data, dict) or not isinstance(data.get("plans"), list):
        raise Invalid(f'{FILE_NAME} {lines.get(("plans",), TOP)} needs a list "plans"{hint_of_plans(data)}')
    refuse_unknown_keys(data, lines)
    if "result" in data and data["result"] not in RESULTS:
        place = lines.get(("result",), TOP)
        raise Invalid(f"{FILE_NAME} {place}: result must be one of {', '.join(RESULTS)}.")
    if len(data["plans"]) > PLANS_MAX:
        raise Invalid(f"{FILE_NAME} has more than {PLANS_MAX} plans.")
    of_plans = by_plan(lines)
    made = (read_plan(place, plan, of_plans[place]) for place, plan in enumerate(data["plans"]))
    plans = [plan for each in made for plan in each]
    refuse_names(plans)
    return FileConfig([with_matrix_needs(plan, plans) for plan in plans], data.get("result"))


def hint_of_plans(data: Any) -> str:
    near = get_close_matches("plans", map(str, data), n=1) if isinstance(data, dict) else []
    if near and near != ["plans"]:
        return f", did you mean that by {near[0]!r}?"
    return ", such as: plans: [{name: tests, commands: [make test]}]"


def refuse_unknown_keys(data: Mapping[str, Any], lines: Lines) -> None:
    unknown = sorted(set(data) - set(FILE_KEYS))
    if not unknown:
        return
    near = get_close_matches(unknown[0], FILE_KEYS, n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    raise Invalid(
        f"{FILE_NAME} {lines.get((unknown[0],), TOP)} has unknown keys: {', '.join(unknown)}."
        f"{hint} Allowed: {', '.join(FILE_KEYS)}."
    )


def refuse_names(plans: Sequence[PlanConfig]) -> None:
    if len(plans) > PLANS_MAX:
        raise Invalid(f"{FILE_NAME} has more than {PLANS_MAX} plans, with those that its matrices make.")
    known: set[str] = set()
    for plan in plans:
        if plan.name in known:
            place = plan.place_of(("name",))
            raise Invalid(f"{FILE_NAME} {place}: there are several plans named {plan.name}.")
        known.add(plan.name)


def with_matrix_needs(plan: PlanConfig, plans: Sequence[PlanConfig]) -> PlanConfig:
    """Who needs a plan that has a matrix needs all that it makes."""
    needs = plan.said.get("needs")
    if not isinstance(needs, list):
        return plan
    found = [name for each in needs for name in made_of(each, plans)]
    return replace(plan, said={**plan.said, "needs": found})


def made_of(needed: Any, plans: Sequence[PlanConfig]) -> list[Any]:
    return [other.name for other in plans if needed and other.of_matrix == needed] or [needed]


def load(text: str, name: str = FILE_NAME) -> tuple[Any, Lines]:
    try:
        loader = Bounded(text)
        try:
            node = loader.get_single_node()
            data = None if node is None else loader.construct_document(node)
        finally:
            loader.dispose()
        problem = plain.problem(data)
        lines = {} if problem or node is None else lines_of(node)
    except (yaml.YAMLError, RecursionError, Invalid) as error:
        raise Invalid(f"{name} cannot be read: {config_words.told(error, text)}") from None
    if problem:
        raise Invalid(f"{name} cannot be used: {problem}.")
    return data, lines


def lines_of(node: yaml.Node) -> dict[Way, Place]:
    """Where each value stands, by the way to it; a key stands where its name does."""
    lines: dict[Way, Place] = {}
    waiting: list[tuple[Way, yaml.Node]] = [((), node)]
    while waiting:
        way, each = waiting.pop()
        lines.setdefault(way, place_at(each.start_mark))
        if isinstance(each, yaml.SequenceNode):
            waiting += [((*way, place), item) for place, item in enumerate(each.value)]
        elif isinstance(each, yaml.MappingNode):
            for key, value in each.value:
                if first := lines.get((*way, key.value)):
                    # The first would be left out without a word.
                    words = f"{str(key.value)[:80]!r} is here twice, first on line {first.line}"
                    raise Invalid(config_words.at(key.start_mark, words))
                lines[*way, key.value] = place_at(key.start_mark)
                waiting.append(((*way, key.value), value))
    return lines


def place_at(mark: yaml.Mark) -> Place:
    return Place(mark.line + 1, mark.column + 1)


def by_plan(lines: Lines) -> dict[str | int, dict[Way, Place]]:
    found: dict[str | int, dict[Way, Place]] = {}
    for way, line in lines.items():
        if way[:1] == ("plans",) and len(way) > 1:
            found.setdefault(way[1], {})[way[2:]] = line
    return found


def read_plan(place: int, plan: Any, lines: Lines) -> list[PlanConfig]:
    """Several where it has a matrix."""
    where = f"{FILE_NAME} {lines.get((), TOP)}: plan {place + 1}"
    if not isinstance(plan, dict):
        raise Invalid(f"{where} must be a mapping with a name and commands.")
    name = plan.get("name")
    if not isinstance(name, str) or not name.strip():
        raise Invalid(f"{where} has no name.")
    if "matrix" not in plan:
        return [one_plan(where, plan, lines)]
    try:
        made = config_matrix.expanded(plan)
    except Invalid as error:
        raise Invalid(f"{FILE_NAME} {lines.get(('matrix',), TOP)}: {error.message}") from None
    return [replace(one_plan(where, each, lines), of_matrix=name.strip()) for each in made]


def one_plan(where: str, plan: Mapping[str, Any], lines: Lines) -> PlanConfig:
    said = {key: plan[key] for key in JOB_KEYS if key in plan}
    shared = {key: value for key, value in plan.items() if key not in {"name", "steps", *JOB_KEYS}}
    steps = steps_of(where, plan["steps"], shared) if "steps" in plan else [shared]
    return PlanConfig(str(plan["name"]).strip()[:NAME_MAX], steps, said, lines)


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
