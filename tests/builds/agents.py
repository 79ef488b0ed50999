"""What an agent would do, in one line each: take a step, tell about it, leave a file behind."""

from collections.abc import Callable
from datetime import timedelta
from uuid import UUID

import psycopg
from sqlalchemy import select, update
from sqlalchemy.orm import Session
from tests import factories

from changes.base import clock, events, ids, storage
from changes.base.db import Database
from changes.base.events import Outbox
from changes.builds import cancel, report, settle
from changes.builds.events import BuildFinished, JobFinished
from changes.builds.models import Build, Command, FailureReason, Job, JobPhase, JobStep, Node
from changes.builds.rules import Result, Status
from changes.protocol import CommandReport, StepReport
from changes.results.models import Artifact

REPLACE_LIMIT = 2
DEADLINE_S = 200
JUNIT = b'<testsuite><testcase classname="a" name="works" time="0.5"/></testsuite>'
JUNIT_FAILED = (
    b'<testsuite><testcase classname="a" name="breaks"><failure>no</failure></testcase></testsuite>'
)


def a_taken_step(session: Session, build: Build | None = None) -> JobStep:
    """The first step of the build, in the hands of a new node."""
    build = build or factories.a_build(session)
    return factories.give_to(session, factories.steps_of(session, build)[0], factories.a_node(session))


def tell(session: Session, step: JobStep, told: StepReport, *, limit: int = REPLACE_LIMIT) -> bool:
    assert step.node_id is not None
    return report.accept(session, step.node_id, step.id, told, replace_limit=limit)


def begin(session: Session, step: JobStep) -> bool:
    return tell(session, step, StepReport(status="in_progress"))


def end(session: Session, step: JobStep, *, code: int = 0) -> bool:
    """Every command ran and returned this."""
    return tell(session, step, ended(session, step, code=code))


def ended(session: Session, step: JobStep, *, code: int = 0) -> StepReport:
    commands = [
        CommandReport(id=each.id.hex, status="finished", return_code=code, duration_ms=1500)
        for each in commands_of(session, step)
    ]
    return StepReport(status="finished", result="failed" if code else "passed", commands=commands)


def commands_of(session: Session, step: JobStep) -> list[Command]:
    found = select(Command).where(Command.step_id == step.id).order_by(Command.order)
    return list(session.execute(found).scalars())


def leave_behind(session: Session, step: JobStep, content: bytes, name: str = "junit.xml") -> Artifact:
    artifact = Artifact(
        id=ids.new(), step_id=step.id, job_id=step.job_id, name=name, size_bytes=len(content), sha256=""
    )
    artifact.key = f"artifacts/{artifact.id.hex}"
    storage.storage.get().put(artifact.key, content)
    session.add(artifact)
    session.flush()
    return artifact


def await_results(session: Session, step: JobStep, result: Result = Result.PASSED) -> None:
    """As after a report about a step that left reports behind."""
    begin(session, step)
    settle.await_results(session, step, result)


def be_silent(session: Session, step: JobStep, seconds: float) -> None:
    """As if nothing was heard of the step for so long."""
    last = clock.now() - clock.milliseconds(round(seconds * 1000))
    session.execute(update(JobStep).where(JobStep.id == step.id).values(last_heartbeat=last))


def be_past_every_limit(session: Session, step: JobStep) -> None:
    """As if nothing had happened to the step for a week."""
    long_ago = clock.now() - timedelta(days=7)
    past = {"last_heartbeat": long_ago, "date_allocated": long_ago, "date_pending": long_ago}
    began = {"date_started": long_ago} if step.date_started is not None else {}
    mine = update(JobStep).where(JobStep.id == step.id)
    session.execute(mine.values(**past, **began, queue_limit_s=60))


def jobs_of(session: Session, build: Build) -> list[Job]:
    return list(session.execute(select(Job).where(Job.build_id == build.id).order_by(Job.number)).scalars())


def reasons_of(session: Session, build_id: UUID) -> list[str]:
    found = select(FailureReason.reason).where(FailureReason.build_id == build_id).order_by(FailureReason.id)
    return list(session.execute(found).scalars())


def announced(session: Session, build_id: UUID, kind: type = BuildFinished) -> int:
    rows = session.execute(select(Outbox).where(Outbox.type == events.name_of(kind))).scalars()
    return sum(str(build_id) in (row.data.get("build_id"), row.data.get("collection_id")) for row in rows)


def announced_jobs(session: Session) -> list[str]:
    rows = session.execute(select(Outbox).where(Outbox.type == events.name_of(JobFinished))).scalars()
    return sorted(row.data["job_id"] for row in rows)


def listen(*kinds: type) -> None:
    """What nobody listens to is not stored either."""
    for kind in kinds:
        events.listen(kind, hear)


def hear(_event: object) -> None:
    """Somebody's listener."""


def state(whole: Build | Job | JobPhase | JobStep) -> tuple[Status, Result]:
    return whole.status, whole.result


def a_committed_build(database: Database, *, plans: int = 1) -> UUID:
    with database.transaction() as session:
        return factories.a_build(session, plans=plans).id


def a_committed_node(database: Database) -> Node:
    with database.transaction() as session:
        return factories.a_node(session)


def commit_cancel(database: Database, build_id: UUID) -> bool:
    with database.transaction() as session:
        return cancel.cancel_build(session, session.get_one(Build, build_id))


def notices(database: Database, channel: str, act: Callable[[], object]) -> list[str]:
    """What a process that listens hears while this is done."""
    with psycopg.connect(database.conninfo, autocommit=True) as connection:
        connection.execute(f"listen {channel}".encode())
        act()
        return [notice.payload for notice in connection.notifies(timeout=DEADLINE_S, stop_after=1)]


def node_of(session: Session, step: JobStep) -> Node:
    assert step.node_id is not None
    return session.get_one(Node, step.node_id)
