"""Makes the step that runs new failures again (second_look.py). The build is locked."""

import shlex
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from changes.builds import new_steps, second_look, settle
from changes.builds.copies import OF_ONE_ATTEMPT
from changes.builds.coverage_gate import IS_JUDGED
from changes.builds.models import Build, Command, JobStep
from changes.builds.new_steps import NewStep
from changes.builds.recipes import LABEL_MAX, CommandRecipe
from changes.builds.rules import CommandType, Origin, Status
from changes.builds.second_look import LOOKS_AT, NUMBER, STATE, TERMS, Checked
from changes.projects.plan_options import LOOK_PLACEHOLDER

# What is said of the tests of the whole step, and not of those that are run again.
OF_WHOLE_STEP = (TERMS, IS_JUDGED, "expects_tests", "tests", "weight", "shard_count", "expanded")
LABEL = "{label}, second look"


def begin(session: Session, step: JobStep, tests: Sequence[str], *, others: int) -> JobStep:
    """The step waits from now on; `others` counts its failures that are no news."""
    known = Checked(tests, others=others)
    step.data = {**step.data, STATE: known.kept()}
    look = make(session, step, known.left, number=1)
    settle.settle_upwards(session, look, None)
    settle.announce_steps(session, 1)
    return look


def once_more(session: Session, look: JobStep) -> JobStep | None:
    """The next attempt at a look that failed: of what has not passed yet, as often as the plan says."""
    step = second_look.looked_at(session, look)
    known = second_look.checked(step) if step is not None else None
    number = int(look.data.get(NUMBER, 1))
    if step is None or known is None or not known.left or not second_look.is_checking(step):
        return None
    if number >= second_look.said(step).times:
        return None
    attempt = make(session, step, known.left, number=number + 1)
    attempt.attempt = look.attempt + 1
    settle.supersede(session, look, attempt)
    settle.announce_steps(session, 1)
    return attempt


def make(session: Session, step: JobStep, tests: Sequence[str], *, number: int) -> JobStep:
    left_out = {*OF_ONE_ATTEMPT, *OF_WHOLE_STEP}
    data = {name: value for name, value in step.data.items() if name not in left_out}
    new = NewStep(
        job_id=step.job_id,
        phase_id=step.phase_id,
        label=LABEL.format(label=step.label[: LABEL_MAX - len(LABEL)]),
        status=Status.PENDING_ALLOCATION,
        timeout_s=step.timeout_s,
        commands=commands_of_look(commands_of(session, step), second_look.said(step).command, tests),
        cluster=step.cluster,
        data={**data, LOOKS_AT: step.id.hex, NUMBER: number},
        origin=Origin.SECOND_LOOK,
    )
    session.flush()
    new_steps.insert_steps(session, session.get_one(Build, step.job.build_id), [new])
    return session.get_one(JobStep, new.id)


def commands_of(session: Session, step: JobStep) -> list[Command]:
    mine = select(Command).where(Command.step_id == step.id).order_by(Command.order)
    return list(session.execute(mine).scalars())


def commands_of_look(
    commands: Sequence[Command], template: str, tests: Sequence[str]
) -> list[tuple[int, CommandRecipe]]:
    """The same once more; where the plan says how, the command that failed runs these tests alone."""
    place = place_of_tests(commands) if template else None
    told = {"CHANGES_SECOND_LOOK": "1", "CHANGES_TESTS": "\n".join(tests)}
    recipes = []
    for each in commands:
        recipe = recipe_of(each, told)
        if each.order == place:
            recipe = replace(recipe, script=script_for(template, tests))
        recipes.append((each.order, recipe))
    return recipes


def place_of_tests(commands: Sequence[Command]) -> int | None:
    """The one command that failed, when all the others went well: what never ran must run with the rest."""
    own = [each for each in commands if each.type == CommandType.DEFAULT]
    failed = [each for each in own if each.return_code != 0]
    if len(failed) == 1 and failed[0].return_code is not None:
        return failed[0].order
    return own[0].order if len(own) == 1 else None


def script_for(template: str, tests: Sequence[str]) -> str:
    """Each name is one word of the shell, whatever it contains."""
    return template.replace(LOOK_PLACEHOLDER, " ".join(map(shlex.quote, tests)))


def recipe_of(command: Command, told: dict[str, Any]) -> CommandRecipe:
    return CommandRecipe(
        script=command.script,
        label=command.label,
        cwd=command.cwd,
        env={**command.env, **told},
        artifacts=list(command.artifacts),
        type=command.type,
    )
