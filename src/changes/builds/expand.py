"""A collecting step ends: what it named becomes the steps of the phase behind it.

That phase was made with the job and is still without steps. It gets them here, under the
build's lock and before the collecting step ends, so a report that comes twice, or two readers
at once, make them once; `settle` opens them when the collecting phase has passed.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import insert, select
from sqlalchemy.orm import Session

from changes.base import ids
from changes.base.errors import Invalid
from changes.builds import (
    collected,
    copies,
    counting,
    coverage_gate,
    history,
    housing,
    keeping_said,
    new_steps,
    offers,
    reasons,
    recipes,
    second_look,
    selective,
    set_aside,
    sharding,
)
from changes.builds.collected import Collected
from changes.builds.command_types import FILES, SETUPS, is_collector
from changes.builds.history import Asked
from changes.builds.implementations import EXECUTORS
from changes.builds.models import BazelTarget, Build, Command, Job, JobPhase, JobPlan, JobStep
from changes.builds.new_steps import NewStep
from changes.builds.reasons import Reason
from changes.builds.recipes import CommandRecipe, Recipe
from changes.builds.rules import CommandType, Origin, Result, Status
from changes.builds.sharding import Durations, Shard
from changes.projects import queries
from changes.protocol import CommandReport

# What generated steps take over from the step that named them.
TAKEN_OVER = (
    "release", "cpus", "memory", "labels", "checkout_folder", "other_repos", "concurrency_group",
    "plan_step", "timeout_from", "artifact_search_path", "step_token", *housing.KEPT,
    *keeping_said.KEPT, offers.IMAGE, offers.BEGINS_WITH, second_look.TERMS, coverage_gate.IS_JUDGED,
)  # fmt: skip
WEIGHT_SCALE = 1000


@dataclass(frozen=True)
class Work:
    """One generated step: what it is called, its own commands, and what is kept beside it."""

    label: str
    commands: list[CommandRecipe]
    data: dict[str, Any]


def from_output(
    session: Session, step: JobStep, commands: Iterable[Command], told: Iterable[CommandReport]
) -> Reason | None:
    """Why it cannot go on; what it named is made at once."""
    said = printed(step, commands, told)
    return from_text(session, step, *said) if said is not None else None


def printed(
    step: JobStep, commands: Iterable[Command], told: Iterable[CommandReport]
) -> tuple[str, str] | None:
    """What the collecting command printed, and what that is called; None also where nothing was
    printed, which a file may make up for.
    """
    if "expands_into" not in step.data:
        return None
    output = {ids.parse(each.id): each.output for each in told if each.output}
    collector = next((each for each in commands if is_collector(each.type)), None)
    text = output.get(collector.id) if collector else None
    if collector is None or not text or not text.strip():
        return None
    return text, f"the output of {collector.label}"


def from_text(session: Session, step: JobStep, text: str, name: str) -> Reason | None:
    """Why it cannot go on. The build is locked; doing it again changes nothing."""
    if not is_open(session, step):
        return None
    found = read(step, text, name)
    if isinstance(found, Reason):
        return found
    make(session, step, found, work_of(session, step, found))
    return None


def is_open(session: Session, step: JobStep) -> bool:
    """Whether nothing was named yet."""
    phase = phase_behind(session, step)
    return phase is not None and not phase.data.get("collected")


def read(step: JobStep, text: str, name: str) -> Collected | Reason:
    try:
        return collected.read(kind_of(step), text)
    except Invalid as error:
        return Reason(reasons.MALFORMED_ARTIFACT, {"name": name, "message": error.message})


def make(session: Session, step: JobStep, found: Collected, works: Sequence[Work]) -> None:
    """The rows; the build is locked."""
    phase = phase_behind(session, step)
    if phase is None or phase.data.get("collected"):
        return
    phase.label = found.phase
    phase.data = {**phase.data, "collected": summary(found, len(works))}
    session.flush()
    new = insert_work(session, step, phase, works)
    if found.kind == CommandType.COLLECT_BAZEL_TARGETS:
        note_targets(session, step, found, new)
        selective.note(session, step, selective.of_output(session, step, found)[1])


def missing(session: Session, step: JobStep) -> Reason | None:
    """For a collecting step that passed and named nothing."""
    phase = phase_behind(session, step)
    if phase is None or phase.data.get("collected"):
        return None
    kind = kind_of(step)
    commands = select(Command).where(Command.step_id == step.id, Command.type == kind)
    command = session.execute(commands.limit(1)).scalar_one_or_none()
    label = command.label if command else kind.name.lower()
    return Reason(reasons.MISSING_ARTIFACT, {"command": label, "file": FILES[kind]})


def file_of(step: JobStep) -> str | None:
    """The artifact that may say it instead of the output."""
    return FILES[kind_of(step)] if "expands_into" in step.data else None


def kind_of(step: JobStep) -> CommandType:
    return CommandType[step.data["collector"].upper()]


def phase_behind(session: Session, step: JobStep) -> JobPhase | None:
    into = step.data.get("expands_into")
    return session.get(JobPhase, UUID(into)) if into else None


def summary(found: Collected, steps: int) -> dict[str, Any]:
    return {
        "kind": found.kind.name.lower(),
        "names": len(found.names),
        "steps": steps,
        "messages": found.messages,
    }


# --- what is to be done --------------------------------------------------------------------


def work_of(session: Session, step: JobStep, found: Collected) -> list[Work]:
    recipe = recipe_of(session, step)
    if found.kind == CommandType.COLLECT_STEPS:
        return work_of_commands(recipe, found)
    found, _ = selective.of_output(session, step, found)
    durations = durations_for(session, step, recipe, found.kind)
    most = min(recipe.data.get("max_executors") or EXECUTORS, collected.STEPS_MAX)
    shards = sharding.cut(found.names, durations, most=most)
    return [work_of_shard(recipe, found, shard, (place, len(shards))) for place, shard in enumerate(shards)]


def recipe_of(session: Session, step: JobStep) -> Recipe:
    """From the plan as it was when the job was made."""
    frozen = session.execute(select(JobPlan.data).where(JobPlan.job_id == step.job_id)).scalar_one()
    of_plan = frozen["snapshot"]["steps"][step.data["plan_step"]]
    return recipes.read(of_plan["implementation"], of_plan["data"])


def work_of_commands(recipe: Recipe, found: Collected) -> list[Work]:
    """One step for each; where the plan says how many there may be, several share one."""
    generated = [recipes.read_command(command, recipe.base) for command in found.commands]
    weights = {str(n): round(each.get("weight", 0) * WEIGHT_SCALE) for n, each in enumerate(found.commands)}
    most = recipe.data.get("max_executors") or len(generated)
    bins = sharding.spread(weights, min(len(generated), most))
    works = []
    for places in sorted(sorted(map(int, each)) for each in bins):
        mine = [generated[place] for place in places]
        label = mine[0].label if len(mine) == 1 else f"{mine[0].label} and {len(mine) - 1} more"
        weight = sum(weights[str(place)] for place in places) / WEIGHT_SCALE
        works.append(Work(label[: recipes.LABEL_MAX], mine, {"weight": weight}))
    return works


def work_of_shard(recipe: Recipe, found: Collected, shard: Shard, place: tuple[int, int]) -> Work:
    number, count = place
    env = {"CHANGES_SHARD_INDEX": str(number), "CHANGES_SHARD_COUNT": str(count)}
    said = dict(found.surroundings)
    said["env"] = {**said.get("env", {}), **env}
    said.setdefault("label", found.cmd.strip().split("\n", 1)[0])
    command = recipes.read_command({**said, "script": found.script_for(shard.names)}, recipe.base)
    kind = "tests" if found.kind == CommandType.COLLECT_TESTS else "targets"
    data = {kind: shard.names, "weight": shard.expected_ms, "shard_count": count}
    if found.artifact_search_path:
        data["artifact_search_path"] = found.artifact_search_path
    return Work(f"{found.phase} {number + 1}/{count}", [command], data)


def durations_for(session: Session, step: JobStep, recipe: Recipe, kind: CommandType) -> Durations:
    asked = history_asked(session, step, recipe.data.get("test_stats_from"))
    known = history.history.get()
    if kind == CommandType.COLLECT_TESTS:
        return known.of_tests(session, asked)
    return known.of_targets(session, asked)


def history_asked(session: Session, step: JobStep, slug: str | None) -> Asked:
    """Another project has plans and branches of its own, of which nothing is known here."""
    other = queries.project_or_none(session, slug) if slug else None
    build = build_of(session, step)
    if other is not None and other.id != build.project_id:
        return Asked(other.id, None)
    plan_id = session.execute(select(JobPlan.plan_id).where(JobPlan.job_id == step.job_id)).scalar_one()
    return Asked(build.project_id, plan_id, tuple(build.source.revision.branches or ()))


def build_of(session: Session, step: JobStep) -> Build:
    build_id = session.execute(select(Job.build_id).where(Job.id == step.job_id)).scalar_one()
    return session.get_one(Build, build_id)


# --- rows ------------------------------------------------------------------------------------


def insert_work(session: Session, step: JobStep, phase: JobPhase, works: Sequence[Work]) -> list[NewStep]:
    recipe = recipe_of(session, step)
    before = [each for each in recipe.commands if each.type in SETUPS]
    after = [each for each in recipe.commands if each.type == CommandType.TEARDOWN]
    taken_over = {name: step.data[name] for name in TAKEN_OVER if name in step.data}
    expectation = expects_tests(session, step)
    after_which = set_aside.paired(set_aside.earlier_in(session, phase.id), [work.label for work in works])
    new = [
        NewStep(
            job_id=step.job_id,
            phase_id=phase.id,
            label=work.label,
            attempt=after_which[place].attempt + 1 if place in after_which else 1,
            origin=set_aside.origin_of(step.origin) if place in after_which else Origin.FIRST,
            status=Status.QUEUED,
            timeout_s=step.timeout_s,
            commands=list(enumerate([*before, *work.commands, *after])),
            cluster=step.cluster,
            data={**taken_over, **expectation, **work.data, "expanded": True},
        )
        for place, work in enumerate(works)
    ]
    new_steps.insert_steps(session, build_of(session, step), new)
    copies.supersede(session, {old.id: new[place].id for place, old in after_which.items()})
    counting.count_anew(phase)
    return new


def expects_tests(session: Session, step: JobStep) -> dict[str, bool]:
    frozen = session.execute(select(JobPlan.data).where(JobPlan.job_id == step.job_id)).scalar_one()
    is_last = step.data["plan_step"] == len(frozen["snapshot"]["steps"]) - 1
    is_expected = bool(frozen.get("terms", {}).get("expect_tests")) and is_last
    return {"expects_tests": True} if is_expected else {}


def note_targets(session: Session, step: JobStep, found: Collected, new: Sequence[NewStep]) -> None:
    why = "It was excluded by what collected the targets."
    rows = [
        {"job_id": step.job_id, "step_id": None, "name": name, "result": Result.SKIPPED, "message": why}
        for name in found.excluded
    ]
    rows += [
        {
            "job_id": step.job_id,
            "step_id": each.id,
            "name": name,
            "result": Result.UNKNOWN,
            "message": files_behind(found, name),
        }
        for each in new
        for name in each.data["targets"]
    ]
    if rows:
        session.execute(insert(BazelTarget), rows)


def files_behind(found: Collected, name: str) -> str:
    files = found.files_behind.get(name, [])
    return "It is affected by these files:\n" + "\n".join(files) if files else ""
