"""A scenario: a folder with a repository, what is asked for, and what must be found in the answers.

`repository/` is committed as it is. `request.yaml` may say: `backend` (git or hg), `plans` made on the
server (name, and the data of their steps), `vanishes` (the repository is gone when the build is asked for),
`asked` (the fields of the request). `patch.diff` goes with it. `expected.json` says what must be found:
either `refused`, or of the build `result`, `failures` and `jobs`, and where named also `tags`, `tests`,
`testFailures` and `cards`, and of a job its `attempts` (number, origin, result). Texts are regular
expressions, the lines of a log are looked for in their order.
"""

import json
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from tests.scenarios.asking import Api, Refused
from tests.scenarios.running import RunningSystem

FOLDER = Path(__file__).parent
Json = dict[str, Any]
# Logs that every step may have.
ORDINARY = ("console", "infra")


@dataclass(frozen=True)
class Scenario:
    folder: Path
    request: Json
    expected: Json

    @property
    def patch(self) -> str | None:
        path = self.folder / "patch.diff"
        return path.read_text() if path.exists() else None


def names() -> list[str]:
    return sorted(path.parent.name for path in FOLDER.glob("*/expected.json"))


def read(name: str) -> Scenario:
    request = FOLDER / name / "request.yaml"
    asked = yaml.safe_load(request.read_text()) if request.exists() else {}
    return Scenario(FOLDER / name, asked, json.loads((FOLDER / name / "expected.json").read_text()))


def play(system: RunningSystem, scenario: Scenario) -> Json:
    """What the scenario expects, as it was found."""
    slug = system.project(scenario.folder / "repository", scenario.request.get("backend", "git"))
    for plan in scenario.request.get("plans", []):
        make_plan(system.api, slug, plan)
    if scenario.request.get("vanishes"):
        shutil.rmtree(system.repository_of(slug))
    fields = {"project": slug, "patch": scenario.patch, **scenario.request.get("asked", {})}
    try:
        build_id = system.api.build(**{key: value for key, value in fields.items() if value is not None})
    except Refused as refused:
        answer = refused.answer
        return {
            "refused": {
                "status": refused.status,
                "error": answer["error"],
                "problems": answer["problems"],
            }
        }
    return found(system.api, system.api.finished(build_id))


def make_plan(api: Api, slug: str, plan: Json) -> None:
    plan_id = api.post(f"/projects/{slug}/plans/", name=plan["name"])["id"]
    for order, data in enumerate(plan["steps"]):
        api.post(f"/plans/{plan_id}/steps/", data=data, order=order)
    api.post(f"/plans/{plan_id}/", status="active")


def found(api: Api, build: Json) -> Json:
    counts = api.get(f"/builds/{build['id']}/tests/counts")
    return {
        "result": build["result"]["id"],
        "tags": build["tags"],
        "cards": [
            [each["key"], each["style"], each["text"]] for each in api.get(f"/builds/{build['id']}/cards/")
        ],
        "failures": [{"id": each["id"], "text": each["text"]} for each in build["failures"]],
        "jobs": [found_job(api, job) for job in build["jobs"]],
        "tests": {result: count for result, count in counts.items() if count},
        "testFailures": {each["name"]: each["message"] for each in build["testFailures"]["tests"]},
    }


def found_job(api: Api, job: Json) -> Json:
    steps = [step for phase in api.get(f"/jobs/{job['id']}/phases/") for step in phase["steps"]]
    commands = [[command["name"], command["returnCode"]] for step in steps for command in step["commands"]]
    artifacts = {
        each["name"]: api.bytes_of(f"/artifacts/{each['id']}/content/").decode()
        for each in api.get(f"/jobs/{job['id']}/artifacts/")
    }
    return {
        "name": job["name"],
        "result": job["result"]["id"],
        "commands": commands or None,
        "attempts": [
            [step["attempt"], step["origin"]["id"], step["result"]["id"]]
            for step in sorted(steps, key=lambda step: step["attempt"])
        ],
        "log": "".join(api.log(step["id"]).decode("utf-8", "replace") for step in steps),
        "artifacts": artifacts,
        "streams": {
            source["name"]: api.bytes_of(f"/jobsteps/{step['id']}/logs/{source['name']}/", raw=1).decode()
            for step in steps
            for source in step["logSources"]
            if source["name"] not in ORDINARY
        },
    }


def differences(expected: Any, seen: Any, where: str = "") -> list[str]:
    """Empty when everything that is expected was found."""
    if where.endswith((".text", ".error")) or ".testFailures." in where:
        return [] if re.search(expected, seen) else [f"{where}: {seen!r} is not like {expected!r}"]
    if where.endswith(".log"):
        return missing_lines(expected, seen, where)
    if where.endswith(".logLacks"):
        return [f"{where}: {word!r} is there" for word in expected if word in seen]
    if isinstance(expected, dict):
        aliases = {"logLacks": "log"}
        exact = where.endswith((".tests", ".artifacts"))
        unexpected = sorted(set(seen) - set(expected)) if exact else []
        return [f"{where}: there is also {name!r}" for name in unexpected] + [
            each
            for key, value in expected.items()
            for each in differences(value, seen.get(aliases.get(key, key)), f"{where}.{key}")
        ]
    if isinstance(expected, list) and isinstance(seen, list) and len(expected) == len(seen):
        pairs = enumerate(zip(expected, seen, strict=True))
        return [each for n, (one, other) in pairs for each in differences(one, other, f"{where}[{n}]")]
    return [] if expected == seen else [f"{where}: {seen!r} instead of {expected!r}"]


def missing_lines(expected: list[str], log: str, where: str) -> list[str]:
    position = 0
    for pattern in expected:
        match = re.compile(pattern, re.MULTILINE).search(log, position)
        if match is None:
            return [f"{where}: no {pattern!r} after character {position} of {log!r}"]
        position = match.end()
    return []
