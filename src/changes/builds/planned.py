"""The plans of a build as they are now; what follows works on these copies, never on the plans.

The project's own active plans come first, then those in the repository at this revision.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session

from changes.base.errors import Invalid
from changes.builds import coverage_gate, original_file, original_steps, recipes, second_look, terms
from changes.builds.complaints import Wrong, WrongData
from changes.builds.coverage_gate import CoverageGate
from changes.builds.implementations import TIMEOUT_MAX_MIN
from changes.builds.recipes import DEFAULT_IMPLEMENTATION, Recipe
from changes.builds.terms import Terms
from changes.projects import config, config_original, config_source, queries
from changes.projects.config import FILE_NAME, PlanConfig
from changes.projects.create import plan_in_repository
from changes.projects.models import Plan, Project, Source
from changes.projects.options import RESULT_RULE
from changes.projects.plan_options import AUTOGENERATE, TIMEOUT
from changes.vcs.errors import VcsError


@dataclass(frozen=True)
class ReadStep:
    """A step of the plan, understood; `limit_from` says who set its limit."""

    place: int
    recipe: Recipe
    limit_min: int
    limit_from: str

    def data_for(self, said: Terms, *, is_last: bool) -> dict[str, Any]:
        """What is kept beside the step: for agents, for who hands it out, for who reads its results."""
        recipe = self.recipe
        data = {
            **recipe.data,
            "checkout_folder": recipe.checkout_folder,
            "plan_step": self.place,
            "timeout_from": self.limit_from,
        }
        if "labels" in data:
            data["labels"] = {name: recipes.as_text(value) for name, value in data["labels"].items()}
        if recipe.other_repos:
            data["other_repos"] = [vars(each) for each in recipe.other_repos]
        if said.group:
            data["concurrency_group"] = said.group
        if said.second_look.times:
            data[second_look.TERMS] = said.second_look.frozen()
        # Of a step that collects, its shards are to report tests.
        if said.expects_tests and is_last and recipe.collector is None:
            data["expects_tests"] = True
        if said.coverage.asks:
            data[coverage_gate.IS_JUDGED] = True
        return data


@dataclass(frozen=True)
class PlannedJob:
    plan: Plan
    steps: list[dict[str, Any]]
    terms: Terms = field(default_factory=Terms)
    options: dict[str, str] = field(default_factory=dict)
    project_options: dict[str, str] = field(default_factory=dict)
    # Where it stands in its repository, for those who have to mend it there.
    written: PlanConfig | None = None
    problem: str = ""
    # What its job is called; empty is like the plan.
    title: str = ""
    # The image that the job begins with, and what is kept beside each of its steps.
    image_id: UUID | None = None
    beside: Mapping[str, Any] = field(default_factory=dict)

    def refused_for(self, problem: str) -> "PlannedJob":
        return replace(self, problem=self.located([Wrong(("needs",), problem)], None))

    def judged_by(self, gate: CoverageGate) -> "PlannedJob":
        return replace(self, terms=replace(self.terms, coverage=gate))

    def frozen(self) -> dict[str, Any]:
        return {
            "snapshot": {"steps": self.steps, "options": self.options},
            "project_options": self.project_options,
            "terms": self.terms.frozen(),
        }

    def read(self, *, default_min: int) -> list[ReadStep]:
        """Raises Invalid with everything that is wrong with one of its steps, and where."""
        if self.problem:
            raise Invalid(self.problem)
        return [self.read_step(place, step, default_min) for place, step in enumerate(self.steps)]

    def read_step(self, place: int, step: Mapping[str, Any], default_min: int) -> ReadStep:
        try:
            recipe = recipes.read(step["implementation"], step["data"])
        except WrongData as error:
            if self.written is None:
                raise
            raise Invalid(self.located(error.wrong, place)) from None
        limit_min, limit_from = self.limit(recipe, step, default_min)
        return ReadStep(place, recipe, limit_min, limit_from)

    def limit(self, recipe: Recipe, step: Mapping[str, Any], default_min: int) -> tuple[int, str]:
        """The recipe's own limit, else the step's option, else the plan's, else the server's default."""
        option_min = min(terms.number(step.get("options", {}).get(TIMEOUT)), TIMEOUT_MAX_MIN)
        known = (
            (recipe.timeout_min, "file" if self.written is not None else "data"),
            (option_min, "step"),
            (self.terms.timeout_min, "plan"),
        )
        return next((each for each in known if each[0]), (default_min, "server"))

    def located(self, wrong: list[Wrong], step: int | None) -> str:
        if self.written is None:
            return "; ".join(each.sentence for each in wrong)
        in_step = step if len(self.steps) > 1 or ("steps",) in self.written.lines else None
        return "; ".join(
            f"{FILE_NAME} {self.written.place_of(each.way, in_step)}: {each.sentence}" for each in wrong
        )


def jobs_of(session: Session, project: Project, source: Source) -> list[PlannedJob]:
    said = queries.plans_with_options(session, project)
    of_project = said.of_project
    stored = [from_rows(plan, said.of_items, of_project) for plan in said.plans]
    stored = [generated(session, project, source, each) for each in stored]
    text = config_source.with_patch(session, source.revision.config or "", source, FILE_NAME)
    if text.strip():
        file = config.read_file(text)
        if file.result is not None:
            of_project = {**of_project, RESULT_RULE: file.result}
            stored = [replace(each, project_options=of_project) for each in stored]
        stored += [from_file(session, project, each, of_project) for each in file.plans]
    removed = original_file.removed_files(session, project, source)
    stored = [judged(each, of_project) for each in stored]
    return [cleaned(each, removed) for each in stored] if removed else stored


def judged(job: PlannedJob, of_project: Mapping[str, str]) -> PlannedJob:
    """What a project asks of coverage, where the plan asks nothing itself."""
    usual = coverage_gate.of_options(of_project, is_of_project=True)
    return job if job.terms.coverage.asks or not usual.asks else job.judged_by(usual)


def generated(session: Session, project: Project, source: Source, job: PlannedJob) -> PlannedJob:
    """A plan that is made of `<slug>.yaml`: its own first step says no more than where that runs."""
    if job.options.get(AUTOGENERATE) != "1":
        return job
    try:
        said = config_original.read_bazel(original_file.text_of(session, project, source), project.slug)
    except (Invalid, VcsError) as error:
        return replace(job, problem=str(error))
    ours = (step["data"] for step in job.steps[:1] if step["implementation"] in recipes.OURS)
    data = original_steps.of_bazel(said, next(ours, {}))
    step = {"implementation": DEFAULT_IMPLEMENTATION, "data": data, "order": 0}
    is_selective = job.terms.is_selective or said.is_selective
    return replace(job, steps=[step], terms=replace(job.terms, is_selective=is_selective))


def cleaned(job: PlannedJob, removed: Sequence[str]) -> PlannedJob:
    """One that is wrong stays as it is written, so that what is complained about has its place."""
    try:
        recipes_read = [each.recipe for each in job.read(default_min=0)]
    except Invalid:
        return job
    pairs = zip(job.steps, recipes_read, strict=True)
    steps = [
        original_steps.with_removal(step, removed) if recipe.commands else step for step, recipe in pairs
    ]
    return replace(job, steps=steps)


def from_rows(
    plan: Plan, options: Mapping[UUID, dict[str, str]], project_options: dict[str, str]
) -> PlannedJob:
    steps = [
        {
            "id": step.id.hex,
            "implementation": step.implementation,
            "data": step.data,
            "order": step.order,
            "options": options[step.id],
        }
        for step in plan.steps
    ]
    said = terms.of_options(options[plan.id])
    return PlannedJob(plan, steps, said, options[plan.id], project_options)


def from_file(
    session: Session, project: Project, written: PlanConfig, project_options: dict[str, str]
) -> PlannedJob:
    steps = [
        {"implementation": DEFAULT_IMPLEMENTATION, "data": data, "order": order}
        for order, data in enumerate(written.steps)
    ]
    plan = plan_in_repository(session, project, written.name)
    job = PlannedJob(plan, steps, project_options=project_options, written=written)
    wrong = terms.wrong_keys(written.said)
    if wrong:
        return replace(job, problem=job.located(wrong, None))
    return replace(job, terms=terms.of_keys(written.said))
