"""Through a real server and a real agent: what fails newly is run again, and what broke a test is found."""

import os
import subprocess
from typing import Any

import pytest
from tests.factories import commit
from tests.scenarios.asking import Refused
from tests.scenarios.running import PROGRAM, RunningSystem, eventually

pytestmark = pytest.mark.system
COMMITS, BREAKS_AT = 18, 11
REPORT = """
report() {
  printf '<testsuite><testcase name="it.works"/><testcase name="it.breaks">%s</testcase></testsuite>' "$1"
}
"""
PLAN = {
    # What the number in the file is decides: a test of which every commit says something else.
    "check.sh": REPORT
    + f"""
if [ "$(cat number)" -ge {BREAKS_AT} ]; then report '<failure>no</failure>' > junit.xml; exit 1; fi
report '' > junit.xml
""",
    ".changes.yml": "plans:\n  - name: check\n    commands: [sh check.sh]\n",
}
FLAKY = {
    "check.sh": REPORT + "report '<failure>no</failure>' > junit.xml; exit 1\n",
    "alone.sh": REPORT + "echo alone: $@; report '' > junit.xml\n",
    ".changes.yml": "plans:\n  - name: check\n    commands: [sh check.sh]\n"
    "    second_look: {command: 'sh alone.sh {tests}'}\n",
}


def commits_of(system: RunningSystem, slug: str) -> list[str]:
    """The number in the file is that of the commit."""
    folder = system.repository_of(slug)
    return [commit(folder, {"number": f"{number}\n"}, f"Commit {number}") for number in range(1, COMMITS + 1)]


@pytest.fixture
def project(system: RunningSystem) -> str:
    return system.project({**PLAN, "number": "0\n"})


def cost_of(system: RunningSystem, project: str) -> dict[str, Any]:
    """Nothing while the history is not known."""
    path = f"/projects/{project}/origins/"
    try:
        cost: dict[str, Any] = system.api.post(path, test="it.breaks", parallel=2, estimate=True)
    except Refused:
        return {}
    return cost


def command(system: RunningSystem, *arguments: str) -> str:
    """What it prints, as somebody at another machine would type it."""
    env = {**os.environ, "CHANGES_URL": system.url, "CHANGES_TOKEN": system.api.token}
    run = subprocess.run(
        [*PROGRAM, *arguments], env=env, capture_output=True, text=True, timeout=300, check=True
    )
    return run.stdout


@pytest.mark.long
def test_what_broke_a_test_is_found_by_building_what_nobody_built(
    system: RunningSystem, project: str
) -> None:
    shas = commits_of(system, project)
    first, last = (system.api.finished(system.api.build(project, sha=sha)) for sha in (shas[0], shas[-1]))
    # The commits in between are read in the background.
    eventually(lambda: cost_of(system, project))
    cost = cost_of(system, project)

    said = command(system, "find-origin", project, "it.breaks", "--wait")

    (search,) = system.api.get(f"/projects/{project}/origins/")
    found = system.api.get(f"/origins/{search['id']}/")
    assert said == f"{shas[BREAKS_AT - 1]}\n"
    verdicts = {each["sha"]: each["verdict"]["id"] for each in found["commits"]}
    assert (found["state"]["id"], found["culprit"]) == ("found", shas[BREAKS_AT - 1])
    assert (verdicts[shas[BREAKS_AT - 1]], verdicts[shas[BREAKS_AT - 2]]) == ("bad", "good")
    assert first["testFailures"]["total"] == 0
    assert [test["origin"]["number"] for test in last["testFailures"]["tests"]] == [last["number"]]
    assert 0 < found["builds"] <= cost["builds"] < COMMITS - 2


def test_a_failure_that_passes_when_it_is_run_again_alone_is_a_flake(system: RunningSystem) -> None:
    slug = system.project(FLAKY)

    build = system.api.finished(system.api.build(slug))

    first, look = system.api.attempts(build["id"])
    assert (build["result"]["id"], build["failures"], look["origin"]["id"]) == ("passed", [], "second_look")
    assert b"alone: it.breaks" in system.api.log(look["id"])
    assert first["data"]["checking"]["verdict"] == "flake"
    assert system.api.get(f"/builds/{build['id']}/tests/counts")["failed"] == 0
