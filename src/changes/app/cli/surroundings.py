"""What a CI and git say about the build that runs here, so that nobody has to type it."""

import os
import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

GIT_WITHIN_S = 20
NUL = "\0"


@dataclass(frozen=True)
class Surroundings:
    """Empty is what nobody said."""

    sha: str = ""
    branch: str = ""
    author: str = ""
    message: str = ""
    url: str = ""
    # Which run of which CI, the same in all its jobs; and which job of it.
    run: str = ""
    job: str = ""


def find(env: Mapping[str, str] = os.environ, *, folder: Path, sha: str = "") -> Surroundings:
    """What was named comes first, then the CI, then git."""
    of_ci = from_ci(env)
    of_git = from_git(folder, sha or of_ci.sha)
    return Surroundings(
        sha=of_git.sha or sha.lower() or of_ci.sha,
        branch=of_ci.branch or of_git.branch,
        author=of_git.author or of_ci.author,
        message=of_git.message or of_ci.message,
        url=of_ci.url,
        run=of_ci.run,
        job=of_ci.job,
    )


def from_ci(env: Mapping[str, str]) -> Surroundings:
    if env.get("GITHUB_RUN_ID"):
        return of_github(env)
    if env.get("BUILDKITE_BUILD_ID"):
        return of_buildkite(env)
    if env.get("GITLAB_CI") or env.get("CI_PIPELINE_ID"):
        return of_gitlab(env)
    if env.get("JENKINS_URL") or env.get("BUILD_URL"):
        return of_jenkins(env)
    return Surroundings()


def of_github(env: Mapping[str, str]) -> Surroundings:
    repository, run_id = env.get("GITHUB_REPOSITORY", ""), env["GITHUB_RUN_ID"]
    server = env.get("GITHUB_SERVER_URL", "https://github.com")
    return Surroundings(
        sha=env.get("GITHUB_SHA", ""),
        # For a pull request the ref is its merge; the branch is where it comes from.
        branch=env.get("GITHUB_HEAD_REF") or env.get("GITHUB_REF_NAME", ""),
        url=f"{server}/{repository}/actions/runs/{run_id}" if repository else "",
        run=f"github {repository} {run_id}.{env.get('GITHUB_RUN_ATTEMPT', '1')}",
        job=env.get("GITHUB_JOB", ""),
    )


def of_buildkite(env: Mapping[str, str]) -> Surroundings:
    return Surroundings(
        sha=env.get("BUILDKITE_COMMIT", ""),
        branch=env.get("BUILDKITE_BRANCH", ""),
        author=person(env.get("BUILDKITE_BUILD_AUTHOR", ""), env.get("BUILDKITE_BUILD_AUTHOR_EMAIL", "")),
        message=env.get("BUILDKITE_MESSAGE", ""),
        url=env.get("BUILDKITE_BUILD_URL", ""),
        run=f"buildkite {env['BUILDKITE_BUILD_ID']}.{env.get('BUILDKITE_RETRY_COUNT', '0')}",
        job=env.get("BUILDKITE_LABEL") or env.get("BUILDKITE_STEP_KEY", ""),
    )


def of_gitlab(env: Mapping[str, str]) -> Surroundings:
    return Surroundings(
        sha=env.get("CI_COMMIT_SHA", ""),
        branch=env.get("CI_MERGE_REQUEST_SOURCE_BRANCH_NAME") or env.get("CI_COMMIT_REF_NAME", ""),
        author=env.get("CI_COMMIT_AUTHOR", ""),
        message=env.get("CI_COMMIT_MESSAGE", ""),
        url=env.get("CI_JOB_URL") or env.get("CI_PIPELINE_URL", ""),
        run=f"gitlab {env.get('CI_PROJECT_PATH', '')} {env.get('CI_PIPELINE_ID', '')}".strip(),
        job=env.get("CI_JOB_NAME", ""),
    )


def of_jenkins(env: Mapping[str, str]) -> Surroundings:
    url = env.get("BUILD_URL", "")
    # The Git plug-in names the branch as the remote does.
    branch = env.get("CHANGE_BRANCH") or env.get("BRANCH_NAME") or env.get("GIT_BRANCH", "")
    return Surroundings(
        sha=env.get("GIT_COMMIT", ""),
        branch=re.sub("^origin/", "", branch),
        url=url,
        run=f"jenkins {url or env.get('BUILD_TAG', '')}",
        job=env.get("STAGE_NAME") or env.get("JOB_BASE_NAME", ""),
    )


def person(name: str, email: str) -> str:
    return f"{name or email} <{email}>" if email else ""


def from_git(folder: Path, name: str) -> Surroundings:
    """Nothing where there is no repository, no git, or no such commit in it."""
    form = "%H%x00%an <%ae>%x00%B"
    told = git(folder, "log", "-1", f"--format={form}", "--end-of-options", name or "HEAD", "--")
    sha, _, rest = told.partition(NUL)
    if not sha:
        return Surroundings()
    author, _, message = rest.partition(NUL)
    branch = git(folder, "symbolic-ref", "--quiet", "--short", "HEAD").strip()
    found = Surroundings(sha=sha, author=author, message=message.strip())
    return found if name else replace(found, branch=branch)


def git(folder: Path, *arguments: str) -> str:
    command = ["git", "-C", str(folder), *arguments]
    try:
        done = subprocess.run(command, capture_output=True, check=False, timeout=GIT_WITHIN_S)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.decode("utf-8", "replace") if done.returncode == 0 else ""
