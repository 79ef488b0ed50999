"""Things to build: projects with one plan of one command, made through the API."""

import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.system import System, wait_until

FINISH_WITHIN_S = 60
FILES_IN_REPOSITORY = 20
NO_CHECKOUT_SHA = "a" * 40


@dataclass(frozen=True)
class Project:
    slug: str
    sha: str

    @property
    def build(self) -> dict[str, str]:
        """What is posted to build it."""
        return {"project": self.slug, "sha": self.sha}


def without_checkout(system: System, slug: str, script: str = "true") -> Project:
    """Its repository has no version control, so there is nothing to check out."""
    return make(system, Project(slug, NO_CHECKOUT_SHA), {"url": slug, "backend": "unknown"}, script)


def with_checkout(system: System, slug: str, repository: Path, script: str = "true") -> Project:
    sha = a_repository(repository)
    return make(system, Project(slug, sha), {"url": str(repository), "backend": "git"}, script)


def make(system: System, project: Project, repository: dict[str, str], script: str) -> Project:
    caller = system.caller()
    made = caller.post("/api/0/repositories/", repository)
    caller.post("/api/0/projects/", {"name": project.slug, "repository": made["url"]})
    plan = caller.post(f"/api/0/projects/{project.slug}/plans/", {"name": "bench"})
    step = {"data": {"commands": [{"script": script, "artifacts": []}]}}
    caller.post_json(f"/api/0/plans/{plan['id']}/steps/", step)
    caller.post(f"/api/0/plans/{plan['id']}/", {"status": "active"})
    caller.close()
    return project


def a_repository(folder: Path) -> str:
    """One commit with a few files; returns its sha."""
    folder.mkdir(parents=True)
    for number in range(FILES_IN_REPOSITORY):
        (folder / f"file{number}.txt").write_text(f"line of file {number}\n" * 50)
    git(folder, "init", "-q", "-b", "main")
    git(folder, "add", "--all")
    git(folder, "-c", "user.name=Ann", "-c", "user.email=ann@example.com", "commit", "-q", "-m", "First")
    return git(folder, "rev-parse", "HEAD").strip()


def git(folder: Path, *arguments: str) -> str:
    return subprocess.run(
        ["git", "-C", str(folder), *arguments], check=True, capture_output=True, text=True
    ).stdout


def build_to_the_end(system: System, project: Project) -> dict[str, Any]:
    """For warming up, and for what is measured from inside the command."""
    caller = system.caller()
    asked = caller.post("/api/0/builds/", project.build)[0]
    where = f"/api/0/builds/{asked['id']}/"
    wait_until(lambda: caller.get_json(f"{where}?wait_s=5")["status"]["id"] == "finished", FINISH_WITHIN_S, 0)
    built: dict[str, Any] = caller.get_json(where)
    caller.close()
    if built["result"]["id"] != "passed":
        raise RuntimeError(f"a build that should pass did not: {built}")
    return built
