"""What dispatch is tested with: steps that wait, machines that ask, and time that passes."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

from psycopg.rows import dict_row
from sqlalchemy import func, insert, select, update
from sqlalchemy.orm import Session
from tests import factories
from tests.plain_sql import asked

from changes.base import clock, ids
from changes.base.db import Database
from changes.builds import create, dispatch, lanes
from changes.builds.create import NewBuild
from changes.builds.dispatch import Taken
from changes.builds.models import Build, Job, JobStep, Node
from changes.builds.queue_models import ConcurrencyGroup, Lane
from changes.builds.rules import HELD, Priority, Result, Status
from changes.people.models import Author
from changes.projects.models import Project, ProjectOption

SILENCE_S = 60


def take(database: Database, node: Node, *, count: int = 10) -> list[Taken]:
    """As the web server does it, with a connection and commits of its own."""
    return asked(
        database,
        lambda connection: dispatch.take_steps(connection, node_id=node.id, count=count, silence_s=SILENCE_S),
    )


def hand_out(session: Session, node: Node, count: int = 1, *, is_for_overdue: bool = False) -> list[str]:
    """The same statement inside the test's own transaction; returns the projects of the steps."""
    session.flush()
    given = dispatch.values(node.id, count, silence_s=SILENCE_S, is_for_overdue=is_for_overdue)
    driver: Any = session.connection().connection.driver_connection
    with driver.cursor(row_factory=dict_row) as cursor:
        rows = cursor.execute(dispatch.taking(count), given).fetchall()
    session.expire_all()
    return [row["slug"] for row in rows]


def a_node(session: Session, **has: Any) -> Node:
    """One that was heard of just now."""
    node = factories.a_node(session)
    node.date_last_seen = clock.now()
    for name, value in has.items():
        setattr(node, name, value)
    session.flush()
    return node


def a_project(session: Session, slug: str, *, options: dict[str, str] | None = None, **needs: Any) -> Project:
    """With one plan whose step needs this of a machine."""
    project = factories.a_project(session, slug)
    factories.a_plan(session, project, {"commands": ["true"], **needs})
    for name, value in (options or {}).items():
        set_option(session, project, name, value)
    return project


def ask_for(session: Session, project: Project, *, author: Author | None = None, **differs: Any) -> Build:
    """One more build of a project that has plans already."""
    source = factories.a_source(session, project)
    new = NewBuild(source, ids.new(), label="b", target="t", message="", author=author, **differs)
    return create.create_build(session, project, new)


def a_queue(session: Session, slug: str, steps: int = 1, **needs: Any) -> Project:
    """A project, and so many steps of it that wait."""
    project = a_project(session, slug, **needs)
    build = ask_for(session, project)
    if steps > 1:
        more_of(session, factories.steps_of(session, build)[0], steps - 1)
    return project


def more_of(session: Session, step: JobStep, count: int) -> None:
    """Steps beside this one, and like it."""
    same = ("job_id", "phase_id", "project_id", "label", "cluster", "priority", "timeout_s", "data", "status")
    row = {name: getattr(step, name) for name in same}
    session.execute(insert(JobStep), [{**row, "id": ids.new()} for _ in range(count)])
    lanes.enter(session)


def steps_of(build_id: UUID) -> Any:
    return JobStep.job_id.in_(select(Job.id).where(Job.build_id == build_id))


def change(session: Session, build: Build, **values: Any) -> None:
    """Its waiting steps as if they had been made like this."""
    session.flush()
    session.execute(update(JobStep).where(steps_of(build.id)).values(**values, lane_id=None))
    lanes.enter(session)


def set_option(session: Session, project: Project, name: str, value: str) -> None:
    session.query(ProjectOption).filter_by(project_id=project.id, name=name).delete()
    session.add(ProjectOption(project_id=project.id, name=name, value=value))
    session.flush()


def limit_group(session: Session, name: str, limit: int) -> ConcurrencyGroup:
    group = ConcurrencyGroup(name=name, limit=limit)
    session.add(group)
    session.flush()
    return group


def grow_old(session: Session, project: Project, seconds: float) -> None:
    """As if its steps had waited for so long."""
    since = func.now() - timedelta(seconds=seconds)
    mine = update(JobStep).where(JobStep.project_id == project.id)
    session.execute(mine.values(date_pending=since))


def end_all(session: Session, result: Result = Result.PASSED) -> None:
    """Every machine is free again; what becomes of the builds is another matter."""
    session.flush()
    held = update(JobStep).where(JobStep.status.in_(HELD))
    session.execute(held.values(status=Status.FINISHED, result=result, date_finished=func.clock_timestamp()))
    session.expire_all()


def held_of(session: Session, slugs: Sequence[str]) -> dict[str, int]:
    counted = select(Project.slug, func.count()).join(JobStep, JobStep.project_id == Project.id)
    held = counted.where(JobStep.status.in_(HELD), Project.slug.in_(slugs)).group_by(Project.slug)
    return {row[0]: row[1] for row in session.execute(held)}


def lanes_of(session: Session, project: Project) -> list[Lane]:
    return list(session.execute(select(Lane).where(Lane.project_id == project.id)).scalars())


URGENT, USUAL, LAST = Priority.HIGH, Priority.DEFAULT, Priority.LOW
