import asyncio
import os
import subprocess
from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path

import pytest
from sqlalchemy import func, select, text
from sqlalchemy.orm import Session
from tests.conftest import copy_of_template
from tests.scenarios import prepared
from tests.scenarios.running import PROGRAM

from changes.app.demo import catalogue, filling, streaming
from changes.app.demo.dice import Dice
from changes.app.demo.rows import Ids
from changes.base import clock, jobs, storage
from changes.base.db import Database
from changes.base.storage import Storage
from changes.base.task import FINAL, Task
from changes.builds import recipes, rules
from changes.builds.models import Build, Command, FailureReason, Job, JobPhase, JobStep, Node
from changes.builds.rules import Result, Status
from changes.people import secrets
from changes.people.models import Token, User
from changes.projects.models import Project, Source
from changes.results import models as results
from changes.results import testruns
from changes.results.formats import junit
from changes.results.models import Artifact, ItemStat, LogChunk, LogSource

A_WEDNESDAY = datetime(2026, 11, 18, 15, 20, tzinfo=UTC)
PROJECTS, BUILDS, EVENTS = 3, 60, 120


def into(database: Database, told: list[str] | None = None) -> filling.Into:
    said: list[str] = [] if told is None else told
    return filling.Into(database, Storage("memory://"), said.append)


@pytest.fixture(scope="module")
def filled() -> Iterator[Database]:
    """A small month that all tests of this file look at, and none changes."""
    with copy_of_template() as url:
        database = Database(url, pool_size=2)
        filling.fill(into(database), filling.Wanted(now=A_WEDNESDAY, projects=PROJECTS, builds=BUILDS))
        yield database
        database.close()


@pytest.fixture
def month(filled: Database) -> Iterator[Session]:
    with filled.transaction() as session:
        yield session


# --- what is true of every database ------------------------------------------------------


Judged = Build | Job | JobPhase | JobStep


def contradictions(session: Session) -> list[str]:
    """Wholes that are not what their parts make of them."""
    steps, phases, jobs_ = (
        everything(session, JobStep),
        everything(session, JobPhase),
        everything(session, Job),
    )
    current = [step for step in steps if step.replacement_id is None]
    return [
        *differences(phases, current, "phase_id"),
        *differences(jobs_, phases, "job_id"),
        *differences(everything(session, Build), jobs_, "build_id"),
    ]


def everything(session: Session, model: type) -> list:  # type: ignore[type-arg]
    return list(session.execute(select(model)).unique().scalars())


def differences(wholes: list[Judged], parts: list[Judged], above: str) -> Iterator[str]:
    below: dict[object, list[Judged]] = defaultdict(list)
    for part in parts:
        below[getattr(part, above)].append(part)
    for whole in wholes:
        status = rules.aggregate_status([part.status for part in below[whole.id]])
        results = [part.result for part in below[whole.id]]
        is_over = status == Status.FINISHED
        result = rules.aggregate_result(results) if is_over else rules.running_result(results)
        if (whole.status, whole.result) != (status, result):
            yield f"{whole.__tablename__} {whole.id} has {whole.status} {whole.result}, not {status} {result}"


def wrong_stats(session: Session) -> list[str]:
    """Numbers of steps, jobs and builds that their test runs do not add up to."""
    counted: dict[object, int] = defaultdict(int)
    batch = results.TestBatch
    runs = select(batch.step_id, batch.job_id, batch.build_id, func.count(), JobStep.replacement_id)
    rows = session.execute(
        runs.join(results.TestRun, testruns.is_in_batch())
        .join(JobStep, JobStep.id == batch.step_id)
        .group_by(batch.id, JobStep.replacement_id)
    )
    for step_id, job_id, build_id, count, replacement_id in rows:
        counted[step_id] += count
        if replacement_id is None:
            counted[job_id] += count
            counted[build_id] += count
    told = session.execute(select(ItemStat.item_id, ItemStat.value).where(ItemStat.name == "test_count"))
    return [] if dict(counted) == {row[0]: row[1] for row in told} else ["test_count"]


# --- the month ---------------------------------------------------------------------------


def test_every_phase_job_and_build_is_what_its_parts_make_of_it(month: Session) -> None:
    assert contradictions(month) == []


def test_there_are_as_many_projects_and_builds_as_were_asked_for(month: Session) -> None:
    counts = [
        month.execute(select(func.count()).select_from(model)).scalar_one() for model in (Project, Build)
    ]

    assert counts == [PROJECTS, BUILDS]


def test_builds_of_a_project_are_numbered_in_the_order_of_time_without_a_gap(month: Session) -> None:
    for project in everything(month, Project):
        mine = select(Build).where(Build.project_id == project.id).order_by(Build.id)
        numbers = [build.number for build in month.execute(mine).unique().scalars()]

        assert numbers == list(range(1, project.last_build_number + 1))


def test_statistics_equal_the_rows_they_count(month: Session) -> None:
    assert month.execute(select(func.count()).select_from(results.TestRun)).scalar_one() > 0
    assert wrong_stats(month) == []


def test_an_id_tells_when_its_thing_was_made(month: Session) -> None:
    for model in (Build, Job, JobStep, Command, Source, FailureReason, LogSource, Artifact):
        for row in everything(month, model):
            assert row.id.version == 7
            assert abs((row.id.int >> 80) / 1000 - row.date_created.timestamp()) < 0.002


def test_ids_of_one_moment_keep_their_order() -> None:
    ids = Ids(Dice(1))
    made = [ids.at(A_WEDNESDAY) for _ in range(100)]
    later = ids.at(A_WEDNESDAY + timedelta(microseconds=1))

    assert made == sorted(made)
    assert made[-1] < later


def test_everything_lies_within_the_last_thirty_days(month: Session) -> None:
    first, last, ended = month.execute(
        select(func.min(Build.date_created), func.max(Build.date_created), func.max(Build.date_finished))
    ).one()

    assert first >= A_WEDNESDAY - timedelta(days=30)
    assert last <= A_WEDNESDAY
    assert ended is not None
    assert ended <= A_WEDNESDAY


def test_nothing_ends_before_it_starts_or_starts_before_it_is_asked_for(month: Session) -> None:
    for model in (Build, Job, JobPhase, JobStep, Command):
        for row in everything(month, model):
            moments = [each for each in (row.date_created, row.date_started, row.date_finished) if each]
            assert moments == sorted(moments), row


def test_failing_tests_are_named_as_the_reason_and_have_something_to_say(month: Session) -> None:
    failed = (
        month.execute(select(results.TestRun).where(results.TestRun.result == Result.FAILED)).scalars().all()
    )
    explained = set(
        month.execute(select(FailureReason.step_id).where(FailureReason.reason == "test_failures")).scalars()
    )

    assert failed
    batches = select(results.TestBatch.step_id).join(results.TestRun, testruns.is_in_batch())
    failing = batches.where(results.TestRun.result == Result.FAILED)
    assert set(month.execute(failing).scalars()) == explained
    assert {run.id for run in failed} == set(month.execute(select(results.TestMessage.run_id)).scalars())


def test_logs_are_whole(month: Session) -> None:
    stored = select(LogChunk.source_id, func.sum(LogChunk.size_bytes)).group_by(LogChunk.source_id)
    sizes = {row[0]: row[1] for row in month.execute(stored)}
    sources = {source.id: source.size_bytes for source in everything(month, LogSource)}

    assert sources
    assert {key: size for key, size in sources.items() if size} == sizes


def test_a_stored_report_reads_as_the_tests_that_are_stored(database: Database) -> None:
    place = into(database)
    filling.fill(place, filling.Wanted(now=A_WEDNESDAY, projects=1, builds=4))
    with database.transaction() as session:
        artifact = session.execute(select(Artifact).order_by(Artifact.id).limit(1)).scalar_one()
        mine = select(results.Test.name).join(results.TestRun, results.TestRun.test_id == results.Test.id)
        mine = mine.join(results.TestBatch, testruns.is_in_batch())
        names = set(session.execute(mine.where(results.TestBatch.step_id == artifact.step_id)).scalars())
    data = b"".join(place.storage.read(artifact.key))

    assert {test.name for test in junit.parse(BytesIO(data))} == names


def test_no_key_of_the_demo_opens_anything(month: Session) -> None:
    """Their digests are no digests of anything that somebody could know."""
    known = [secrets.digest(name) for name in month.execute(select(Token.name)).scalars()]

    assert set(month.execute(select(Token.digest)).scalars()).isdisjoint(known)
    assert set(month.execute(select(User.password_hash)).scalars()) == {None}


def test_some_machines_are_silent_and_one_was_never_seen(month: Session) -> None:
    seen = set(month.execute(select(Node.date_last_seen)).scalars())

    assert None in seen
    assert A_WEDNESDAY in seen
    assert any(each < A_WEDNESDAY - timedelta(days=2) for each in seen if each)


def test_every_plan_in_the_catalogue_can_be_run() -> None:
    for shape in catalogue.projects(20):
        for plan in shape.plans:
            for step in plan.steps:
                recipe = recipes.read(recipes.DEFAULT_IMPLEMENTATION, step.recipe(plan.cluster))
                assert [command.script for command in recipe.commands] == [c.script for c in step.commands]


def test_there_are_always_more_projects_with_names_of_their_own() -> None:
    slugs = [shape.slug for shape in catalogue.projects(500)]

    assert len(set(slugs)) == 500


TABLES = ("author", "project", "build", "job_step", "command", "test_run", "failure_reason", "log_chunk")


Rows = list[list[tuple[object, ...]]]


@pytest.fixture(scope="module")
def seventh_month() -> Rows:
    return a_month(seed=7)


def test_the_same_seed_makes_the_same_month(seventh_month: Rows) -> None:
    assert a_month(seed=7) == seventh_month


def test_another_seed_makes_another_month(seventh_month: Rows) -> None:
    assert a_month(seed=8) != seventh_month


def a_month(seed: int) -> Rows:
    with copy_of_template() as url:
        database = Database(url, pool_size=1)
        filling.fill(into(database), filling.Wanted(now=A_WEDNESDAY, projects=2, builds=12, seed=seed))
        with database.transaction() as session:
            rows = [
                [tuple(row) for row in session.execute(text(f"select * from {t} order by 1"))] for t in TABLES
            ]
        database.close()
        return rows


def test_a_database_with_builds_is_left_alone(filled: Database) -> None:
    with pytest.raises(filling.AlreadyUsed):
        filling.fill(into(filled), filling.Wanted(now=A_WEDNESDAY, projects=1, builds=1))


def test_more_adds_a_second_team_beside_the_first(database: Database) -> None:
    wanted = filling.Wanted(now=A_WEDNESDAY, projects=2, builds=8, more=True)
    for _ in range(2):
        filling.fill(into(database), wanted)

    with database.transaction() as session:
        slugs = set(session.execute(select(Project.slug)).scalars())
        assert slugs == {"orbit-api", "web", "orbit-api-2", "web-2"}
        assert contradictions(session) == []


def test_it_tells_how_far_it_is(database: Database) -> None:
    told: list[str] = []
    filling.fill(into(database, told), filling.Wanted(now=A_WEDNESDAY, projects=1, builds=3))

    assert told[0].startswith("3 of 3 builds")


# --- the stream --------------------------------------------------------------------------


def test_what_the_stream_begins_is_consistent(database: Database) -> None:
    before = clock.now()
    streamed(database, builds=4)

    with database.transaction() as session:
        new = session.execute(select(func.count()).where(Build.date_created > before)).scalar_one()
        assert new > 0
        assert contradictions(session) == []
        assert wrong_stats(session) == []


def test_the_stream_ends_what_the_month_left_running(database: Database) -> None:
    held = select(JobStep.id).where(JobStep.status == Status.IN_PROGRESS, JobStep.attempt == 1)
    filling.fill(into(database), filling.Wanted(now=clock.now(), projects=PROJECTS, builds=BUILDS))
    with database.transaction() as session:
        running = set(session.execute(held).scalars())
    stream(database)

    with database.transaction() as session:
        still_running = set(session.execute(held).scalars())
    assert running
    assert running - still_running


def test_the_stream_needs_projects_of_the_demo(database: Database) -> None:
    with pytest.raises(streaming.NothingToBuild):
        asyncio.run(streaming.run(database, storage.storage.get(), streaming.Pace(0, 1)))


def streamed(database: Database, builds: int) -> None:
    filling.fill(into(database), filling.Wanted(now=clock.now(), projects=PROJECTS, builds=builds))
    stream(database)


def stream(database: Database) -> None:
    pace = streaming.Pace(events_per_s=0, events_max=EVENTS, seed=3)
    assert asyncio.run(streaming.run(database, storage.storage.get(), pace)) == EVENTS
    work_off(database)


def work_off(database: Database) -> None:
    """What a worker would do meanwhile."""
    with database.transaction() as session:
        waiting = session.execute(select(Task.id).where(Task.state.not_in(FINAL))).scalars().all()
    for task_id in waiting:
        jobs.run(task_id)


# --- the command -------------------------------------------------------------------------


@pytest.mark.system
def test_the_command_fills_the_database_of_its_home_once(database_url: str, tmp_path: Path) -> None:
    env = {**os.environ, "DATABASE_URL": database_url, "CHANGES_HOME": str(tmp_path)}
    words = ("demo", "--fill", "--projects", "2", "--builds", "5")

    done = subprocess.run(
        [*PROGRAM, *words], env=env, capture_output=True, text=True, check=False, timeout=300
    )
    again, unless_empty = (prepared.command(*words, *more, env=env) for more in ([], ["--if-empty"]))

    assert (done.returncode, again.returncode, unless_empty.returncode) == (0, 1, 0), done.stderr
    assert "has builds already" in again.stderr
