"""Builds of which a step names the others, and what their agents would tell."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session
from tests import factories
from tests.builds import agents

from changes.base import ids
from changes.builds import create
from changes.builds.create import NewBuild
from changes.builds.models import Build, Command, JobPhase, JobStep
from changes.builds.rules import CommandType, Status
from changes.projects.models import Project, Source
from changes.protocol import CommandReport, StepReport

COLLECT_STEPS = {"commands": [{"script": "list the steps", "type": "collect_steps"}]}
COLLECT_TESTS = {"commands": [{"script": "list the tests", "type": "collect_tests"}]}


def a_build_of(session: Session, *steps: Mapping[str, Any], project: Project | None = None) -> Build:
    """Of one plan with these steps."""
    project = project or factories.a_project(session)
    factories.a_plan(session, project, *steps)
    return build_again(session, project)


def build_again(session: Session, project: Project, config: str = "") -> Build:
    return build_of(session, project, factories.a_source(session, project, config=config))


def build_of(session: Session, project: Project, source: Source) -> Build:
    return create.create_build(session, project, NewBuild(source, ids.new(), "A build", "abc", "", None))


def tests_named(*names: str, **more: Any) -> str:
    return json.dumps({"cmd": "run {test_names}", "tests": names, **more})


def take(session: Session, build: Build) -> list[JobStep]:
    """All steps of the build that wait for an agent, in the hands of a new node."""
    node = factories.a_node(session)
    session.flush()
    session.expire_all()
    waiting = [
        each for each in factories.steps_of(session, build) if each.status == Status.PENDING_ALLOCATION
    ]
    return [factories.give_to(session, step, node) for step in waiting]


def collect(session: Session, build: Build, output: str | None) -> JobStep:
    """The collecting step runs and prints this."""
    (step,) = take(session, build)
    agents.tell(session, step, printed(session, step, output))
    return step


def printed(session: Session, step: JobStep, output: str | None) -> StepReport:
    commands = [
        CommandReport(
            id=each.id.hex,
            status="finished",
            return_code=0,
            output=output if each.type.name.startswith("COLLECT") else None,
        )
        for each in agents.commands_of(session, step)
    ]
    return StepReport(status="finished", result="passed", commands=commands)


def steps_in(session: Session, phase: JobPhase) -> list[JobStep]:
    found = select(JobStep).where(JobStep.phase_id == phase.id).order_by(JobStep.id)
    return list(session.execute(found).scalars())


def scripts_of(session: Session, steps: Sequence[JobStep]) -> list[list[str]]:
    return [[command.script for command in agents.commands_of(session, step)] for step in steps]


def own_command(session: Session, step: JobStep) -> Command:
    (command,) = [each for each in agents.commands_of(session, step) if each.type == CommandType.DEFAULT]
    return command
