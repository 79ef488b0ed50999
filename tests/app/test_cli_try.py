"""`changes try`, `config` and `why-built` as somebody types them, against a running system."""

import io
import json
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests import factories
from tests.scenarios.running import RunningSystem, eventually, running_system
from tests.vcs.sources import call

from changes.app.cli import trying
from changes.app.cli.main import main

pytestmark = pytest.mark.system
CONFIG = """plans:
  - name: tests
    parameters: [{name: WHO, default: nobody}]
    commands:
      - test "$(cat greeting)" = "hello from here"
      - test -x script -a -e "new file" -a ! -e gone
      - 'echo "for $WHO"'
  - name: lint
    triggers: {files: ["src/*"]}
    commands: ["! grep -q TODO greeting"]
  - {name: slow, triggers: {events: [manual]}, commands: ["until test -e go-on; do sleep 0.2; done"]}
"""
# Whoever runs these tests in the background ignores SIGINT, and so would all they start.
AS_FROM_A_TERMINAL = (
    "import signal; signal.signal(signal.SIGINT, signal.default_int_handler);"
    "from changes.app.cli.main import main; main()"
)
Command = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def system() -> Iterator[RunningSystem]:
    with running_system() as system:
        yield system


@pytest.fixture(scope="module")
def slug(system: RunningSystem) -> str:
    files = {".changes.yml": CONFIG, "greeting": "hello", "script": "#!/bin/sh\n", "gone": "x"}
    return system.project(files)


@pytest.fixture
def tree(system: RunningSystem, slug: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A clone that somebody has worked in: some of it committed, some staged, some neither."""
    factories.git(tmp_path, "clone", "-q", str(system.repository_of(slug)), "tree")
    folder = tmp_path / "tree"
    factories.commit(folder, {"greeting": "hello from here"}, "Greet")
    (folder / "gone").unlink()
    factories.git(folder, "add", "--all")
    (folder / "script").chmod(0o755)
    (folder / "new file").write_text("x")
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def run(
    system: RunningSystem, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], tree: Path
) -> Command:
    """In the tree, as somebody who is signed in."""
    monkeypatch.setenv("CHANGES_URL", system.url)
    monkeypatch.setenv("CHANGES_TOKEN", system.api.token)

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        monkeypatch.setattr(sys, "argv", ["changes", *words])
        monkeypatch.setattr(sys, "stdin", io.StringIO())
        capfd.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        return subprocess.CompletedProcess(words, int(ended.value.code or 0), *capfd.readouterr())

    return run


def test_the_tree_as_it_stands_is_built_and_its_log_is_shown(
    system: RunningSystem, slug: str, run: Command
) -> None:
    tried = run("try", "--plan", "tests", "--set", "WHO=somebody")

    assert tried.returncode == 0, tried.stderr
    assert "tests | for somebody" in tried.stdout.splitlines()
    assert f"Build {slug} #" in tried.stderr
    build = system.api.get(f"/builds/{tried.stdout.splitlines()[-1]}/")
    assert [job["name"] for job in build["jobs"]] == ["tests"]


def test_the_exit_code_is_the_verdict_and_only_what_failed_is_tried_again(
    system: RunningSystem, run: Command, tree: Path
) -> None:
    (tree / "greeting").write_text("TODO")

    failed = run("try", "--plan", "lint", "--plan", "tests")
    (tree / "greeting").write_text("hello from here")
    again = run("try", "--only-failed-of", failed.stdout.splitlines()[-1])

    assert failed.returncode == 1, failed.stderr
    assert again.returncode == 0, again.stderr
    assert (
        "Nothing of this build has failed"
        in run("try", "--only-failed-of", again.stdout.splitlines()[-1]).stderr
    )


def test_after_ctrl_c_the_build_goes_on(system: RunningSystem, run: Command, tree: Path) -> None:
    command = [sys.executable, "-c", AS_FROM_A_TERMINAL, "try", "--plan", "slow"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as asking:
        assert asking.stderr is not None
        # Once it tells of the state, it follows.
        told = [asking.stderr.readline(), asking.stderr.readline()]
        asking.send_signal(signal.SIGINT)
        said = asking.communicate(timeout=120)[1]

    assert asking.returncode == 130, (told, said)
    assert "It goes on: http" in said
    build_id = said.split("changes wait ")[1].split()[0]
    assert system.api.get(f"/builds/{build_id}/")["status"]["id"] != "finished"
    assert run("cancel", build_id).returncode == 0
    eventually(lambda: system.api.get(f"/builds/{build_id}/")["status"]["id"] == "finished")


def test_without_following_the_id_is_all_that_is_printed(
    system: RunningSystem, run: Command, tree: Path
) -> None:
    asked = run("try", "--no-follow", "--plan", "lint", "--json")

    build = json.loads(asked.stdout)
    assert (asked.returncode, build["tags"]) == (0, ["try"])
    system.api.finished(build["id"])


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("try", "--plan", "lnt"), "There is no plan 'lnt' here, did you mean 'lint'?"),
        (("try", "--set", "WHO"), "--set takes NAME=VALUE"),
        (("try", "--set", "WHOM=x"), "No plan has a parameter 'WHOM', did you mean 'WHO'?"),
        (("try", "no-such-project"), "no-such-project"),
    ],
)
def test_what_makes_no_sense_is_refused_in_words(run: Command, words: tuple[str, ...], said: str) -> None:
    tried = run(*words)

    assert (tried.returncode, said in tried.stderr) == (2, True), tried.stderr


def test_a_patch_that_is_too_large_names_what_makes_it_so(
    run: Command, tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trying, "PATCH_MAX_BYTES", 10_000)
    (tree / "video").write_text("\n".join(str(number) for number in range(100_000)))

    tried = run("try")

    assert tried.returncode == 2
    assert "The largest files: video (575 KiB)" in tried.stderr


def test_a_file_that_no_patch_could_hold_is_not_even_read(run: Command, tree: Path) -> None:
    with (tree / "disk.img").open("wb") as file:
        file.truncate(300 * 2**20)

    tried = run("try")

    assert tried.returncode == 2
    assert "Too large to be sent with a patch: disk.img (307200 KiB)" in tried.stderr


def test_a_folder_without_a_project_is_told_so(
    run: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    factories.a_git_repository(tmp_path / "other", {"a": "1"})
    monkeypatch.chdir(tmp_path / "other")
    stranger = run("try")
    monkeypatch.chdir(tmp_path)

    assert "No project has this repository; name one" in stranger.stderr
    assert "is in no working tree of git or hg" in run("try").stderr


def test_why_built_tells_of_each_plan(system: RunningSystem, slug: str, run: Command) -> None:
    made = system.api.post(f"/projects/{slug}/hooks/", name="x")
    assert made["secret"]
    sha = factories.git(system.repository_of(slug), "rev-parse", "HEAD").strip()
    system.api.finished(system.api.build(slug, sha=sha, plans=["lint"]))

    told = run("why-built", slug, sha[:8])

    assert told.returncode == 0, told.stderr
    asked, plan, by_itself = told.stdout.splitlines()
    assert asked.startswith(f"{sha[:12]} manual: build #")
    assert plan == "  lint: run. It was asked for."
    assert by_itself.startswith(f"{sha[:12]} commit: not built.")


def test_the_file_of_the_tree_is_checked_and_explained(run: Command, tree: Path) -> None:
    right, explained = run("config", "check"), run("config", "explain")
    (tree / ".changes.yml").write_text(CONFIG.replace("commands", "comands", 1))
    wrong = run("config", "check")

    assert (right.returncode, right.stdout) == (0, ".changes.yml is right: tests, lint, slow.\n")
    assert "lint: is left out. No file changed that it asks for, only gone, greeting, new file, script." in (
        explained.stdout.splitlines()
    )
    assert wrong.returncode == 1
    assert wrong.stdout.startswith(
        ".changes.yml line 4, column 5: unknown field 'comands', did you mean 'commands'?"
    )


def test_a_pushed_commit_is_built_by_itself_and_why_built_says_so(
    system: RunningSystem, run: Command
) -> None:
    slug = system.project({".changes.yml": "plans: [{name: tests, commands: ['true']}]"})
    system.set_option(slug, "build.commit-trigger", "1")
    repository = system.api.get(f"/projects/{slug}/")["repository"]["id"]

    def is_read() -> bool:
        return bool(system.api.get(f"/repositories/{repository}/")["status"]["id"] == "active")

    def is_built() -> bool:
        # Asked for again and again: a look that was under way may have been before the push.
        system.api.post(f"/repositories/{repository}/sync/")
        return bool(system.api.get(f"/projects/{slug}/builds/"))

    eventually(is_read)
    sha = factories.commit(system.repository_of(slug), {"a": "2"}, "Pushed")
    eventually(is_built)

    told = run("why-built", slug, sha)
    assert told.stdout.splitlines() == [
        f"{sha[:12]} commit: build #1. A new commit on main.",
        "  tests: run. It is for this.",
    ]


def test_a_tree_of_mercurial_is_built_as_it_stands(
    system: RunningSystem, run: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commands = '[test "$(cat a)" = mine, test -e new -a ! -e removed -a ! -e missing, test ! -e ignored]'
    config = f"plans: [{{name: tests, commands: {commands}}}]"
    files = {".changes.yml": config, "a": "1", "removed": "x", "missing": "x", ".hgignore": "ignored"}
    slug = system.project(files, backend="hg")
    here = tmp_path / "mercurial"
    call("hg", "clone", "--quiet", system.repository_of(slug), here)
    for name in ("new", "ignored"):
        (here / name).write_text("x")
    (here / "a").write_text("mine")
    (here / "missing").unlink()
    call("hg", "--cwd", here, "remove", "--quiet", "removed")
    before = call("hg", "--cwd", here, "status")
    monkeypatch.chdir(here)

    tried = run("try", slug)

    assert tried.returncode == 0, tried.stdout + tried.stderr
    assert call("hg", "--cwd", here, "status") == before
