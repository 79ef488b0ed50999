"""The machine and the services: what the doctor says when one of them is not well."""

import shutil
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session
from tests import factories
from tests.app.doctor.test_rows import A_TASK, sick
from tests.builds import agents
from tests.results.log_texts import BLOB, a_log
from tests.scenarios.running import free_port

from changes.app.doctor import database, host, main, work
from changes.app.doctor.findings import State
from changes.base import clock
from changes.base.db import Database
from changes.base.settings import Loaded, Settings
from changes.base.storage import Storage
from changes.projects.rules import RepositoryBackend
from changes.results.models import LogChunk

PERIOD = (
    "insert into task (id, name, child_id, state, due_at, sent_at, date_created, date_finished) values"
    " (gen_random_uuid(), 'builds.sweep_steps', gen_random_uuid(), 3, now(), now(),"
    " now() - make_interval(secs => {age_s}), now() - make_interval(secs => {age_s}))"
)
LATE = "update task set due_at = now() - interval '10 min', date_created = now() - interval '10 min'"


def run(session: Session, *statements: str) -> None:
    session.flush()
    for statement in statements:
        session.execute(text(statement))


# --- who works ---------------------------------------------------------------------------


@pytest.fixture
def at_work(session: Session) -> Session:
    """A worker, a beat and an agent, all heard of just now."""
    run(session, PERIOD.format(age_s=3))
    node = factories.a_node(session)
    node.date_last_seen = clock.now()
    session.flush()
    return session


def names_of_work(session: Session, settings: Settings) -> dict[str, State]:
    session.flush()
    return {each.name: each.state for each in sick(work.check(session.connection(), settings)).values()}


def test_where_everybody_works_nothing_is_said(at_work: Session, settings: Settings) -> None:
    assert names_of_work(at_work, settings) == {}


def test_a_schedule_that_nobody_keeps_is_broken(at_work: Session, settings: Settings) -> None:
    run(at_work, "update task set date_created = now() - interval '10 min'")

    assert names_of_work(at_work, settings) == {"beat": State.BROKEN}


def test_a_worker_that_ends_nothing_is_broken(at_work: Session, settings: Settings) -> None:
    run(at_work, "update task set date_finished = now() - interval '10 min'")

    assert names_of_work(at_work, settings) == {"worker": State.BROKEN}


def test_a_system_where_no_worker_ever_ran_says_so(session: Session, settings: Settings) -> None:
    assert names_of_work(session, settings) == {
        "beat": State.BROKEN,
        "worker": State.BROKEN,
        "agents": State.WARNING,
    }


def test_overdue_tasks_are_counted(at_work: Session, settings: Settings) -> None:
    run(at_work, A_TASK.format(state=0), "update task set due_at = now() - interval '5 min' where state = 0")

    assert names_of_work(at_work, settings) == {"queue": State.WARNING}


def test_tasks_that_were_given_up_are_named(at_work: Session, settings: Settings) -> None:
    run(at_work, A_TASK.format(state=4), "update task set date_finished = now() where state = 4")

    found = sick(work.check(at_work.connection(), settings))["failed-tasks"]

    assert "a.task (1)" in found.text


def test_announcements_that_nobody_delivers_are_named(at_work: Session, settings: Settings) -> None:
    agents.end(at_work, agents.a_taken_step(at_work))
    run(at_work, "update outbox set date_created = now() - interval '10 min'")
    run(at_work, "update node set date_last_seen = now()")

    found = sick(work.check(at_work.connection(), settings))["outbox"]

    assert "builds.BuildFinished" in found.text


def test_agents_that_are_not_heard_of_are_named(at_work: Session, settings: Settings) -> None:
    factories.a_node(at_work, "asleep").date_last_seen = clock.now() - timedelta(hours=1)
    at_work.flush()

    assert "asleep" in sick(work.check(at_work.connection(), settings))["agents"].text


def test_an_agent_that_was_revoked_is_not_missed(at_work: Session, settings: Settings) -> None:
    factories.a_node(at_work, "gone").token_digest = None
    at_work.flush()

    assert names_of_work(at_work, settings) == {}


def test_agents_of_another_version_are_named(at_work: Session, settings: Settings) -> None:
    old = factories.a_node(at_work, "old")
    old.version, old.date_last_seen = "0.0.1", clock.now()
    at_work.flush()

    assert "old (0.0.1)" in sick(work.check(at_work.connection(), settings))["agent-versions"].text


def a_machine_with(session: Session, sandboxes: list[str], limits: list[str]) -> None:
    node = factories.a_node(session, "odd")
    node.date_last_seen, node.sandboxes, node.limits = clock.now(), sandboxes, limits
    session.flush()


def test_a_machine_whose_steps_are_plain_processes_is_named(at_work: Session, settings: Settings) -> None:
    a_machine_with(at_work, ["process", "podman"], ["memory", "pids", "cpus"])

    found = sick(work.check(at_work.connection(), settings))

    assert found.keys() == {"agent-sandboxes"}
    assert found["agent-sandboxes"].text.endswith("reach what their account can, on odd")


@pytest.mark.parametrize("limits", [[], ["cpus"], ["memory"]])
def test_a_machine_that_holds_steps_to_no_limits_is_named(
    at_work: Session, settings: Settings, limits: list[str]
) -> None:
    a_machine_with(at_work, ["process", "bubblewrap"], limits)

    found = sick(work.check(at_work.connection(), settings))

    assert found.keys() == {"agent-limits"}
    assert "what is not trusted is refused there" in found["agent-limits"].advice


def test_of_a_machine_that_tells_of_no_sandboxes_nothing_is_said(
    at_work: Session, settings: Settings
) -> None:
    a_machine_with(at_work, [], [])

    assert names_of_work(at_work, settings) == {}


# --- the database as a server ------------------------------------------------------------


def test_a_database_of_this_version_and_time_has_no_finding(session: Session) -> None:
    found = sick(database.check(session.connection()))

    # The server of the tests does not wait for its disk, and no web server runs on it.
    assert set(found) == {"durability", "web"}
    assert database.other_revision(session.connection()) is None
    assert database.tables(session.connection()).state == State.OK


def test_a_schema_of_another_version_is_broken(session: Session) -> None:
    run(session, "update alembic_version set version_num = '0001'")

    found = database.other_revision(session.connection())

    assert found is not None
    assert (found.state, found.advice) == (State.BROKEN, "Run `changes db upgrade`.")


def test_a_schema_from_the_future_is_not_to_be_upgraded(session: Session) -> None:
    run(session, "update alembic_version set version_num = '9999'")

    found = database.other_revision(session.connection())

    assert found is not None
    assert "that version" in found.advice


def test_a_database_that_was_never_used_needs_its_schema(session: Session) -> None:
    run(session, "drop table alembic_version")

    assert "missing" in getattr(database.other_revision(session.connection()), "text", "")


def test_a_column_that_is_missing_is_found(session: Session) -> None:
    run(session, "alter table outside_build drop column url")

    assert "not what this version expects" in database.tables(session.connection()).text


@pytest.mark.parametrize(("apart_s", "state"), [(0, State.OK), (5, State.WARNING), (-90, State.BROKEN)])
def test_clocks_that_differ_are_told(
    session: Session, monkeypatch: pytest.MonkeyPatch, apart_s: int, state: State
) -> None:
    now = clock.now
    monkeypatch.setattr(clock, "now", lambda: now() + timedelta(seconds=apart_s))

    assert database.clocks(session.connection()).state == state


# --- this machine ------------------------------------------------------------------------


def test_a_broker_that_is_not_there_is_broken(settings: Settings) -> None:
    away = settings.model_copy(update={"broker_url": f"redis://127.0.0.1:{free_port()}/0"})

    assert host.check_broker(away).state == State.BROKEN


def test_a_store_that_takes_and_gives_back_is_well_and_left_as_it_was(tmp_path: Path) -> None:
    storage = Storage((tmp_path / "blobs").as_uri())

    assert host.check_blobs(storage).state == State.OK
    assert [path for path in (tmp_path / "blobs").rglob("*") if path.is_file()] == []


def test_a_store_that_cannot_be_written_is_broken(tmp_path: Path) -> None:
    storage = Storage((tmp_path / "blobs").as_uri())
    # Where its folder would be lies a file.
    (tmp_path / "blobs" / "doctor").write_text("in the way")

    assert host.check_blobs(storage).state == State.BROKEN


@pytest.fixture
def artifact(session: Session, settings: Settings) -> Any:
    return agents.leave_behind(session, agents.a_taken_step(session), b"a report", "report.txt")


def test_artifacts_whose_bytes_are_there_are_well(
    session: Session, settings: Settings, artifact: Any
) -> None:
    found = host.check_artifacts(session.connection(), Storage(settings.blob_url))

    assert (found.state, "1 looked at" in found.text) == (State.OK, True)


def test_an_artifact_whose_bytes_are_gone_is_named(
    session: Session, settings: Settings, artifact: Any
) -> None:
    Storage(settings.blob_url).delete(artifact.key)

    found = host.check_artifacts(session.connection(), Storage(settings.blob_url))

    assert (found.state, "report.txt" in found.text) == (State.BROKEN, True)


def test_an_artifact_that_was_cut_off_is_named(session: Session, settings: Settings, artifact: Any) -> None:
    Storage(settings.blob_url).put(artifact.key, b"a")

    assert host.check_artifacts(session.connection(), Storage(settings.blob_url)).state == State.BROKEN


@pytest.mark.parametrize(
    ("harm", "state"),
    [
        (lambda _storage, _key: None, State.OK),
        (lambda storage, key: storage.delete(key), State.BROKEN),
        (lambda storage, key: storage.put(key, b"a"), State.BROKEN),
    ],
    ids=["whole", "gone", "cut off"],
)
def test_packed_logs_are_looked_for(
    session: Session, settings: Settings, harm: Callable[[Storage, str], None], state: State
) -> None:
    source = a_log(session, b"a line\n" * 1000, BLOB)
    chunk = session.query(LogChunk).filter_by(source_id=source.id).one()
    harm(Storage(settings.blob_url), chunk.key or "")

    found = host.check_logs(session.connection(), Storage(settings.blob_url))

    assert (found.state, str(source.id) in found.text) == (state, state != State.OK)


@pytest.mark.parametrize(
    ("free_mb", "state"), [(100, State.BROKEN), (1000, State.WARNING), (50_000, State.OK)]
)
def test_a_disk_that_is_nearly_full_is_told(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, free_mb: int, state: State
) -> None:
    usage = SimpleNamespace(free=free_mb * 1024**2, total=10**12)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)

    assert host.check_disk(settings, Storage(settings.blob_url)).state == state


def test_a_home_that_belongs_to_its_owner_alone_is_well(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    (tmp_path / "secret_key").touch(0o600)

    assert host.check_home(tmp_path).state == State.OK


@pytest.mark.parametrize("name", ["secret_key", "cli.json", "changes.toml"])
def test_a_secret_that_others_may_read_is_broken(tmp_path: Path, name: str) -> None:
    tmp_path.chmod(0o700)
    (tmp_path / name).touch()
    (tmp_path / name).chmod(0o644)

    found = host.check_home(tmp_path)

    assert (found.state, name in found.text) == (State.BROKEN, True)


def test_a_home_that_others_may_change_is_broken(tmp_path: Path) -> None:
    tmp_path.chmod(0o777)

    assert host.check_home(tmp_path).state == State.BROKEN


def test_a_tool_that_is_missing_is_broken(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")

    assert "no git" in host.check_tools(session.connection()).text


def test_mercurial_is_missed_only_where_a_repository_needs_it(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None if name == "hg" else f"/usr/bin/{name}")
    before = host.check_tools(session.connection()).state
    factories.a_repository(session, backend=RepositoryBackend.HG)

    after = host.check_tools(session.connection())

    assert (before, after.state, "no hg" in after.text) == (State.OK, State.BROKEN, True)


def test_lines_of_old_settings_that_mean_nothing_are_told(settings: Settings) -> None:
    found = host.check_settings(settings, ("old.py, line 3: FOO means nothing",))

    assert (found.state, "FOO" in found.text) == (State.WARNING, True)


def test_links_that_lead_nobody_anywhere_are_told(settings: Settings) -> None:
    odd = settings.model_copy(update={"host": "::", "base_url": "http://127.0.0.1:5000"})

    assert "BASE_URL" in host.check_settings(odd, ()).advice


# --- all together ------------------------------------------------------------------------


def test_a_database_that_is_away_is_said_and_the_rest_is_examined(settings: Settings) -> None:
    settings.home.mkdir(exist_ok=True)
    url = f"postgresql+psycopg://nobody@127.0.0.1:{free_port()}/nothing"
    away = settings.model_copy(update={"database_url": url, "broker_url": "memory://"})

    found = {each.name: each.state for each in main.examine(Loaded(away, ()))}

    assert (found["database"], found["blobs"], found["disk"]) == (State.BROKEN, State.OK, State.OK)


def test_where_no_system_is_nothing_is_made(settings: Settings) -> None:
    nowhere = settings.model_copy(update={"home": settings.home / uuid4().hex})

    (found,) = main.examine(Loaded(nowhere, ()))

    assert (found.name, found.state, nowhere.home.exists()) == ("home", State.BROKEN, False)


def test_of_a_database_with_another_schema_no_row_is_asked_for(
    database: Database, settings: Settings
) -> None:
    settings.home.mkdir(exist_ok=True)
    with database.transaction() as session:
        run(session, "update alembic_version set version_num = '0001'", "drop table outside_build")
    here = settings.model_copy(update={"database_url": database.url, "broker_url": "memory://"})

    found = {each.name: each.state for each in main.examine(Loaded(here, ()))}

    assert found["schema"] == State.BROKEN
    assert "running-is-held" not in found
