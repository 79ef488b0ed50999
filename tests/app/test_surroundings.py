"""What a CI says by its environment, and git by its repository."""

from pathlib import Path

import pytest
from tests.factories import A_SHA, a_git_repository

from changes.app.cli.surroundings import Surroundings, find

GITHUB = {
    "GITHUB_RUN_ID": "17",
    "GITHUB_RUN_ATTEMPT": "2",
    "GITHUB_REPOSITORY": "team/app",
    "GITHUB_SHA": A_SHA,
    "GITHUB_REF_NAME": "main",
    "GITHUB_JOB": "unit",
}
JENKINS = {
    "BUILD_URL": "https://ci.example.com/job/app/17/",
    "GIT_COMMIT": A_SHA,
    "GIT_BRANCH": "origin/main",
}
GITLAB = {
    "GITLAB_CI": "true",
    "CI_PIPELINE_ID": "17",
    "CI_PROJECT_PATH": "team/app",
    "CI_COMMIT_SHA": A_SHA,
    "CI_COMMIT_REF_NAME": "main",
    "CI_COMMIT_AUTHOR": "Ann <ann@example.com>",
    "CI_JOB_URL": "https://gitlab.example.com/team/app/-/jobs/3",
    "CI_JOB_NAME": "unit",
}
BUILDKITE = {
    "BUILDKITE_BUILD_ID": "b-17",
    "BUILDKITE_COMMIT": A_SHA,
    "BUILDKITE_BRANCH": "main",
    "BUILDKITE_BUILD_AUTHOR": "Ann",
    "BUILDKITE_BUILD_AUTHOR_EMAIL": "ann@example.com",
    "BUILDKITE_BUILD_URL": "https://buildkite.com/team/app/builds/17",
    "BUILDKITE_LABEL": "unit",
}


@pytest.mark.parametrize(
    ("env", "url", "run", "job"),
    [
        (GITHUB, "https://github.com/team/app/actions/runs/17", "github team/app 17.2", "unit"),
        (JENKINS, JENKINS["BUILD_URL"], f"jenkins {JENKINS['BUILD_URL']}", ""),
        (GITLAB, GITLAB["CI_JOB_URL"], "gitlab team/app 17", "unit"),
        (BUILDKITE, BUILDKITE["BUILDKITE_BUILD_URL"], "buildkite b-17.0", "unit"),
    ],
)
def test_each_ci_says_commit_branch_page_and_run(
    env: dict[str, str], url: str, run: str, job: str, tmp_path: Path
) -> None:
    found = find(env, folder=tmp_path)

    assert (found.sha, found.branch) == (A_SHA, "main")
    assert (found.url, found.run, found.job) == (url, run, job)


def test_a_pull_request_is_known_by_the_branch_it_comes_from(tmp_path: Path) -> None:
    env = GITHUB | {"GITHUB_HEAD_REF": "topic", "GITHUB_REF_NAME": "17/merge"}

    assert find(env, folder=tmp_path).branch == "topic"


def test_git_says_what_no_ci_says(tmp_path: Path) -> None:
    sha = a_git_repository(tmp_path / "code", {"file": "text"}, "Mend it\n\nIt was broken.")

    found = find({}, folder=tmp_path / "code")

    assert found == Surroundings(
        sha=sha, branch="main", author="Ann <ann@example.com>", message="Mend it\n\nIt was broken."
    )


def test_a_short_name_of_a_commit_is_completed_by_git(tmp_path: Path) -> None:
    sha = a_git_repository(tmp_path / "code", {"file": "text"})

    assert find({}, folder=tmp_path / "code", sha=sha[:10]).sha == sha


def test_a_commit_that_git_does_not_know_is_taken_as_it_was_named(tmp_path: Path) -> None:
    a_git_repository(tmp_path / "code", {"file": "text"})

    assert find({}, folder=tmp_path / "code", sha=A_SHA.upper()).sha == A_SHA


def test_a_name_that_looks_like_an_option_is_no_option(tmp_path: Path) -> None:
    a_git_repository(tmp_path / "code", {"file": "text"})

    find({}, folder=tmp_path / "code", sha=f"--output={tmp_path}/written")

    assert not (tmp_path / "written").exists()


def test_nothing_is_known_where_nobody_says_anything(tmp_path: Path) -> None:
    assert find({}, folder=tmp_path) == Surroundings()
