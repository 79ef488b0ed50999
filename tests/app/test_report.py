"""`changes report` as a CI calls it, against a real server."""

import io
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from sqlalchemy import text
from tests.factories import A_SHA
from tests.scenarios.running import PROGRAM, RunningSystem, eventually, free_port, running_system

from changes.app.cli.main import main

pytestmark = pytest.mark.system
REFUSED, WRONG_USAGE, NOT_REACHABLE, NOT_ALLOWED = 1, 2, 3, 4
GREEN = '<testsuite><testcase classname="a" name="one"/><testcase classname="a" name="two"/></testsuite>'
RED = '<testsuite><testcase classname="a" name="one"><failure>no</failure></testcase></testsuite>'
LOG_MB, GROWTH_MAX_MB = 100, 60
SWEPT_WITHIN_S = 200.0
Done = subprocess.CompletedProcess[bytes]
Command = Callable[..., Done]


@pytest.fixture(scope="module")
def system() -> Iterator[RunningSystem]:
    with running_system() as system:
        yield system


@pytest.fixture(scope="module")
def slug(system: RunningSystem) -> str:
    return system.project({"README": "hello\n"})


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "work"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def env(system: RunningSystem, slug: str, here: Path) -> dict[str, str]:
    """No CI but the one that a test plays."""
    of_ci = ("GITHUB_", "CI", "BUILD", "JENKINS", "GIT_", "CHANGES_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(of_ci)}
    return {**kept, "CHANGES_URL": system.url, "CHANGES_TOKEN": system.api.token, "CHANGES_PROJECT": slug}


@pytest.fixture
def run(
    env: dict[str, str], monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]
) -> Command:
    """In this process: starting Python anew for each would take most of the time."""

    def run(*words: str, stdin: bytes = b"", **more: str) -> Done:
        for name in list(os.environ):
            monkeypatch.delenv(name)
        for name, value in {**env, **more}.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(sys, "argv", ["changes", "report", *words])
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        capfdbinary.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        return subprocess.CompletedProcess(words, int(ended.value.code or 0), *capfdbinary.readouterr())

    return run


def reported(system: RunningSystem, done: Done) -> dict[str, Any]:
    """The build, once it has ended."""
    assert done.returncode == 0, done.stderr
    return system.api.finished(done.stdout.decode().strip())


def newest(system: RunningSystem, slug: str) -> dict[str, Any]:
    build: dict[str, Any] = system.api.get(f"/projects/{slug}/builds/")[0]
    return build


def step_of(system: RunningSystem, build_id: str) -> str:
    return str(system.api.attempts(build_id)[0]["id"])


# --- what is there already ---------------------------------------------------------------


def test_reports_and_logs_that_are_there_become_a_build(
    run: Command, system: RunningSystem, here: Path
) -> None:
    (here / "TEST-a.xml").write_text(GREEN)
    (here / "out.log").write_bytes(b"hello\n")
    (here / "binary").write_bytes(bytes(range(256)))

    done = run("--sha", A_SHA, "--junit", "TEST-*.xml", "--log", "out.log", "--artifact", "binary")

    build = reported(system, done)
    assert (build["result"]["id"], build["stats"]["test_count"]) == ("passed", 2)
    assert system.api.log(step_of(system, build["id"])) == b"hello\n"
    found = system.api.get(f"/jobsteps/{step_of(system, build['id'])}/artifacts/")["artifacts"]
    assert {each["name"]: each["size"] for each in found}["binary"] == 256


def test_failing_tests_make_the_build_fail_though_nobody_said_so(
    run: Command, system: RunningSystem, here: Path
) -> None:
    (here / "junit.xml").write_text(RED)

    assert reported(system, run("--sha", A_SHA, "--junit", "junit.xml"))["result"]["id"] == "failed"


def test_a_verdict_in_words_needs_no_files(run: Command, system: RunningSystem) -> None:
    done = run("--sha", A_SHA, "--result", "infra_failed", "--failure", "Out of paper")

    build = reported(system, done)
    assert build["result"]["id"] == "infra_failed"
    assert build["failures"][0]["text"].endswith("Out of paper")


def test_the_same_report_again_is_the_same_build(run: Command, system: RunningSystem, here: Path) -> None:
    (here / "junit.xml").write_text(GREEN)
    words = ("--sha", A_SHA, "--junit", "junit.xml", "--external-id", "run 7")

    first = reported(system, run(*words))
    again = reported(system, run(*words))

    assert (again["id"], again["stats"]["test_count"]) == (first["id"], 2)


def test_another_verdict_for_the_same_run_is_refused(run: Command) -> None:
    words = ("--sha", A_SHA, "--external-id", "run 8", "--result")
    run(*words, "failed")

    done = run(*words, "passed")

    assert done.returncode == REFUSED
    assert b"has ended as failed" in done.stderr


def test_the_jobs_of_one_run_become_one_build(run: Command, system: RunningSystem) -> None:
    ci = {"GITHUB_RUN_ID": "17", "GITHUB_REPOSITORY": "team/app", "GITHUB_SHA": A_SHA}
    unit = run("--name", "unit", "--of", "lint", "--result", "passed", GITHUB_JOB="unit", **ci)
    lint = run("--name", "lint", "--of", "unit", "--result", "failed", GITHUB_JOB="lint", **ci)

    build = reported(system, lint)
    assert unit.stdout == lint.stdout
    assert {job["name"]: job["result"]["id"] for job in build["jobs"]} == {"unit": "passed", "lint": "failed"}
    assert build["outside"]["url"] == "https://github.com/team/app/actions/runs/17"


def test_a_log_may_come_through_a_pipe(run: Command, system: RunningSystem) -> None:
    done = run("--sha", A_SHA, "--result", "passed", "--log", "-", stdin=b"through a pipe\n")

    build = reported(system, done)
    assert system.api.log(step_of(system, build["id"])) == b"through a pipe\n"


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["--result", "passed"], WRONG_USAGE, b"No commit is known"),
        (["--sha", A_SHA], WRONG_USAGE, b"Say how it ended"),
        (["--sha", A_SHA, "--junit", "no.xml"], WRONG_USAGE, b"There is no file no.xml"),
        (["--sha", A_SHA, "--result", "passed", "--log", "no.log"], WRONG_USAGE, b"no.log cannot be read"),
        (["--sha", A_SHA, "--result", "passed", "--log", "."], WRONG_USAGE, b"Is a directory"),
        (["--sha", A_SHA, "--project", "nobody", "--result", "passed"], WRONG_USAGE, b"no active project"),
        (["--sha", A_SHA, "--url", "javascript:x", "--result", "passed"], WRONG_USAGE, b"address of a page"),
        (["--sha", A_SHA, "--name", "a\nb", "--result", "passed"], WRONG_USAGE, b"job"),
        (["--sha", A_SHA, "a.xml", "b.xml"], WRONG_USAGE, b"A command stands behind --"),
    ],
)
def test_what_makes_no_sense_is_said(run: Command, words: list[str], code: int, said: bytes) -> None:
    done = run(*words)

    assert (done.returncode, done.stdout) == (code, b"")
    assert said in done.stderr


def test_a_file_that_cannot_be_read_begins_no_build(run: Command, system: RunningSystem, slug: str) -> None:
    before = system.api.get(f"/projects/{slug}/builds/")

    run("--sha", A_SHA, "--result", "passed", "--log", "no.log")

    assert system.api.get(f"/projects/{slug}/builds/") == before


def test_a_token_that_may_only_read_is_refused(run: Command) -> None:
    assert run("--sha", A_SHA, "--result", "passed", CHANGES_TOKEN="chg_wrong").returncode == NOT_ALLOWED


def test_a_server_that_is_not_there_is_said(run: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    hasten(monkeypatch)

    done = run("--sha", A_SHA, "--result", "passed", CHANGES_URL=f"http://127.0.0.1:{free_port()}")

    assert (done.returncode, done.stdout) == (NOT_REACHABLE, b"")


def hasten(monkeypatch: pytest.MonkeyPatch) -> None:
    """So often it would try again that a test would wait for some seconds."""
    from changes.app.cli import server

    monkeypatch.setattr(server, "INSISTENT", server.INSISTENT.new(connect=0, read=0))


# --- a command that runs -----------------------------------------------------------------


def test_a_command_is_run_shown_and_reported_and_its_exit_code_is_ours(
    run: Command, system: RunningSystem, slug: str
) -> None:
    done = run("--sha", A_SHA, "--name", "unit", "--", "sh", "-c", "echo one; echo two >&2; exit 7")

    build = system.api.finished(newest(system, slug)["id"])
    assert (done.returncode, done.stdout) == (7, b"one\ntwo\n")
    assert (build["result"]["id"], build["failures"][0]["id"]) == ("failed", "command_failed")
    assert "exit code 7" in build["failures"][0]["text"]
    assert system.api.log(step_of(system, build["id"])) == b"one\ntwo\n"


def test_what_a_command_left_behind_is_reported_too(run: Command, system: RunningSystem, slug: str) -> None:
    done = run("--sha", A_SHA, "--junit", "j*.xml", "--", "sh", "-c", f"echo '{GREEN}' > junit.xml")

    build = system.api.finished(newest(system, slug)["id"])
    assert (done.returncode, build["result"]["id"], build["stats"]["test_count"]) == (0, "passed", 2)


def test_a_command_that_is_not_there_is_reported_as_a_shell_tells_it(
    run: Command, system: RunningSystem, slug: str
) -> None:
    done = run("--sha", A_SHA, "--", "no-such-program")

    build = system.api.finished(newest(system, slug)["id"])
    assert (done.returncode, build["result"]["id"]) == (127, "failed")
    assert "no-such-program cannot be started" in build["failures"][0]["text"]


def test_a_command_runs_though_nobody_is_there_to_tell_of_it(
    run: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    hasten(monkeypatch)
    away = f"http://127.0.0.1:{free_port()}"

    done = run("--sha", A_SHA, "--", "sh", "-c", "echo done; exit 3", CHANGES_URL=away)

    assert (done.returncode, done.stdout) == (3, b"done\n")
    assert b"so this is not reported" in done.stderr


@pytest.mark.parametrize("wrong", [{"CHANGES_TOKEN": "chg_wrong"}, {"CHANGES_PROJECT": "nobody"}])
def test_a_command_runs_though_the_server_does_not_want_to_hear_of_it(
    run: Command, wrong: dict[str, str]
) -> None:
    done = run("--sha", A_SHA, "--", "sh", "-c", "echo done; exit 3", **wrong)

    assert (done.returncode, done.stdout) == (3, b"done\n")
    assert b"this is not reported: " in done.stderr


def test_what_cannot_be_read_changes_no_exit_code_and_holds_up_no_end(
    run: Command, system: RunningSystem, slug: str
) -> None:
    done = run("--sha", A_SHA, "--log", "no.log", "--artifact", "no*", "--", "true")

    assert done.returncode == 0
    assert b"no.log cannot be read" in done.stderr
    assert newest(system, slug)["result"]["id"] == "passed"


def test_somebody_left_in_the_background_does_not_hold_the_report(
    run: Command, system: RunningSystem, slug: str, here: Path
) -> None:
    done = run("--sha", A_SHA, "--", "sh", "-c", "sleep 300 & echo $! > pid; echo done")

    os.kill(int((here / "pid").read_text()), signal.SIGKILL)
    assert (done.returncode, done.stdout) == (0, b"done\n")
    assert newest(system, slug)["status"]["id"] == "finished"


@pytest.fixture
def wrapping(env: dict[str, str], here: Path) -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    """A report of its own process, ended at the end."""
    started: list[subprocess.Popen[bytes]] = []

    def wrap(*command: str) -> subprocess.Popen[bytes]:
        words = [*PROGRAM, "report", "--sha", A_SHA, "--", *command]
        process = subprocess.Popen(
            words, env=env, cwd=here, stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL
        )
        started.append(process)
        return process

    yield wrap
    for process in started:
        process.kill()
        process.communicate()


def test_the_log_is_there_while_the_command_still_runs(
    wrapping: Callable[..., subprocess.Popen[bytes]], system: RunningSystem, slug: str, here: Path
) -> None:
    known = newest(system, slug)["id"]
    process = wrapping("sh", "-c", "echo begun; until [ -e open ]; do sleep 0.05; done; echo ended")

    eventually(lambda: newest(system, slug)["id"] != known)
    step_id = step_of(system, newest(system, slug)["id"])
    eventually(lambda: has_log(system, step_id, b"begun\n"))
    was_running = newest(system, slug)["status"]["id"]
    (here / "open").touch()
    process.communicate(timeout=240)

    assert (was_running, process.returncode) == ("in_progress", 0)
    assert system.api.log(step_id) == b"begun\nended\n"


def has_log(system: RunningSystem, step_id: str, data: bytes) -> bool:
    sources = system.api.get(f"/jobsteps/{step_id}/")["logSources"]
    return bool(sources) and system.api.log(step_id) == data


def test_a_web_server_that_goes_and_comes_loses_no_byte_of_a_reported_log(
    wrapping: Callable[..., subprocess.Popen[bytes]], system: RunningSystem, slug: str, here: Path
) -> None:
    known = newest(system, slug)["id"]
    line = 'n=$((n+1)); echo "line $n"; sleep 0.005'
    process = wrapping("sh", "-c", f"n=0; until [ -e open ]; do {line}; done")
    eventually(lambda: newest(system, slug)["id"] != known)
    build_id = newest(system, slug)["id"]

    system.web.kill()
    system.web.start()
    system.wait_until_web_answers()
    (here / "open").touch()
    printed, _ = process.communicate(timeout=240)

    assert process.returncode == 0
    assert system.api.finished(build_id)["result"]["id"] == "passed"
    assert system.api.log(step_of(system, build_id)) == printed


def test_a_signal_reaches_the_command_and_what_became_of_it_is_still_told(
    wrapping: Callable[..., subprocess.Popen[bytes]], system: RunningSystem, slug: str
) -> None:
    known = newest(system, slug)["id"]
    process = wrapping(
        "sh", "-c", "trap 'echo stopped; exit 9' TERM; echo begun; while :; do sleep 0.05; done"
    )
    eventually(lambda: newest(system, slug)["id"] != known)
    build_id = newest(system, slug)["id"]
    eventually(lambda: has_log(system, step_of(system, build_id), b"begun\n"))

    process.send_signal(signal.SIGTERM)
    printed, _ = process.communicate(timeout=240)

    assert (process.returncode, printed) == (9, b"begun\nstopped\n")
    assert system.api.finished(build_id)["result"]["id"] == "failed"


def test_a_cancelled_build_ends_the_report_and_not_the_command(
    wrapping: Callable[..., subprocess.Popen[bytes]], system: RunningSystem, slug: str, here: Path
) -> None:
    known = newest(system, slug)["id"]
    process = wrapping("sh", "-c", "echo begun; until [ -e open ]; do sleep 0.05; done; echo ended")
    eventually(lambda: newest(system, slug)["id"] != known)
    build_id = newest(system, slug)["id"]
    eventually(lambda: has_log(system, step_of(system, build_id), b"begun\n"))

    system.api.post(f"/builds/{build_id}/cancel/")
    (here / "open").touch()
    printed, said = process.communicate(timeout=240)

    assert (process.returncode, printed) == (0, b"begun\nended\n")
    assert b"nothing more is reported" in said
    assert system.api.finished(build_id)["result"]["id"] == "aborted"


# --- minutes rather than seconds ---------------------------------------------------------


@pytest.mark.long
def test_a_large_log_passes_through_in_bounded_memory(
    env: dict[str, str], system: RunningSystem, slug: str, here: Path
) -> None:
    with (here / "big.log").open("wb") as file:
        for _ in range(LOG_MB):
            file.write(os.urandom(1024 * 1024))
    web = psutil.Process(system.web.process.pid if system.web.process else 0)
    before_mb = web.memory_info().rss / 1e6
    words = ("report", "--sha", A_SHA, "--result", "passed", "--log", "big.log", "--artifact", "big.log")

    peak_mb = 0.0
    with subprocess.Popen([*PROGRAM, *words], env=env, cwd=here, stdout=subprocess.PIPE) as process:
        reporter = psutil.Process(process.pid)
        while process.poll() is None:
            peak_mb = max(peak_mb, rss_mb(reporter))
    web_grew_mb = web.memory_info().rss / 1e6 - before_mb

    assert process.returncode == 0
    sys.stderr.write(f"reporter {peak_mb:.0f} MB, web + {web_grew_mb:.0f} MB\n")
    assert peak_mb < GROWTH_MAX_MB + 60
    assert web_grew_mb < GROWTH_MAX_MB
    step_id = step_of(system, newest(system, slug)["id"])
    assert system.api.log(step_id) == (here / "big.log").read_bytes()


def rss_mb(process: psutil.Process) -> float:
    try:
        return float(process.memory_info().rss / 1e6)
    except psutil.NoSuchProcess:
        return 0.0


@pytest.mark.long
def test_half_a_report_and_then_silence_ends_as_nobodys_fault(
    wrapping: Callable[..., subprocess.Popen[bytes]], system: RunningSystem, slug: str
) -> None:
    known = newest(system, slug)["id"]
    process = wrapping("sh", "-c", "echo begun; sleep 300")
    eventually(lambda: newest(system, slug)["id"] != known)
    build_id = newest(system, slug)["id"]
    eventually(lambda: has_log(system, step_of(system, build_id), b"begun\n"))
    for child in psutil.Process(process.pid).children(recursive=True):
        child.kill()
    process.kill()
    with system.database.engine.begin() as connection:
        connection.execute(text("update outside_build set date_heard = now() - interval '1 day'"))

    build = system.api.finished(build_id, SWEPT_WITHIN_S)

    assert (build["result"]["id"], build["failures"][0]["id"]) == ("infra_failed", "outside_silent")


def test_the_answer_as_json_has_the_build(run: Command) -> None:
    done = run("--sha", A_SHA, "--result", "passed", "--json")

    assert json.loads(done.stdout)["outside"]["externalId"]
