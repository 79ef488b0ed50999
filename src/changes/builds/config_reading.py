"""What a text of `.changes.yml` means: everything that is wrong with it, and what would run. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from changes.base.errors import Invalid
from changes.builds import needs, recipes, terms, triggers_rules
from changes.builds.complaints import Wrong, WrongData
from changes.builds.recipes import DEFAULT_IMPLEMENTATION
from changes.builds.terms import Terms
from changes.builds.triggers_rules import Occasion, Verdict
from changes.projects import config
from changes.projects.config import FILE_NAME, PlanConfig


@dataclass(frozen=True)
class PlanRead:
    """`problems` are sentences with line and column; a plan that has some cannot be run."""

    name: str
    terms: Terms = field(default_factory=Terms)
    commands: list[list[str]] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    # Why it would be run for something, or not; None where nobody asked.
    verdict: Verdict | None = None


@dataclass(frozen=True)
class FileRead:
    plans: list[PlanRead] = field(default_factory=list)
    # Of the file as a whole; then there are no plans.
    problem: str = ""

    @property
    def problems(self) -> list[str]:
        return [self.problem] if self.problem else [each for plan in self.plans for each in plan.problems]


def read(text: str) -> FileRead:
    try:
        plans = config.read(text)
    except Invalid as error:
        return FileRead(problem=error.message)
    found = [read_plan(each) for each in plans]
    known = {each.name: each.terms.needs for each in found}
    circles = needs.problems(known)
    return FileRead([with_needs(each, plan, circles) for each, plan in zip(found, plans, strict=True)])


def read_plan(plan: PlanConfig) -> PlanRead:
    wrong = terms.wrong_keys(plan.said)
    problems = located(plan, wrong, None)
    commands = []
    for place, data in enumerate(plan.steps):
        try:
            recipe = recipes.read(DEFAULT_IMPLEMENTATION, data)
        except WrongData as error:
            is_listed = len(plan.steps) > 1 or ("steps",) in plan.lines
            problems += located(plan, error.wrong, place if is_listed else None)
        except Invalid as error:
            problems.append(f"{FILE_NAME} {plan.place_of(())}: {error.message}")
        else:
            commands.append([each.label for _, each in recipe.commands_to_run])
    if not problems and not any(commands):
        problems.append(f"{FILE_NAME} {plan.place_of(())}: the plan {plan.name} has no commands")
    said = Terms() if wrong else terms.of_keys(plan.said)
    return PlanRead(plan.name, said, commands, problems)


def located(plan: PlanConfig, wrong: Sequence[Wrong], step: int | None) -> list[str]:
    return [f"{FILE_NAME} {plan.place_of(each.way, step)}: {each.sentence}" for each in wrong]


def with_needs(read: PlanRead, plan: PlanConfig, circles: Mapping[str, str]) -> PlanRead:
    problem = circles.get(read.name)
    if problem is None:
        return read
    return replace(read, problems=[*read.problems, *located(plan, [Wrong(("needs",), problem)], None)])


def explained(file: FileRead, what: Occasion) -> FileRead:
    """With the word of each plan on something that happens."""
    wishes = {each.name: each.terms.wishes for each in file.plans}
    wanted = {each.name: each.terms.needs for each in file.plans}
    verdicts = triggers_rules.decide_plans(wishes, wanted, what)
    return replace(file, plans=[replace(each, verdict=verdicts[each.name]) for each in file.plans])


# --- before and after ------------------------------------------------------------------------


@dataclass(frozen=True)
class Preview:
    """What a change of the file does to the jobs of a build. A problem is that of the new file."""

    added: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    problem: str = ""

    @property
    def is_empty(self) -> bool:
        return not (self.added or self.removed or self.changed or self.problem)


def preview(before: str, after: str) -> Preview:
    """A file that was wrong before had no jobs."""
    try:
        old = contents(before)
    except Invalid:
        old = {}
    try:
        new = contents(after)
    except Invalid as error:
        return Preview(removed=sorted(old), problem=error.message)
    return Preview(
        added=[name for name in new if name not in old],
        removed=[name for name in old if name not in new],
        changed=[name for name, each in new.items() if name in old and old[name] != each],
    )


def contents(text: str) -> dict[str, Any]:
    if not text.strip():
        return {}
    return {each.name: (each.steps, each.said) for each in config.read(text)}
