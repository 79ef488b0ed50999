"""What `<slug>.yaml` of the original has agents do, run by a real shell."""

import json
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.orm import Session
from tests.factories import a_git_repository, a_plan, a_project, a_repository, commit

from changes.builds import collected, original_steps, planned, recipes
from changes.builds.collected import Collected
from changes.builds.planned import PlannedJob
from changes.builds.rules import CommandType
from changes.projects import config_original, plan_options, revisions
from changes.projects.rules import RepositoryBackend

BAZEL = "bazel.targets: [//...]\nbazel.cpus: 2\nbazel.max-executors: 3\n"
# Answers a query as Bazel does; of files only server/db.py has a test.
FAKE_BAZEL = """\
#!/bin/sh
printf '%s\\n' "$*" >> "$ASKED"
case "$*" in
    *rdeps*server/db.py*) echo //server:db_test ;;
    *rdeps*) exit 3 ;;
    *query*) echo //web:page_test; echo //server:db_test ;;
esac
"""


def run(script: str, folder: Path, **environment: str) -> None:
    subprocess.run(["sh", "-c", script], cwd=folder, check=True, env={**os.environ, **environment})


def a_tree(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("")


def left_in(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def test_files_on_the_black_list_are_removed_and_no_others(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    a_tree(tree, "docs/a b.md", "docs/deep/c.md", "src/main.py", "x;y", "x", "$(touch z)", ".git/docs/HEAD")

    run(original_steps.removal(["docs/*", "x;y", "$(touch z)"])["script"], tree)

    assert left_in(tree) == {"src/main.py", "x", ".git/docs/HEAD"}


@pytest.mark.parametrize("pattern", ["[!a]", "?", "'", '"', "\\", "a) touch z;; b", "`id`", ""])
def test_no_sign_of_a_pattern_is_read_by_the_shell(pattern: str, tmp_path: Path) -> None:
    a_tree(tmp_path, "keep.me")

    run(original_steps.removal([pattern])["script"], tmp_path)

    assert left_in(tmp_path) == {"keep.me"}


def found_by(said: str, tree: Path, tmp_path: Path) -> Collected:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "bazel").write_text(FAKE_BAZEL)
    (tmp_path / "bin" / "bazel").chmod(0o755)
    data = original_steps.of_bazel(config_original.read_bazel(said, "server"), {})
    path = f"{tmp_path / 'bin'}:{os.environ['PATH']}"
    (command,) = recipes.read(recipes.DEFAULT_IMPLEMENTATION, data).commands
    run(command.script, tree, PATH=path, ASKED=str(tmp_path / "asked"))
    return collected.read(CommandType.COLLECT_BAZEL_TARGETS, (tree / "targets.json").read_text())


def test_all_targets_are_affected_where_nobody_asks_for_a_part(tmp_path: Path) -> None:
    (tmp_path / "tree").mkdir()

    found = found_by(BAZEL, tmp_path / "tree", tmp_path)

    assert found.names == ["//server:db_test", "//web:page_test"]
    assert found.unaffected == []
    assert "except attr(tags, '[\\[ ](manual)[,\\]]'" in (tmp_path / "asked").read_text()


def test_targets_that_the_newest_commit_does_not_touch_are_unaffected(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    a_git_repository(tree, {"server/db.py": "", "web/page.py": ""})
    commit(tree, {"server/db.py": "1"}, "More")

    found = found_by(f"{BAZEL}bazel.selective-testing-enabled: true\n", tree, tmp_path)

    assert found.unaffected == ["//web:page_test"]


def test_files_without_a_target_affect_none(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    a_git_repository(tree, {"README": ""})
    commit(tree, {"README": "1"}, "More")

    found = found_by(f"{BAZEL}bazel.selective-testing-enabled: true\n", tree, tmp_path)

    assert found.unaffected == ["//server:db_test", "//web:page_test"]


def test_the_command_for_targets_keeps_its_variables(tmp_path: Path) -> None:
    (tmp_path / "tree").mkdir()

    found = found_by(
        f"{BAZEL}bazel.additional-test-flags: ['--test_arg=$HOME`']\n", tmp_path / "tree", tmp_path
    )

    assert "|| code=$?" in found.cmd
    assert "'--test_arg=$HOME`'" in found.cmd
    assert json.dumps(found.surroundings["artifacts"]) == '["**/test.xml"]'


STEP = {"commands": ["make"], "path": "src"}


def jobs_of(
    session: Session, tree: Path, files: dict[str, str], step: Mapping[str, Any] = STEP, **options: str
) -> list[PlannedJob]:
    sha = a_git_repository(tree, files)
    repository = a_repository(session, url=str(tree), backend=RepositoryBackend.GIT)
    project = a_project(session, slug="server", repository=repository)
    plan = a_plan(session, project, step)
    plan_options.change(session, plan.id, plan_options.OF_PLANS, options)
    source = revisions.source_of(session, revisions.find(session, repository, sha))
    session.refresh(source)
    return planned.jobs_of(session, project, source)


def test_each_step_begins_with_the_removal(session: Session, tmp_path: Path) -> None:
    said = "build.file-blacklist: ['docs/*']\nbuild.remove-blacklisted-files: true\n"
    files = {"server.yaml": said, ".changes.yml": "plans: [{name: fast, commands: [make fast]}]"}

    jobs = jobs_of(session, tmp_path / "tree", files)

    recipes_read = [job.read(default_min=1)[0].recipe for job in jobs]
    assert [[each.label for each in recipe.commands] for recipe in recipes_read] == [
        [original_steps.REMOVAL, "make"],
        [original_steps.REMOVAL, "make fast"],
    ]
    assert [recipe.commands[0].cwd for recipe in recipes_read] == ["", ""]


def test_without_the_key_nothing_is_removed(session: Session, tmp_path: Path) -> None:
    (job,) = jobs_of(session, tmp_path / "tree", {"server.yaml": "build.file-blacklist: ['docs/*']\n"})

    assert [each.label for each in job.read(default_min=1)[0].recipe.commands] == ["make"]


def test_a_plan_made_of_the_file_runs_its_targets(session: Session, tmp_path: Path) -> None:
    said: dict[str, Any] = {plan_options.AUTOGENERATE: "1"}

    (job,) = jobs_of(session, tmp_path / "tree", {"server.yaml": BAZEL}, **said)

    (step,) = job.read(default_min=1)
    assert step.recipe.collector is not None
    assert (step.recipe.data["cpus"], step.recipe.data["memory"], step.recipe.data["max_executors"]) == (
        2,
        8192,
        3,
    )


def test_such_a_plan_says_where_its_targets_are_run(session: Session, tmp_path: Path) -> None:
    install, done = (
        {"script": word, "type": kind} for word, kind in (("get", "infra_setup"), ("bye", "teardown"))
    )
    step = {
        "commands": [install, "make", done],
        "image": "bazel:8",
        "env": {"A": "1"},
        "cpus": 9,
        "path": "src",
    }
    said = f"{BAZEL}bazel.dependencies: {{encap: [curl]}}\n"

    (job,) = jobs_of(
        session, tmp_path / "tree", {"server.yaml": said}, step, **{plan_options.AUTOGENERATE: "1"}
    )

    (read,) = job.read(default_min=1)
    collect = read.recipe.collector
    assert collect is not None
    assert [each.label for each in read.recipe.commands] == ["get", "bye", "Find targets"]
    assert (collect.env["A"], collect.env["BAZEL_ENCAP_PACKAGES"], collect.cwd) == ("1", "curl", "")
    assert (read.recipe.data["image"], read.recipe.data["cpus"]) == ("bazel:8", 2)


def test_a_plan_made_of_a_file_that_is_wrong_says_so(session: Session, tmp_path: Path) -> None:
    said: dict[str, Any] = {plan_options.AUTOGENERATE: "1"}

    (job,) = jobs_of(session, tmp_path / "tree", {"README": ""}, **said)

    assert "bazel.targets must name what is to be tested" in job.problem
