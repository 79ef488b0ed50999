"""`.changes.yml`: plans that live in the repository, beside the code they build. Pure.

    plans:
      - name: fast tests
        commands:
          - make test-fast
          - {script: make lint, label: Lint}
        artifacts: [junit.xml]

Everything in a plan but its name is the data of one build step.
"""

from dataclasses import dataclass
from typing import Any

import yaml

from changes.base import plain
from changes.base.errors import Invalid

FILE_NAME = ".changes.yml"
SIZE_MAX_BYTES = 256 * 1024
PLANS_MAX = 100
NODES_MAX = 20_000
# Kept in place of a file that is too large to be kept; it is refused in the same words.
TOO_LARGE = "#" * (SIZE_MAX_BYTES + 1)


@dataclass(frozen=True)
class PlanConfig:
    name: str
    data: dict[str, Any]


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
    try:
        data = yaml.load(text, Loader=Bounded)  # noqa: S506 - a safe loader with bounds
    except (yaml.YAMLError, RecursionError, ValueError, Invalid) as error:
        # A ValueError comes from what looks like a number or a date and is none.
        raise Invalid(f"{FILE_NAME} cannot be read: {' '.join(str(error).split())}") from None
    problem = plain.problem(data)
    if problem:
        raise Invalid(f"{FILE_NAME} cannot be used: {problem}.")
    if not isinstance(data, dict) or not isinstance(data.get("plans"), list):
        raise Invalid(f'{FILE_NAME} needs a list "plans".')
    unknown = sorted(str(name) for name in set(data) - {"plans"})
    if unknown:
        raise Invalid(f"{FILE_NAME} has unknown keys: {', '.join(unknown)}.")
    if len(data["plans"]) > PLANS_MAX:
        raise Invalid(f"{FILE_NAME} has more than {PLANS_MAX} plans.")
    plans = [read_plan(number, plan) for number, plan in enumerate(data["plans"], start=1)]
    names = [plan.name for plan in plans]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise Invalid(f"{FILE_NAME} has several plans named {', '.join(twice)}.")
    return plans


def read_plan(number: int, plan: Any) -> PlanConfig:
    if not isinstance(plan, dict):
        raise Invalid(f"{FILE_NAME}: plan {number} must be a mapping with a name and commands.")
    name = plan.get("name")
    if not isinstance(name, str) or not name.strip():
        raise Invalid(f"{FILE_NAME}: plan {number} has no name.")
    return PlanConfig(
        name=name.strip()[:128], data={key: value for key, value in plan.items() if key != "name"}
    )
