"""A small system in which everything happens at once, and all of it is as it must be."""

from dataclasses import asdict, dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import update
from sqlalchemy.orm import Session
from tests import factories
from tests.builds import agents

from changes.base import clock, ids
from changes.builds import cancel, outside, outside_report
from changes.builds.models import Build, JobStep, Node
from changes.builds.outside import Told
from changes.builds.outside_report import Ending
from changes.builds.reasons import AGENT_STOPPED
from changes.builds.rules import Result
from changes.protocol import StepReport
from changes.results.models import LogChunk, LogSource

LINES = (b"one\n", b"two\n", b"three\n")


@dataclass(frozen=True)
class World:
    """Ids, by what became of the thing."""

    project: UUID
    node: UUID
    passed: UUID
    passed_job: UUID
    passed_build: UUID
    failed_build: UUID
    waiting: UUID
    waiting_build: UUID
    running: UUID
    running_build: UUID
    collecting: UUID
    replaced: UUID
    replacement: UUID
    elsewhere_build: UUID

    @property
    def values(self) -> dict[str, Any]:
        return asdict(self)


def begin(session: Session) -> UUID:
    """A step whose results wait to be read, which happens between two transactions."""
    step = a_held_step(session)
    agents.leave_behind(session, step, agents.JUNIT)
    source = LogSource(id=ids.new(), step_id=step.id, job_id=step.job_id, name="console", size_bytes=0)
    session.add(source)
    session.flush()
    for line in LINES:
        chunk = LogChunk(source_id=source.id, offset=source.size_bytes, size_bytes=len(line), data=line)
        session.add(chunk)
        source.size_bytes += len(line)
    agents.begin(session, step)
    agents.end(session, step)
    return step.id


def make(session: Session, passed_id: UUID) -> World:
    """A build of every kind there is, by the ways that lead there."""
    passed = session.get_one(JobStep, passed_id)
    failed, running = a_held_step(session), a_held_step(session)
    agents.begin(session, failed)
    agents.end(session, failed, code=1)
    agents.begin(session, running)
    waiting = factories.a_build(session)
    replaced, replacement = a_replaced_step(session)
    cancelled = factories.a_build(session, plans=2)
    cancel.cancel_build(session, cancelled)
    elsewhere = builds_elsewhere(session)
    collecting = a_step_that_is_read(session)
    session.flush()
    session.execute(update(Node).values(date_last_seen=clock.now()))
    return World(
        project=passed.project_id,
        node=node_of(running),
        passed=passed.id,
        passed_job=passed.job_id,
        passed_build=passed.job.build_id,
        failed_build=failed.job.build_id,
        waiting=factories.steps_of(session, waiting)[0].id,
        waiting_build=waiting.id,
        running=running.id,
        running_build=running.job.build_id,
        collecting=collecting.id,
        replaced=replaced.id,
        replacement=replacement.id,
        elsewhere_build=elsewhere.id,
    )


def node_of(step: JobStep) -> UUID:
    assert step.node_id is not None
    return step.node_id


def a_held_step(session: Session) -> JobStep:
    return agents.a_taken_step(session)


def a_step_that_is_read(session: Session) -> JobStep:
    step = a_held_step(session)
    agents.leave_behind(session, step, agents.JUNIT)
    agents.begin(session, step)
    agents.end(session, step)
    return step


def a_replaced_step(session: Session) -> tuple[JobStep, JobStep]:
    step = a_held_step(session)
    agents.tell(session, step, StepReport(status="released", reason=AGENT_STOPPED))
    assert step.replacement_id is not None
    return step, session.get_one(JobStep, step.replacement_id)


def builds_elsewhere(session: Session) -> Build:
    project = factories.a_project(session)
    told = Told(external_id="run 1", sha=factories.A_SHA, jobs=["unit", "lint"])
    build = outside.hear(session, project, told)
    unit, lint = factories.steps_of(session, build)
    outside_report.end(session, unit.id, Ending(result=Result.PASSED))
    outside_report.start(session, lint.id)
    return build
