"""The commands about the queue and the machines, as somebody types them, before a real server."""

import io
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session
from tests import factories
from tests.builds import queues
from tests.conftest import copy_of_template
from tests.finished import a_test, report
from tests.scenarios.running import Part, eventually, free_port

from changes.app.cli import queue
from changes.app.cli.main import main
from changes.app.embedded.home import Home
from changes.app.embedded.valkey import Valkey
from changes.base import clock, db, ids
from changes.base.db import Base
from changes.base.settings import Settings
from changes.base.task import Task, TaskState
from changes.builds import settle
from changes.builds.models import BazelTarget, Build, JobStep, Node
from changes.builds.rules import Result, Status
from changes.people.rules import Scope
from changes.results import partitions, testdays

pytestmark = pytest.mark.system
WITHIN_S = 300.0
REFUSED, WRONG_USAGE, NOT_REACHABLE, NOT_ALLOWED = 1, 2, 3, 4
NOBODY = "0" * 32
Command = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def site() -> Iterator[tuple[str, db.Database]]:
    """A web process with its own database and bell; no worker and no agent."""
    # Not pytest's folder: the path of a socket must be short, and the database's account pass.
    top = Path(tempfile.mkdtemp(prefix="changes-web-"))
    top.chmod(0o711)
    with copy_of_template() as database_url, Home(top / "home") as home:
        broker, port = Valkey(home), free_port()
        env = {**os.environ, "CHANGES_HOME": str(home.path), "PORT": str(port), "DATABASE_URL": database_url}
        web = Part("web", ("web",), {**env, "BROKER_URL": broker.url}, top / "web.log", is_fresh=True)
        database = db.Database(database_url, pool_size=2)
        try:
            broker.start()
            web.start()
            eventually(lambda: answers(web, port), WITHIN_S)
            yield f"http://127.0.0.1:{port}", database
        finally:
            web.kill()
            broker.stop()
            database.close()
    shutil.rmtree(top)


def answers(web: Part, port: int) -> bool:
    assert web.is_running, web.said
    try:
        return httpx.get(f"http://127.0.0.1:{port}/healthz").is_success
    except httpx.TransportError:
        return False


@pytest.fixture
def data(site: tuple[str, db.Database], settings: Settings) -> Iterator[db.Database]:
    """Emptied after each test."""
    _, database = site
    db.database.set(database)
    yield database
    names = "; ".join(f'delete from "{table.name}"' for table in reversed(Base.metadata.sorted_tables))
    with database.transaction() as session:
        session.connection().exec_driver_sql(names)


@pytest.fixture
def run(
    site: tuple[str, db.Database],
    data: db.Database,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> Command:
    """As an administrator, unless another token is given."""
    with data.transaction() as session:
        secret = factories.a_token(session, Scope.ADMIN)
    monkeypatch.setenv("CHANGES_URL", site[0])

    def run(*words: str, token: str = secret) -> subprocess.CompletedProcess[str]:
        monkeypatch.setenv("CHANGES_TOKEN", token)
        monkeypatch.setattr(sys, "argv", ["changes", *words])
        monkeypatch.setattr(sys, "stdin", io.StringIO())
        capfd.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        return subprocess.CompletedProcess(words, int(ended.value.code or 0), *capfd.readouterr())

    return run


def answer_of(done: subprocess.CompletedProcess[str]) -> Any:
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def a_waiting_build(session: Session, slug: str = "hello", **needs: Any) -> Build:
    return queues.ask_for(session, queues.a_project(session, slug, **needs))


def first_step(session: Session, build: Build) -> JobStep:
    return factories.steps_of(session, build)[0]


# --- why, queue, priority ------------------------------------------------------------------


def test_why_takes_the_id_of_a_build_or_of_a_step(run: Command, data: db.Database) -> None:
    with data.transaction() as session:
        build = a_waiting_build(session, cluster="arm")
        queues.a_node(session)
        build_id, step_id = build.id.hex, first_step(session, build).id.hex

    of_build, of_step = run("why", build_id), run("why", step_id)

    assert "none offers cluster arm" in of_build.stdout
    assert of_step.stdout == of_build.stdout
    assert answer_of(run("why", step_id, "--json"))[0]["block"] == "never"


def test_why_of_what_does_not_wait_says_so(run: Command, data: db.Database) -> None:
    with data.transaction() as session:
        build = a_waiting_build(session)
        factories.give_to(session, first_step(session, build), queues.a_node(session))
        build_id = build.id.hex

    assert run("why", build_id).stdout == "Nothing of it waits: it runs, or has ended.\n"


def test_why_of_nothing_is_wrong_usage_in_words(run: Command) -> None:
    done = run("why", NOBODY)

    assert (done.returncode, done.stdout) == (WRONG_USAGE, "")
    assert "no build and no job step" in done.stderr


def test_the_targets_of_a_build_say_who_ran_them_and_why(run: Command, data: db.Database) -> None:
    with data.transaction() as session:
        build = factories.a_build(session)
        (step,) = factories.steps_of(session, build)
        ran = BazelTarget(job_id=step.job_id, step_id=step.id, name="//a:ran", result=Result.FAILED)
        left_out = BazelTarget(
            job_id=step.job_id, name="//b:out", result=Result.SKIPPED, message="Too\nlong."
        )
        session.add_all([ran, left_out])
        build_id = build.id.hex

    all_of_it, failed = run("targets", build_id), run("targets", build_id, "--result", "failed", "--json")

    assert all_of_it.stdout.splitlines()[1:] == [
        "//a:ran  failed   this build",
        "//b:out  skipped  nobody          Too long.",
    ]
    assert [each["name"] for each in answer_of(failed)] == ["//a:ran"]
    assert run("targets", build_id, "--query", "zzz").stdout == "No target is like that.\n"


@pytest.mark.parametrize(
    ("seconds", "words"), [(119, "119 s"), (600, "10 min"), (7200, "2 h"), (172_800, "2 days")]
)
def test_a_long_wait_is_said_in_units_that_people_use(seconds: int, words: str) -> None:
    assert queue.minutes(seconds) == words


def test_the_queue_says_how_many_wait_and_why(run: Command, data: db.Database) -> None:
    with data.transaction() as session:
        queues.a_queue(session, "greedy", 3, cluster="arm")
        queues.a_queue(session, "other", 1)
        queues.a_node(session)

    told, narrowed = run("queue").stdout, run("queue", "--cluster", "arm").stdout

    assert "4 steps wait" in told
    assert "cluster=arm" in told
    assert "never" in told
    assert ("greedy" in narrowed, "other" in narrowed) == (True, False)
    assert answer_of(run("queue", "--json"))["laneCount"] == 2


def test_an_empty_queue_says_so(run: Command) -> None:
    assert run("queue").stdout == "0 steps wait; 0 machines are heard of.\n"
    assert queue.head_line(1, 1) == "1 step waits; 1 machine is heard of."


def test_a_priority_is_changed(run: Command, data: db.Database) -> None:
    with data.transaction() as session:
        build_id = a_waiting_build(session).id.hex

    done = run("priority", build_id, "high", "--json")

    assert answer_of(done)["priority"] == "high"
    assert "has the priority high" in done.stderr


def test_a_priority_nobody_knows_is_wrong_usage(run: Command, data: db.Database) -> None:
    with data.transaction() as session:
        build_id = a_waiting_build(session).id.hex

    done = run("priority", build_id, "higher")

    assert done.returncode == WRONG_USAGE
    assert "priority" in done.stderr


# --- machines ------------------------------------------------------------------------------


def test_a_machine_is_drained_disabled_and_enabled(run: Command, data: db.Database) -> None:
    with data.transaction() as session:
        queues.a_node(session, label="forge/1", labels={"cluster": "linux"})

    drained = run("node", "drain", "forge/1", "--reason", "new disk")
    disabled = answer_of(run("node", "disable", "forge/1", "--json"))
    enabled = run("node", "enable", "forge/1")

    assert drained.stdout == "forge/1: drained: new disk\n"
    assert disabled["state"] == "disabled"
    assert enabled.stdout == "forge/1: ready\n"


def test_machines_are_listed_and_shown(run: Command, data: db.Database) -> None:
    with data.transaction() as session:
        queues.a_node(session, label="forge-1", labels={"cluster": "linux"}, cpus=4)

    listed, shown = run("node", "list"), run("node", "show", "forge-1")

    assert "forge-1" in listed.stdout
    assert "ready" in listed.stdout
    assert "cluster=linux; 4 cpus" in shown.stdout
    assert answer_of(run("node", "show", "forge-1", "--json"))["name"] == "forge-1"
    assert [each["name"] for each in answer_of(run("node", "list", "--json"))] == ["forge-1"]


def test_the_key_of_a_machine_is_replaced_and_taken_away(run: Command, data: db.Database) -> None:
    with data.transaction() as session:
        queues.a_node(session, label="forge-1")

    replaced = answer_of(run("node", "replace-key", "forge-1", "--json"))
    revoked = run("node", "revoke", "forge-1")

    assert replaced["key"]["isToBeReplaced"] is True
    assert revoked.stdout == "forge-1: revoked\n"
    with data.transaction() as session:
        assert session.execute(select(Node.token_digest)).scalar_one() is None


def test_a_machine_nobody_knows_is_wrong_usage(run: Command) -> None:
    done = run("node", "drain", "nobody")

    assert done.returncode == WRONG_USAGE
    assert "There is no node 'nobody'" in done.stderr


def test_only_administrators_drain(run: Command, data: db.Database) -> None:
    with data.transaction() as session:
        queues.a_node(session, label="forge-1")
        writer = factories.a_token(session, Scope.WRITE)

    done = run("node", "drain", "forge-1", token=writer)

    assert done.returncode == NOT_ALLOWED
    assert "needs the scope admin" in done.stderr


# --- groups --------------------------------------------------------------------------------


def test_the_limit_of_a_group_is_set_listed_and_lifted(run: Command) -> None:
    done = run("group", "limit", "data/base", "2", "--json")

    assert answer_of(done) == [{"name": "data/base", "limit": 2, "held": 0}]
    assert "data/base" in run("group", "list").stdout
    assert run("group", "remove", "data/base").returncode == 0
    assert answer_of(run("group", "list", "--json")) == []


def test_a_group_without_a_limit_is_told_in_words(run: Command) -> None:
    done = run("group", "remove", "nobody")

    assert done.returncode == WRONG_USAGE
    assert "There is no group 'nobody'" in done.stderr


# --- again, and stopped --------------------------------------------------------------------


def test_a_build_is_cancelled_once(run: Command, data: db.Database) -> None:
    with data.transaction() as session:
        build_id = a_waiting_build(session).id.hex

    first, second = run("cancel", build_id, "--json"), run("cancel", build_id)

    assert answer_of(first)["result"]["id"] == "aborted"
    assert (second.returncode, second.stderr) == (0, "It had ended already.\n")


@pytest.mark.parametrize("part", ["--job", "--step"])
def test_a_part_is_cancelled(run: Command, data: db.Database, part: str) -> None:
    with data.transaction() as session:
        step = first_step(session, a_waiting_build(session))
        part_id = step.job_id.hex if part == "--job" else step.id.hex

    assert run("cancel", part_id, part).stderr == "Cancelled.\n"


def an_aborted_build(session: Session) -> str:
    build = a_waiting_build(session)
    settle.abort_build(session, settle.lock_build(session, build.id))
    return build.id.hex


def test_what_did_not_pass_is_done_again_in_the_same_build(run: Command, data: db.Database) -> None:
    with data.transaction() as session:
        build_id = an_aborted_build(session)

    told = answer_of(run("retry", build_id, "--only-failed", "--json"))

    assert (told["id"], told["status"]["id"]) == (build_id, "pending_allocation")


def test_a_build_is_retried_as_a_new_one_and_restarted_as_the_same(run: Command, data: db.Database) -> None:
    with data.transaction() as session:
        build_id = an_aborted_build(session)

    made, restarted = run("retry", build_id), run("restart", build_id)

    assert made.stdout.strip() != build_id
    assert restarted.stdout.strip() == build_id


def test_a_running_build_is_not_restarted(run: Command, data: db.Database) -> None:
    with data.transaction() as session:
        build_id = a_waiting_build(session).id.hex

    done = run("restart", build_id)

    assert done.returncode == WRONG_USAGE
    assert "cancel it first" in done.stderr


# --- what was lost, and what happens in the background ---------------------------------------


def test_what_the_machinery_lost_is_counted_and_explained(run: Command, data: db.Database) -> None:
    with data.transaction() as session:
        node = queues.a_node(session, label="forge-1")
        step = factories.give_to(session, first_step(session, a_waiting_build(session)), node)
        step.status, step.result = Status.FINISHED, Result.INFRA_FAILED
        session.flush()

    told, other = run("infra").stdout, run("infra", "--reason", "agent_lost")

    assert "forge-1" in told
    assert "unknown" in told
    assert other.stdout == "Nothing was lost.\n"
    assert answer_of(run("infra", "--node", "forge-1", "--json"))["groups"][0]["count"] == 1
    assert run("infra", "--node", "nobody").returncode == WRONG_USAGE


def test_a_task_that_was_given_up_is_tried_again_or_forgotten(run: Command, data: db.Database) -> None:
    with data.transaction() as session:
        one, other = (a_dead_task(session) for _ in range(2))

    listed = run("tasks")
    tried, forgotten = run("tasks", "--again", one), run("tasks", "--forget", other)

    assert f"given up: {one}  results.collect  no such bucket" in listed.stdout
    assert (tried.returncode, forgotten.returncode) == (0, 0)
    assert answer_of(run("tasks", "--json"))["givenUp"] == []
    assert run("tasks", "--forget", one).returncode == REFUSED


def a_dead_task(session: Session) -> str:
    now = clock.now()
    task = Task(
        id=ids.new(),
        name="results.collect",
        child_id=ids.new(),
        state=TaskState.FAILED,
        attempts=10,
        due_at=now,
        sent_at=now,
        error="no such bucket",
        date_finished=now,
    )
    session.add(task)
    session.flush()
    return task.id.hex


def test_nothing_to_do_is_said_in_words(run: Command) -> None:
    assert run("tasks").stdout == "Nothing is to be done, and nothing was given up.\n"


@pytest.mark.parametrize("words", [["queue"], ["node", "list"], ["tasks"], ["infra"], ["why", NOBODY]])
def test_without_a_server_the_exit_code_says_so(
    run: Command, monkeypatch: pytest.MonkeyPatch, words: list[str]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    monkeypatch.setenv("CHANGES_URL", f"http://127.0.0.1:{port}")

    done = run(*words)

    assert done.returncode == NOT_REACHABLE
    assert "does not answer" in done.stderr


# --- tests and test ------------------------------------------------------------------------


@pytest.fixture
def tested(data: db.Database) -> Build:
    """Two builds of a project: in the second, what passed before fails."""
    with data.transaction() as session:
        project = factories.a_project(session, "web")
        for result in ("passed", "failed"):
            build = factories.a_build(session, project)
            tests = [
                a_test("app.test_cart", result, owner="payments"),
                a_test("app.test_slow", duration_ms=9000),
            ]
            report(session, first_step(session, build), tests)
        testdays.sum_up(session)
        return build


def test_tests_are_listed_by_what_they_cost(run: Command, tested: Build) -> None:
    slowest, failing = run("tests", "web"), run("tests", "web", "--failing")

    assert [line.split() for line in slowest.stdout.splitlines()] == [
        ["TEST", "RUNS", "FAILED", "FLAKY", "MEAN"],
        ["app.test_slow", "2", "0", "0", "9.00", "s"],
        ["app.test_cart", "2", "1", "0", "0.01", "s"],
    ]
    assert [line.split()[0] for line in failing.stdout.splitlines()[1:]] == ["app.test_cart"]
    assert run("tests", "web", "--failing", "--slowest").returncode == WRONG_USAGE


def test_one_test_is_found_by_a_part_of_its_name_and_tells_its_runs(run: Command, tested: Build) -> None:
    told = run("test", "web", "cart").stdout.splitlines()
    whole = answer_of(run("test", "web", "app.test_cart", "--json"))

    assert told[0] == "app.test_cart  owned by payments"
    assert told[1].startswith("  fails since")
    assert [line.split()[:2] for line in told[2:]] == [["failed", "#2"], ["passed", "#1"]]
    assert whole["hash"] == answer_of(run("test", "web", whole["hash"], "--json"))["hash"]


def test_a_part_that_several_names_have_is_not_guessed_at(run: Command, tested: Build) -> None:
    several, nothing = run("test", "web", "app"), run("test", "web", "nowhere")

    assert several.returncode == REFUSED
    assert "app.test_cart" in several.stderr
    assert nothing.returncode == WRONG_USAGE
    assert "no such test" in nothing.stderr


# --- what is kept ---------------------------------------------------------------------------


def test_a_build_is_pinned_and_unpinned_by_its_id(run: Command, data: db.Database) -> None:
    with data.transaction() as session:
        build_id = a_waiting_build(session).id.hex

    pinned, unpinned = run("pin", build_id, "--json"), run("unpin", build_id, "--json")

    assert answer_of(pinned)["datePinned"] is not None
    assert answer_of(unpinned)["datePinned"] is None


def test_a_dry_run_shows_what_is_older_than_it_is_kept_and_leaves_it(run: Command, data: db.Database) -> None:
    old = clock.now().replace(year=2021, month=3, day=1)
    with data.transaction() as session:
        partitions.make(session, old, old)

    done = run("retention", "--dry-run")

    assert "2021-03  drop" in done.stdout
    with data.transaction() as session:
        assert session.execute(select(Task.name)).all() == []
        assert partitions.name_of("test_run", old) in partitions.names(session)
