"""The command `changes` as somebody types it: its two outputs and its exit code."""

import io
import json
import os
import re
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.conftest import copy_of_template
from tests.scenarios.running import (
    PROGRAM,
    RunningSystem,
    commit_everything,
    free_port,
    running_system,
    write_files,
)

from changes.app.cli.main import main

pytestmark = pytest.mark.system
REFUSED, WRONG_USAGE, NOT_REACHABLE, NOT_ALLOWED = 1, 2, 3, 4
WITHIN_S = 180
CONFIG = "plans:\n  - name: tests\n    commands: [cat greeting, test ! -e forbidden]\n"
PATCH = """diff --git a/greeting b/greeting
--- a/greeting
+++ b/greeting
@@ -1 +1 @@
-hello
+good morning
"""
Command = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def system() -> Iterator[RunningSystem]:
    with running_system() as system:
        yield system


@pytest.fixture(scope="module")
def greeting(system: RunningSystem) -> str:
    return system.project({".changes.yml": CONFIG, "greeting": "hello\n"})


@pytest.fixture
def run(
    system: RunningSystem, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Command:
    """A command that knows server and token by its environment; `None` takes a variable away.

    It runs in this process: starting Python anew for each would take most of the time.
    """

    def run(*words: str, **env: str | None) -> subprocess.CompletedProcess[str]:
        known = {
            "CHANGES_HOME": str(tmp_path / "home"),
            "CHANGES_LOGIN": str(tmp_path / "login.json"),
            "CHANGES_URL": system.url,
            "CHANGES_TOKEN": system.api.token,
            "DATABASE_URL": system.database.url,
            "BASE_URL": system.url,
        }
        for name, value in {**known, **env}.items():
            monkeypatch.delenv(name, raising=False)
            if value is not None:
                monkeypatch.setenv(name, value)
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


# --- help ---------------------------------------------------------------------------------


def test_help_names_every_command_and_the_exit_codes(run: Command) -> None:
    done = run("--help")

    assert done.returncode == 0
    for word in (
        "up",
        "web",
        "worker",
        "agent",
        "db",
        "user",
        "token",
        "login",
        "project",
        "build",
        "status",
    ):
        assert re.search(rf"^\W*{word}\s", done.stdout, re.MULTILINE), word
    assert "3 the server or database cannot be reached" in " ".join(done.stdout.split())


def test_an_unknown_command_is_wrong_usage(run: Command) -> None:
    done = run("biuld", "demo")

    assert (done.returncode, done.stdout) == (WRONG_USAGE, "")
    assert "biuld" in done.stderr


# --- which server -------------------------------------------------------------------------


def test_without_a_known_server_the_way_to_one_is_said(run: Command) -> None:
    done = run("status", CHANGES_URL=None)

    assert done.returncode == WRONG_USAGE
    assert "`changes login URL`" in done.stderr


def test_a_login_is_kept_for_its_owner_alone_and_used_from_then_on(
    run: Command, system: RunningSystem, tmp_path: Path
) -> None:
    signed_in = run("login", system.url, "--token", system.api.token, CHANGES_URL=None, CHANGES_TOKEN=None)
    listed = run("project", "list", "--json", CHANGES_URL=None, CHANGES_TOKEN=None)

    assert signed_in.returncode == 0
    assert "with the scope admin" in signed_in.stderr
    assert stat.S_IMODE((tmp_path / "login.json").stat().st_mode) == 0o600
    assert isinstance(answer_of(listed), list)


def test_a_wrong_token_is_not_kept(run: Command, system: RunningSystem, tmp_path: Path) -> None:
    done = run("login", system.url, "--token", "wrong", CHANGES_URL=None, CHANGES_TOKEN=None)

    assert done.returncode == NOT_ALLOWED
    assert "unknown or was revoked" in done.stderr
    assert not (tmp_path / "login.json").exists()


def test_a_login_without_any_token_is_not_kept(run: Command, system: RunningSystem, tmp_path: Path) -> None:
    done = run("login", system.url, CHANGES_URL=None, CHANGES_TOKEN=None)

    assert (done.returncode, done.stderr) == (
        WRONG_USAGE,
        "changes: A token is needed: --token, or CHANGES_TOKEN.\n",
    )
    assert not (tmp_path / "login.json").exists()


def test_the_owner_of_a_home_needs_no_login(run: Command, system: RunningSystem, tmp_path: Path) -> None:
    write_files(tmp_path, {"home/cli.json": json.dumps({"url": f"{system.url}/", "token": system.api.token})})

    done = run("status", "--json", CHANGES_URL=None, CHANGES_TOKEN=None)

    assert isinstance(answer_of(done), list)


def test_a_server_that_is_away_has_an_exit_code_of_its_own(run: Command) -> None:
    url = f"http://127.0.0.1:{free_port()}"

    done = run("status", CHANGES_URL=url)

    assert (done.returncode, done.stdout) == (NOT_REACHABLE, "")
    assert done.stderr.startswith(f"changes: {url} does not answer (")
    assert done.stderr.count("\n") == 1


def test_a_token_may_not_do_more_than_its_scope(run: Command, greeting: str) -> None:
    reader = answer_of(run("token", "create", "--name", "reader", "--scope", "read", "--json"))["token"]

    done = run("build", greeting, CHANGES_TOKEN=reader)

    assert done.returncode == NOT_ALLOWED
    assert "This needs the scope write" in done.stderr


def test_many_tests_travel_to_the_server_one_by_one(run: Command, greeting: str) -> None:
    done = run("quarantine", "add", greeting, "a.one", "a.two", "--owner", "zoe", "--reason", "races")

    assert done.returncode == WRONG_USAGE
    assert f"The project {greeting} has no test a.one and 1 more." in done.stderr


# --- projects and builds ------------------------------------------------------------------


def test_a_project_is_made_with_its_repository_and_once_only(run: Command, tmp_path: Path) -> None:
    write_files(tmp_path / "repository", {"README": "hi\n"})
    commit_everything(tmp_path / "repository")
    words = ("project", "create", "Made by hand", "--repository", str(tmp_path / "repository"))

    made, again = run(*words), run(*words)

    assert (made.returncode, made.stdout) == (0, "made-by-hand\n")
    assert again.returncode == REFUSED
    assert "Project with slug made-by-hand already exists." in again.stderr


def test_a_build_is_waited_for_and_its_verdict_is_the_exit_code(run: Command, greeting: str) -> None:
    done = run("build", greeting, "--wait", "--json")

    assert answer_of(done)["result"]["id"] == "passed"
    assert "passed" in done.stderr


def test_without_waiting_only_the_id_is_printed(run: Command, greeting: str) -> None:
    done = run("build", greeting, "--sha", "main", "--label", "By hand")

    assert done.returncode == 0
    assert re.fullmatch(r"[0-9a-f]{32}\n", done.stdout)


def test_a_build_is_asked_for_again_and_cancelled(run: Command, greeting: str) -> None:
    first = run("build", greeting, "--wait").stdout.strip()

    again = run("retry", first)
    told = [run("cancel", first), run("cancel", "0" * 32)]

    assert re.fullmatch(r"[0-9a-f]{32}\n", again.stdout)
    assert again.stdout.strip() != first
    assert [(done.returncode, done.stdout) for done in told] == [(0, ""), (WRONG_USAGE, "")]
    assert "had ended already" in told[0].stderr


def test_what_failed_is_done_again_in_the_same_build(
    run: Command, system: RunningSystem, tmp_path: Path
) -> None:
    marker = tmp_path / "mended"
    config = f"plans:\n  - name: tests\n    commands: ['test -e {marker}']\n"
    build = run("build", system.project({".changes.yml": config}), "--wait").stdout.strip()
    (job,) = answer_of(run("status", build, "--json"))["jobs"]
    marker.touch()

    done = [
        run("retry", build, "--only-failed"),
        ended(run, system, build),
        run("retry", job["id"], "--job"),
        ended(run, system, build),
        run("restart", build),
        ended(run, system, build),
    ]

    assert [each.returncode for each in done] == [0] * len(done)
    assert [each.stdout.strip() for each in done[::2]] == [build, job["id"], build]
    assert [each["origin"]["id"] for each in system.api.attempts(build)] == ["first", *["asked"] * 3]
    assert run("retry", build, "--only-failed").returncode == REFUSED
    assert run("retry", build, "--only-failed", "--job").returncode == WRONG_USAGE


def ended(run: Command, system: RunningSystem, build: str) -> subprocess.CompletedProcess[str]:
    assert system.api.finished(build)["result"]["id"] == "passed"
    return run("status", build)


@pytest.mark.parametrize("part", ["--job", "--step"])
def test_a_part_of_a_build_is_cancelled(run: Command, system: RunningSystem, part: str) -> None:
    config = "plans:\n  - name: tests\n    commands: ['sleep 60']\n"
    build = run("build", system.project({".changes.yml": config})).stdout.strip()
    (job,) = system.api.get(f"/builds/{build}/")["jobs"]
    (step,) = system.api.attempts(build)

    done = run("cancel", job["id"] if part == "--job" else step["id"], part)

    assert (done.returncode, done.stderr.strip()) == (0, "Cancelled.")
    assert system.api.finished(build)["result"]["id"] == "aborted"


def test_a_word_above_every_page_is_said_printed_and_taken_away(run: Command) -> None:
    said = run("message", "Agents pause at noon.")
    told = run("message")
    taken = run("message", "--clear")
    nothing = run("message")

    assert [done.returncode for done in (said, told, taken, nothing)] == [0] * 4
    assert (told.stdout, nothing.stdout) == ("Agents pause at noon.\n", "")
    assert run("message", "words", "--clear").returncode == WRONG_USAGE


def test_a_patch_is_built_on_top(run: Command, system: RunningSystem, greeting: str, tmp_path: Path) -> None:
    (tmp_path / "change.diff").write_text(PATCH)

    done = run("build", greeting, "--patch", str(tmp_path / "change.diff"), "--wait")

    assert done.returncode == 0, done.stderr
    (step,) = system.api.attempts(done.stdout.strip())
    assert b"\ngood morning\n" in system.api.log(step["id"])


def test_a_patch_may_come_through_a_pipe(system: RunningSystem, greeting: str) -> None:
    done = subprocess.run(
        [*PROGRAM, "build", greeting, "--patch", "-", "--wait"],
        env={**os.environ, "CHANGES_URL": system.url, "CHANGES_TOKEN": system.api.token},
        input=PATCH,
        capture_output=True,
        text=True,
        check=False,
        timeout=WITHIN_S,
    )

    assert done.returncode == 0, done.stderr
    (step,) = system.api.attempts(done.stdout.strip())
    assert b"\ngood morning\n" in system.api.log(step["id"])


def test_a_build_that_fails_says_why_and_ends_with_one(run: Command, greeting: str, tmp_path: Path) -> None:
    (tmp_path / "wrong.diff").write_text(PATCH.replace("-hello", "-goodbye"))

    done = run("build", greeting, "--patch", str(tmp_path / "wrong.diff"), "--wait")

    assert done.returncode == REFUSED
    assert "The patch does not apply" in done.stderr


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["no-such-project"], "There is no active project 'no-such-project'"),
        (["{greeting}", "--sha", "no-such-branch"], "Unable to find commit no-such-branch"),
        (["{greeting}", "--patch", "/no/such/file"], "/no/such/file cannot be read"),
    ],
)
def test_what_cannot_be_built_is_wrong_usage(
    run: Command, greeting: str, words: list[str], complaint: str
) -> None:
    done = run("build", *(word.format(greeting=greeting) for word in words))

    assert (done.returncode, done.stdout) == (WRONG_USAGE, "")
    assert complaint in done.stderr


def test_a_log_is_followed_to_its_end_byte_for_byte(run: Command, system: RunningSystem) -> None:
    config = "plans:\n  - name: tests\n    commands: ['for n in 1 2 3; do echo line $n; sleep 0.2; done']\n"
    build_id = system.api.build(system.project({".changes.yml": config}))
    system.api.when(build_id, lambda build: build["status"]["id"] != "pending_allocation")
    (step,) = system.api.attempts(build_id)
    system.api.when(build_id, lambda _build: system.api.log(step["id"]))

    followed = run("log", step["id"], "-f")

    assert system.api.finished(build_id)["result"]["id"] == "passed"
    assert followed.stdout.encode() == system.api.log(step["id"])
    assert "\nline 1\nline 2\nline 3\n[passed in " in followed.stdout
    assert run("log", step["id"]).stdout == followed.stdout


def test_a_log_nobody_has_written_is_said_in_words(run: Command, system: RunningSystem) -> None:
    done = run("log", "0" * 32)

    assert (done.returncode, done.stdout) == (WRONG_USAGE, "")
    assert "There is neither a step nor a build with this id." in done.stderr


@pytest.fixture(scope="module")
def two_jobs(system: RunningSystem) -> str:
    """A build that is over, of two plans that print three lines each."""
    plan = "  - name: {name}\n    commands: ['for n in 1 2 3; do echo {name} says $n; done']\n"
    build_id = system.api.build(
        system.project({".changes.yml": "plans:\n" + plan.format(name="one") + plan.format(name="two")})
    )
    system.api.finished(build_id)
    return build_id


def test_the_logs_of_a_build_say_whose_lines_they_are(run: Command, two_jobs: str) -> None:
    shown = run("log", two_jobs).stdout

    assert "one | one says 1\none | one says 2\n" in shown
    assert "two | two says 3\n" in shown
    assert run("log", two_jobs, "--grep", "SAYS [23]$").returncode == REFUSED
    found = run("log", two_jobs, "--grep", "SAYS 2$", "-i").stdout.splitlines()
    assert [line.partition(":")[2] for line in found] == ["one says 2", "two says 2"]


def test_a_part_of_a_log_is_shown(run: Command, system: RunningSystem, two_jobs: str) -> None:
    (step, _) = system.api.attempts(two_jobs)
    whole = run("log", step["id"]).stdout.splitlines(keepends=True)

    assert run("log", step["id"], "--lines", "2-3").stdout == "".join(whole[1:3])
    assert run("log", step["id"], "--tail", "2").stdout == "".join(whole[-2:])
    assert run("log", step["id"], "--tail", "2", "-f").stdout == "".join(whole[-2:])
    assert run("log", step["id"], "--lines", "2", "--tail", "1").returncode == WRONG_USAGE


def test_status_shows_a_build_with_its_steps_and_reasons(run: Command, system: RunningSystem) -> None:
    config = "plans:\n  - {name: tests, commands: [cp report junit.xml]}\n"
    report = '<testsuite><testcase classname="a" name="b"><failure>no</failure></testcase></testsuite>'
    slug = system.project({".changes.yml": config, "report": report})
    build_id = system.api.build(slug)
    system.api.finished(build_id)

    one, newest = run("status", build_id), run("status")

    assert one.stdout.startswith(f"{slug} #1 failed  ")
    assert "1 test failed." in one.stdout
    assert re.search(r"step [0-9a-f]{32} failed on tester", one.stdout)
    assert f"{slug} #1 failed" in newest.stdout


# --- people and keys ----------------------------------------------------------------------


def test_a_made_token_opens_the_api(run: Command, system: RunningSystem) -> None:
    made = answer_of(run("token", "create", "--name", "robot", "--scope", "admin", "--json"))

    who = httpx.get(
        f"{system.url}/api/0/auth/", headers={"Authorization": f"Bearer {made['token']}"}, trust_env=False
    ).json()
    assert who["scope"] == "admin"
    assert run("token", "list").stdout.count(made["token"]) == 0


def test_a_revoked_token_opens_nothing(run: Command) -> None:
    made = answer_of(run("token", "create", "--name", "brief", "--scope", "read", "--json"))

    assert run("token", "revoke", made["id"]).returncode == 0

    assert run("status", CHANGES_TOKEN=made["token"]).returncode == NOT_ALLOWED


def test_a_new_user_gets_a_link_that_signs_in_once(run: Command, system: RunningSystem) -> None:
    made = answer_of(run("user", "create", "ravi@example.com", "--json"))
    again = run("user", "create", "ravi@example.com")
    link = run("user", "link", "ravi@example.com")

    assert made["link"].startswith(f"{system.url}/auth/link/")
    assert again.returncode == REFUSED
    assert link.stdout.strip() != made["link"]
    assert "ravi@example.com" in run("user", "list").stdout


def test_a_link_for_nobody_is_refused_in_words(run: Command) -> None:
    done = run("user", "link", "nobody@example.com")

    assert (done.returncode, done.stdout) == (REFUSED, "")
    assert "nobody@example.com" in done.stderr


def test_an_agent_token_is_printed_alone(run: Command) -> None:
    done = run("agent-token")

    assert done.returncode == 0
    assert re.fullmatch(r"\S{20,}\n", done.stdout)


# --- the database -------------------------------------------------------------------------


def test_the_schema_is_made_checked_and_made_anew(run: Command) -> None:
    with copy_of_template() as url:
        run("user", "create", "olga@example.com", DATABASE_URL=url)

        refused = run("db", "reset", DATABASE_URL=url)
        kept = run("user", "list", DATABASE_URL=url)
        emptied = run("db", "reset", "--yes", DATABASE_URL=url)

        assert (refused.returncode, emptied.returncode) == (WRONG_USAGE, 0)
        assert "Nothing was deleted." in refused.stderr
        assert "olga@example.com" in kept.stdout
        assert "olga@example.com" not in run("user", "list", DATABASE_URL=url).stdout
        assert run("db", "upgrade", DATABASE_URL=url).returncode == 0
        checked = run("db", "check", DATABASE_URL=url)
        assert (checked.returncode, checked.stdout) == (0, "The database is up to date.\n")


@pytest.mark.parametrize("words", [("db", "check"), ("db", "upgrade"), ("token", "create", "--name", "n")])
def test_a_database_that_is_away_is_said_in_one_sentence(run: Command, words: tuple[str, ...]) -> None:
    done = run(*words, DATABASE_URL="postgresql://somebody@127.0.0.1:1/nothing")

    assert (done.returncode, done.stdout) == (NOT_REACHABLE, "")
    assert done.stderr.startswith("changes: The database cannot be reached (")
    assert done.stderr.count("\n") == 1


def test_settings_that_cannot_be_used_are_named_before_anything_is_done(run: Command) -> None:
    done = run("web", PORT="many")

    assert done.returncode == WRONG_USAGE
    assert "PORT = 'many': must be a whole number from 1 to 65535" in done.stderr


def test_a_build_and_all_that_was_asked_for_with_it_are_waited_for(run: Command, greeting: str) -> None:
    build_id = run("build", greeting).stdout.strip()

    alone, together = run("wait", build_id), run("wait", build_id, "--collection", "--json")

    assert (alone.returncode, alone.stdout) == (0, "passed\n")
    assert [build["id"] for build in answer_of(together)["builds"]] == [build_id]
