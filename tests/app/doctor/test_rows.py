"""Each contradiction between rows is found by name, and a healthy busy system has none."""

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session
from tests.app.doctor import world
from tests.app.doctor.world import World
from tests.conftest import copy_of_template
from tests.results.log_texts import BLOB, PACKED, a_log_of

from changes.app import plugins
from changes.app.demo import filling
from changes.app.doctor import looking, mending, questions, queue, rows, sums, work_sums
from changes.app.doctor.findings import Finding, State
from changes.base import db, ids, jobs, process, storage
from changes.base.db import Database
from changes.base.settings import Settings
from changes.base.storage import Storage
from changes.projects import mirrors
from changes.results import collect

OF_SUMS = {"counts-of-parts", "verdicts-follow-parts"}
A_TASK = (
    "insert into task (id, name, child_id, state, due_at, sent_at, lease_until, date_created) values"
    " (gen_random_uuid(), 'a.task', gen_random_uuid(), {state}, now(), now() - interval '1 h',"
    " now() - interval '1 h', now())"
)
AGAIN = (
    "with again as (update test_batch set end_id = end_id + 1 where step_id = :passed returning end_id)"
    " insert into test_run (id, test_id, result) select again.end_id - 1, test_id, result"
    " from again join test_run on id = again.end_id - 2"
)
AN_EVENT = (
    "insert into event (id, type, item_id, key, data, date_created, date_modified)"
    " values (gen_random_uuid(), 'mail', :passed_build, '', '{}', now(), now())"
)
A_GROUP = """
insert into concurrency_group (id, date_created, name, "limit") values (gen_random_uuid(), now(), 'g', 0)
"""
A_LIMIT = """
insert into project_option (id, date_created, project_id, name, value)
select gen_random_uuid(), now(), project_id, 'queue.limit', '0' from job_step where id = :running
"""
A_DAY = "insert into project_day values (:project, current_date, 1, 1, 1, 0, 0, 0, 0)"
A_DAY_OF_WORK = """
insert into work_day values (:project, current_date - 2, 1, :project, true, 1, 9, 0, 0, 0)
"""
COVERAGE = """
insert into build_coverage (build_id, project_id, date_merged, is_of_commit, report_count, file_count,
    lines_covered, lines_uncovered)
values (:passed_build, :project, now() - interval '1 h', true, 1, 1, 7, 0)
"""
# How to break exactly that.
BREAKS = {
    "running-is-held": ["update job_step set node_id = null where id = :running"],
    "waiting-is-free": ["update job_step set node_id = :node where id = :waiting"],
    "one-live-attempt": ["update job_step set status = 2 where id = :replaced"],
    "attempts-in-order": ["update job_step set attempt = 1 where id = :replacement"],
    "one-agent-per-key": ["update node set date_twin_heard = now() where id = :node"],
    "build-ends-with-its-jobs": ["update build set status = 2 where id = :passed_build"],
    "job-ends-with-its-phases": ["update job set status = 2 where id = :passed_job"],
    "phase-ends-with-its-steps": ["update job_phase set status = 2 where job_id = :passed_job"],
    "nothing-goes-on-below-an-end": ["update build set status = 3 where id = :running_build"],
    "builds-are-planned": [
        "delete from job where build_id = :waiting_build",
        "update build set date_created = now() - interval '1 h' where id = :waiting_build",
    ],
    "something-goes-on": [
        "update job_step set status = 1 where id = :waiting",
        "update build set date_created = now() - interval '1 h' where id = :waiting_build",
    ],
    "jobs-are-let-go": [
        "update job_step set status = 1 where id = :waiting",
        "update build set date_created = now() - interval '1 h' where id = :waiting_build",
    ],
    "silent-agents-are-noticed": [
        "update job_step set last_heartbeat = now() - interval '1 h' where id = :running"
    ],
    "limits-are-kept": ["update job_step set date_started = now() - interval '2 d' where id = :running"],
    "results-are-read": [
        "update job_step set last_heartbeat = now() - interval '1 h' where id = :collecting",
        "delete from task where child_id = :collecting",
    ],
    "silence-elsewhere-is-noticed": ["update outside_build set date_heard = now() - interval '1 d'"],
    "somebody-can-take-them": ["update node set date_last_seen = now() - interval '1 h'"],
    "over-has-a-result": ["update job_step set result = 0 where id = :passed"],
    "over-has-a-date": ["update job_step set date_finished = null where id = :passed"],
    "nothing-arrives-late": ["update artifact set date_created = now() + interval '1 d'"],
    "numbers-of-builds": ["update project set last_build_number = 0 where id = :project"],
    "numbers-of-jobs": ["update build set last_job_number = 0 where id = :passed_build"],
    "tests-of-steps": ["delete from test_batch where step_id = :passed"],
    "sums-of-days": [A_DAY],
    "sums-of-work": [A_DAY_OF_WORK],
    "sums-of-jobs-and-builds": ["update item_stat set value = value + 1 where item_id = :passed_build"],
    "coverage-of-builds": [COVERAGE],
    "actions-once": ["alter table event drop constraint uq_event_type_item_id_key", AN_EVENT, AN_EVENT],
    "news-have-listeners": [
        "insert into outbox (id, type, data, date_created) values (gen_random_uuid(), 'x', '{}', now())"
    ],
    "indexes-are-whole": [
        "update pg_index set indisvalid = false where indexrelid = 'ix_build_tags'::regclass"
    ],
    "logs-without-holes": ['delete from log_chunk where "offset" = 4'],
    "tests-once": [AGAIN],
    "lost-tasks-are-found": [A_TASK.format(state=1)],
    "parents-wake-up": [A_TASK.format(state=2)],
    "waiting-is-in-line": [
        "update job_step set lane_id = null, date_pending = now() - interval '1 h' where id = :waiting"
    ],
    "lanes-are-right": ["""update job_step set data = data || '{"cpus"\\: 7}' where id = :waiting"""],
    "lanes-do-not-change": ["update lane set cpus = 7"],
    "lanes-are-looked-at": [
        "update job_step set date_pending = now() - interval '1 h' where id = :waiting",
        "delete from busy_lane",
    ],
    "lanes-have-turns": ["delete from turn where id = (select min(id::text)::uuid from turn)"],
    "holders-are-heard": ["update node set date_last_seen = now() - interval '1 h' where id = :node"],
    "groups-keep-their-limit": [
        A_GROUP,
        "update lane set concurrency_group = 'g'",
        "update job_step set lane_id = (select id from lane limit 1) where id = :running",
    ],
    "projects-keep-their-limit": [A_LIMIT],
    "counts-of-parts": ["""update build set tally = '{"3.1"\\: 7}' where id = :passed_build"""],
    "verdicts-follow-parts": ["update build set result = 1 where id = :failed_build"],
}
MENDED = (
    "numbers-of-builds",
    "numbers-of-jobs",
    "sums-of-days",
    "sums-of-work",
    "sums-of-jobs-and-builds",
    "counts-of-parts",
)
LOGS_BROKEN = [
    'delete from log_chunk where "offset" = 0',
    'delete from log_chunk where "offset" = 8',
    "update log_chunk set data = 'x' where \"offset\" = 4",
    "update log_chunk set frames = decode(repeat('01000000', 4), 'hex') where \"offset\" = 4",
    "update log_source set size_bytes = size_bytes + 1",
]


def sick(findings: list[Finding]) -> dict[str, Finding]:
    return {finding.name: finding for finding in findings if finding.state != State.OK}


def examine(session: Session, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> dict[str, Finding]:
    # As where a web server has been listening for long.
    monkeypatch.setattr(rows, "COULD_HEAR", "select true")
    session.flush()
    return sick(rows.check(session.connection(), settings))


def run(session: Session, made: World, statements: list[str]) -> None:
    session.flush()
    for statement in statements:
        names = {name: value for name, value in made.values.items() if f":{name}" in statement}
        session.execute(text(statement), names)
    session.expire_all()


@pytest.fixture(scope="module")
def everything(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Database, World]]:
    """One of each, made once; every test breaks it for itself."""
    home = tmp_path_factory.mktemp("everything")
    with copy_of_template() as url:
        made = Database(url, pool_size=2)
        process.settings.set(Settings(home=home, base_url="http://changes.test"))
        storage.storage.set(Storage((home / "blobs").as_uri()))
        mirrors.folder.set(home / "repos")
        plugins.introduce()
        jobs.bell.set(jobs.nobody_rings)
        db.database.set(made)
        with made.transaction() as session:
            passed = world.begin(session)
        collect.collect_step(passed)
        with made.transaction() as session:
            rest = world.make(session, passed)
        yield made, rest
        made.close()


@pytest.fixture
def healthy(everything: tuple[Database, World]) -> World:
    return everything[1]


@pytest.fixture
def session(everything: tuple[Database, World], settings: Settings) -> Iterator[Session]:
    """Rolled back at the end."""
    with everything[0].engine.connect() as connection:
        outer = connection.begin()
        with Session(connection, join_transaction_mode="create_savepoint") as session:
            yield session
        outer.rollback()


def test_a_healthy_system_in_which_everything_goes_on_has_no_finding(
    session: Session, settings: Settings, healthy: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert examine(session, settings, monkeypatch) == {}


def test_an_empty_system_has_no_finding(database: Database, settings: Settings) -> None:
    with looking.snapshot(database.url) as connection:
        assert sick(rows.check(connection, settings)) == {}


def test_a_month_of_sample_data_has_no_finding(database: Database, settings: Settings) -> None:
    into = filling.Into(database, Storage("memory://"), lambda _: None)
    filling.fill(into, filling.Wanted(now=datetime.now(UTC), projects=3, builds=60))

    with looking.snapshot(database.url) as connection:
        found = sick(rows.check(connection, settings))

    # Its agents are pretended, so nobody takes what waits, or speaks for what runs.
    assert set(found) <= {"somebody-can-take-them", "limits-are-kept"}


def test_every_check_has_a_way_to_break_it() -> None:
    asked = {question.name for question in (*questions.ALL, *queue.QUEUE, *work_sums.QUESTIONS)}

    assert asked | OF_SUMS == set(BREAKS)


@pytest.mark.parametrize("name", BREAKS)
def test_what_is_broken_is_named(
    session: Session, settings: Settings, healthy: World, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(session, healthy, BREAKS[name])

    found = examine(session, settings, monkeypatch)

    assert name in found, found
    assert found[name].advice
    assert found[name].examples


@pytest.mark.parametrize("statement", LOGS_BROKEN)
def test_a_log_that_lacks_bytes_at_any_place_is_found(
    session: Session, settings: Settings, healthy: World, statement: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(session, healthy, [statement])

    assert "logs-without-holes" in examine(session, settings, monkeypatch)


@pytest.mark.parametrize("form", [PACKED, BLOB])
def test_a_log_that_is_packed_has_no_hole(
    session: Session, settings: Settings, healthy: World, form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    a_log_of(session, b"a line\n" * 200_000, [(600_000, form), (700_000, form)])

    assert "logs-without-holes" not in examine(session, settings, monkeypatch)


def test_lines_that_several_steps_ran_are_no_sum_of_theirs(
    session: Session, settings: Settings, healthy: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    covered = "insert into item_stat (item_id, name, value) values (:{}, 'lines_covered', {})"
    run(session, healthy, [covered.format("passed", 5), covered.format("passed_build", 4)])

    assert "sums-of-jobs-and-builds" not in examine(session, settings, monkeypatch)


@pytest.mark.parametrize(
    "name", ["silent-agents-are-noticed", "limits-are-kept", "silence-elsewhere-is-noticed"]
)
def test_what_came_late_while_no_web_server_ran_is_nobodys(
    session: Session, settings: Settings, healthy: World, name: str
) -> None:
    run(session, healthy, BREAKS[name])

    found = sick(rows.check(session.connection(), settings))

    assert name not in found


def test_a_build_somebody_ended_may_be_worse_than_its_parts_but_never_better(
    session: Session, settings: Settings, healthy: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(session, healthy, ["update build set result = 5 where id = :passed_build"])

    assert "verdicts-follow-parts" in examine(session, settings, monkeypatch)


def test_what_is_miscounted_is_counted_anew_and_nothing_else(
    database: Database, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    with database.transaction() as session:
        passed = world.begin(session)
    collect.collect_step(passed)
    with database.transaction() as session:
        made = world.make(session, passed)
    with database.transaction() as session:
        for name in MENDED:
            run(session, made, BREAKS[name])
        run(
            session,
            made,
            ["update item_stat set value = 99 where item_id = :passed", *BREAKS["over-has-a-date"]],
        )
    with database.transaction() as session:
        before = examine(session, settings, monkeypatch)

    mending.mend(database, [name for each in before.values() if each.can_be_mended for name in each.examples])

    with database.transaction() as session:
        after = examine(session, settings, monkeypatch)
    assert len(before) == len(MENDED) + 2, before
    assert set(after) == {"over-has-a-date"}


def test_what_waits_in_a_wrong_lane_or_in_none_enters_anew(
    database: Database, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    with database.transaction() as session:
        made = world.make(session, world.begin(session))
    names = ("waiting-is-in-line", "lanes-are-right", "lanes-do-not-change", "lanes-have-turns")
    with database.transaction() as session:
        for name in names:
            run(session, made, BREAKS[name])
        before = examine(session, settings, monkeypatch)

    mending.mend(database, [])

    with database.transaction() as session:
        assert set(names) <= set(before)
        assert not set(names) & set(examine(session, settings, monkeypatch))


def test_a_lane_that_is_overlooked_is_looked_at_again(
    database: Database, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    with database.transaction() as session:
        made = world.make(session, world.begin(session))
        run(session, made, BREAKS["lanes-are-looked-at"])

    mending.mend(database, [])

    with database.transaction() as session:
        assert not examine(session, settings, monkeypatch)


def test_looking_writes_nothing_and_sees_one_moment(database: Database, settings: Settings) -> None:
    with looking.snapshot(database.url) as connection:
        rows.check(connection, settings)
        with database.transaction() as session:
            made = world.make(session, world.begin(session))
            run(session, made, BREAKS["over-has-a-date"])

        assert sick(rows.check(connection, settings)) == {}
        with pytest.raises(Exception, match="read-only transaction"):
            looking.rows(connection, "delete from build")


def test_a_question_that_takes_too_long_is_said_and_the_others_are_asked(
    database: Database, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = questions.Question("slow", "All is fast", "select pg_sleep(60)", "")
    monkeypatch.setattr(questions, "ALL", [slow, *questions.ALL[:1]])
    monkeypatch.setattr(looking, "STATEMENT_WITHIN_S", 1)

    with looking.snapshot(database.url) as connection:
        first, second, *_ = rows.check(connection, settings)

    assert (first.state, second.state) == (State.WARNING, State.OK)
    assert "looking took longer than 1 s" in first.text


def test_many_wrong_rows_are_counted_and_few_are_named() -> None:
    wrong = [f"build {ids.new()}" for _ in range(7)]

    finding = sums.finding("x", "All is well", wrong)

    assert "7 are not: " in finding.text
    assert finding.text.count("build ") == 5
