"""What is kept no longer goes, nothing else does, and what is told before is what happens."""

import hashlib
from datetime import timedelta
from uuid import UUID

import pytest
import time_machine
from sqlalchemy import select, text, update
from sqlalchemy.orm import Session
from tests import factories, finished
from tests.builds import agents

from changes.base import clock, db, ids, storage
from changes.base.db import Database
from changes.base.errors import Invalid
from changes.base.settings import Settings
from changes.builds import pins
from changes.builds.models import Build, Job
from changes.builds.rules import Status
from changes.projects import options
from changes.projects.models import Project
from changes.results import keeping, orphans, testdays, testruns
from changes.results.keeping_models import CleanUp
from changes.results.keeping_rules import Kind
from changes.results.models import Artifact, LogChunk, LogSource

OLD = timedelta(days=400)
CONTENT = b"what a build left behind"


def an_old_build(session: Session, project: UUID, *, name: str = "a.txt") -> UUID:
    """It ended long ago, with a file and a log; another one came after it."""
    build = a_build_of(session, project)
    step = agents.a_taken_step(session, build)
    leave(session, step.id, step.job_id, (name, CONTENT))
    source = LogSource(id=ids.new(), step_id=step.id, job_id=step.job_id, name="console", size_bytes=3)
    session.add(source)
    session.flush()
    session.add(LogChunk(source_id=source.id, offset=0, size_bytes=3, data=b"abc"))
    end(session, build, OLD)
    end(session, a_build_of(session, project), timedelta(0))
    return build.id


def a_build_of(session: Session, project: UUID) -> Build:
    return factories.a_build(session, session.get_one(Project, project))


def leave(session: Session, step_id: UUID, job_id: UUID, file: tuple[str, bytes]) -> Artifact:
    name, content = file
    key = f"artifacts/{step_id.hex}/{ids.new().hex}"
    storage.storage.get().put(key, content)
    digest = hashlib.sha256(content).hexdigest()
    row = Artifact(step_id=step_id, job_id=job_id, name=name, size_bytes=len(content), sha256=digest, key=key)
    session.add(row)
    session.flush()
    return row


def end(session: Session, build: Build, ago: timedelta) -> None:
    values = {
        "status": Status.FINISHED,
        "date_finished": clock.now() - ago,
        "date_created": clock.now() - ago,
    }
    session.execute(update(Build).where(Build.id == build.id).values(values))
    mine = select(Job.id).where(Job.build_id == build.id)
    for left in (Artifact, LogSource):
        session.execute(update(left).where(left.job_id.in_(mine)).values(date_created=clock.now() - ago))
    session.expire_all()


@pytest.fixture
def project(database: Database) -> UUID:
    with database.transaction() as session:
        return factories.a_project(session).id


def clean(settings: Settings) -> dict[str, CleanUp]:
    return {each.kind: each for each in keeping.clean(storage.storage.get(), settings)}


def count(database: Database, what: str) -> int:
    with database.transaction() as session:
        return int(session.execute(text(f"select count(*) from {what}")).scalar_one())


def blobs(settings: Settings) -> int:
    return sum(path.is_file() for path in (settings.home / "blobs" / "artifacts").rglob("*"))


def previewed(database: Database, settings: Settings) -> dict[Kind, tuple[int, int]]:
    with database.transaction() as session:
        return {each.kind: (each.items, each.freed_bytes) for each in keeping.preview(session, settings)}


def test_a_clock_that_runs_years_ahead_removes_nothing(
    database: Database, settings: Settings, project: UUID
) -> None:
    with database.transaction() as session:
        build_id = an_old_build(session, project)
        end(session, session.get_one(Build, build_id), timedelta(days=1))

    with time_machine.travel(clock.now() + timedelta(days=1000), tick=True):
        assert clean(settings) == {}


def test_old_files_and_logs_go_and_tell_that_they_were_there(
    database: Database, settings: Settings, project: UUID
) -> None:
    with database.transaction() as session:
        an_old_build(session, project)

    done = clean(settings)

    assert (done["artifacts"].items, done["artifacts"].freed_bytes) == (1, len(CONTENT))
    assert done["logs"].items == 1
    assert blobs(settings) == 0
    assert count(database, "log_chunk") == 0
    assert count(database, "artifact where date_removed is not null") == 1
    assert count(database, "log_source where date_removed is not null") == 1
    assert count(database, "build") == 2


def test_what_is_told_before_is_what_is_done(database: Database, settings: Settings, project: UUID) -> None:
    with database.transaction() as session:
        an_old_build(session, project)
        an_old_build(session, project)

    told = previewed(database, settings)
    done = clean(settings)

    assert told[Kind.ARTIFACTS] == (done["artifacts"].items, done["artifacts"].freed_bytes)
    assert told[Kind.ARTIFACTS] == (2, len(CONTENT))
    assert told[Kind.LOGS] == (done["logs"].items, done["logs"].freed_bytes)
    assert previewed(database, settings)[Kind.ARTIFACTS] == (0, 0)


def test_all_goes_however_much_it_is_and_the_preview_says_that_it_is_more(
    database: Database, settings: Settings, project: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keeping, "LOOKED_AT_ONCE", 2)
    monkeypatch.setitem(keeping.COUNTED_MAX, Kind.ARTIFACTS, 2)
    with database.transaction() as session:
        for _ in range(5):
            an_old_build(session, project)

    with database.transaction() as session:
        told = {each.kind: (each.items, each.is_more) for each in keeping.preview(session, settings)}
    done = clean(settings)

    assert (told[Kind.ARTIFACTS], told[Kind.LOGS]) == ((2, True), (5, False))
    assert (done["artifacts"].items, done["logs"].items) == (5, 5)


def test_bytes_that_a_young_build_has_too_stay(database: Database, settings: Settings, project: UUID) -> None:
    with database.transaction() as session:
        an_old_build(session, project)
        young = agents.a_taken_step(session, a_build_of(session, project))
        row = session.execute(text("select key, sha256, size_bytes from artifact")).one()
        kept = Artifact(
            step_id=young.id, job_id=young.job_id, name="b.txt", size_bytes=row[2], sha256=row[1], key=row[0]
        )
        session.add(kept)

    told = previewed(database, settings)
    done = clean(settings)

    assert told[Kind.ARTIFACTS] == (1, 0)
    assert (done["artifacts"].items, done["artifacts"].freed_bytes) == (1, 0)
    assert b"".join(storage.storage.get().read(kept.key)) == CONTENT


def pin(session: Session, build: Build) -> None:
    pins.pin(session, build, by="olga")


def run_again(session: Session, build: Build) -> None:
    session.execute(update(Build).where(Build.id == build.id).values(status=Status.IN_PROGRESS))


def be_green(session: Session, build: Build) -> None:
    values = {"id": ids.new(), "project": build.project_id, "build": build.id, "now": clock.now()}
    session.execute(
        text(
            "insert into latest_green_build (id, date_created, project_id, branch, build_id, sha)"
            " values (:id, :now, :project, 'main', :build, 'abc')"
        ),
        values,
    )


def be_a_snapshot(session: Session, build: Build) -> None:
    values = {"id": ids.new(), "project": build.project_id, "build": build.id, "now": clock.now()}
    session.execute(
        text(
            "insert into snapshot (id, date_created, project_id, build_id, status)"
            " values (:id, :now, :project, :build, 1)"
        ),
        values,
    )


def be_repeated(session: Session, build: Build) -> None:
    again = a_build_of(session, build.project_id)
    session.execute(update(Build).where(Build.id == again.id).values(retried_id=build.id))


@pytest.mark.parametrize("become", [pin, run_again, be_green, be_a_snapshot, be_repeated])
def test_what_is_needed_never_goes(
    database: Database, settings: Settings, project: UUID, become: object
) -> None:
    with database.transaction() as session:
        build = session.get_one(Build, an_old_build(session, project))
        assert callable(become)
        become(session, build)

    assert clean(settings.model_copy(update={"keep_builds_days": 30})) == {}
    assert blobs(settings) == 1


def test_the_newest_build_of_a_project_stays_however_old_it_is(
    database: Database, settings: Settings, project: UUID
) -> None:
    with database.transaction() as session:
        end(session, a_build_of(session, project), OLD)

    assert clean(settings.model_copy(update={"keep_builds_days": 30})) == {}


def test_a_build_goes_with_all_that_it_left(database: Database, settings: Settings, project: UUID) -> None:
    with database.transaction() as session:
        an_old_build(session, project)
    of_builds = {"keep_builds_days": 30, "keep_logs_days": 0, "keep_artifacts_days": 0}

    done = clean(settings.model_copy(update=of_builds))

    assert done.keys() == {"builds"}
    assert done["builds"].items == 1
    assert done["builds"].freed_bytes >= len(CONTENT)
    assert [count(database, what) for what in ("build", "log_source", "artifact", "stored_file")] == [
        1,
        0,
        0,
        0,
    ]
    assert blobs(settings) == 0


def test_the_runs_of_its_tests_go_with_a_build_and_their_sums_stay(
    database: Database, settings: Settings, project: UUID
) -> None:
    with database.transaction() as session:
        build = session.get_one(Build, an_old_build(session, project))
        (step,) = factories.steps_of(session, build)
        seen = [finished.a_test("a.works"), finished.a_test("a.breaks", "failed", message="boom")]
        testruns.store(session, step, seen)
        testdays.sum_up(session)

    clean(settings.model_copy(update={"keep_builds_days": 30}))

    assert [count(database, table) for table in ("test_run", "test_message", "test_day")] == [0, 0, 2]


def test_a_project_says_how_long_its_own_are_kept(
    database: Database, settings: Settings, project: UUID
) -> None:
    with database.transaction() as session:
        an_old_build(session, project)
        mine = session.get_one(Project, project)
        options.change(session, mine, {"keep.artifacts-days": "0", "keep.logs-days": "500"})

    assert clean(settings) == {}


@pytest.mark.parametrize(
    ("rules", "gone"),
    [("*.whl 0", 0), ("dist/*.whl 0\n*.whl 1", 0), ("*.txt 0", 1), ("x_y.whl 0", 1), ("x-y.whl 0", 0)],
)
def test_the_first_rule_that_fits_a_name_counts(
    database: Database, settings: Settings, project: UUID, rules: str, gone: int
) -> None:
    with database.transaction() as session:
        an_old_build(session, project, name="dist/x-y.whl")
        options.change(session, session.get_one(Project, project), {"keep.artifact-names": rules})

    done = clean(settings)

    assert (done["artifacts"].items if "artifacts" in done else 0) == gone


@pytest.mark.parametrize("rules", ["*.whl", "*.whl x", "30", "*.whl 99999", "\n".join(["a 1"] * 51)])
def test_rules_that_mean_nothing_are_refused(session: Session, rules: str) -> None:
    project = factories.a_project(session)

    with pytest.raises(Invalid):
        options.change(session, project, {"keep.artifact-names": rules})


def test_told_actions_are_forgotten_after_their_time(database: Database, settings: Settings) -> None:
    with database.transaction() as session:
        session.execute(
            text(
                "insert into event (id, date_created, type, item_id, data, date_modified)"
                " select gen_random_uuid(), now() - make_interval(days => days), 'mail', gen_random_uuid(),"
                " '{}', now() from unnest(array[1, 400]) as days"
            )
        )

    done = clean(settings)

    assert done["events"].items == 1
    assert count(database, "event") == 1


def test_every_cleaning_is_noted(database: Database, settings: Settings, project: UUID) -> None:
    with database.transaction() as session:
        an_old_build(session, project)

    keeping.clean(storage.storage.get(), settings, asked_by="olga@example.com")

    with database.transaction() as session:
        noted = keeping.history(session, limit=10)
    assert {(each.kind, each.asked_by) for each in noted} == {
        ("artifacts", "olga@example.com"),
        ("logs", "olga@example.com"),
    }


def test_files_that_no_row_names_go_after_a_day(
    database: Database, settings: Settings, project: UUID
) -> None:
    with database.transaction() as session:
        an_old_build(session, project)
    store = storage.storage.get()
    store.put("artifacts/lost/one", b"lost")
    store.put("uploads/lost/two", b"lost")
    store.put("elsewhere/three", b"not ours")

    assert orphans.sweep(store, older_than=timedelta(days=1)) is None
    swept = orphans.sweep(store, older_than=timedelta(0))

    assert swept is not None
    assert (swept.items, swept.freed_bytes) == (2, 8)
    assert store.size_of("elsewhere/three") == 8
    assert blobs(settings) == 1


def test_a_file_that_came_meanwhile_is_not_let_go(database: Database, settings: Settings) -> None:
    with database.transaction() as session:
        session.execute(
            text(
                "insert into stored_file values ('a', 1, 'x', now()),"
                " ('b', 1, 'y', now() - interval '2 hours')"
            )
        )

    clean(settings)

    assert count(database, "stored_file") == 1


def test_nothing_is_cleaned_where_all_is_kept_for_ever(
    database: Database, settings: Settings, project: UUID
) -> None:
    with database.transaction() as session:
        an_old_build(session, project)
    never = {f"keep_{kind.value}_days": 0 for kind in Kind}

    assert clean(settings.model_copy(update=never)) == {}
    assert db.database.get() is database


def test_a_project_may_let_its_builds_go(database: Database, settings: Settings, project: UUID) -> None:
    with database.transaction() as session:
        an_old_build(session, project)
        options.change(session, session.get_one(Project, project), {"keep.builds-days": "30"})

    assert clean(settings)["builds"].items == 1


def test_what_was_told_of_builds_goes_as_their_project_says(
    database: Database, settings: Settings, project: UUID
) -> None:
    with database.transaction() as session:
        build_id = an_old_build(session, project)
        session.execute(
            text(
                "insert into event (id, date_created, type, item_id, data, date_modified)"
                " values (gen_random_uuid(), now() - interval '400 days', 'mail', :id, '{}', now())"
            ),
            {"id": build_id},
        )
        options.change(session, session.get_one(Project, project), {"keep.events-days": "0"})

    assert "events" not in clean(settings)
    assert count(database, "event") == 1
