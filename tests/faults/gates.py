"""Steps that go on for exactly as long as a test wants."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.scenarios.asking import Api
from tests.scenarios.running import RunningSystem, eventually


@dataclass(frozen=True)
class Gate:
    path: Path

    def open(self) -> None:
        self.path.touch()

    @property
    def waiting(self) -> str:
        """A script that says what it does before and after."""
        return f"echo begun; until [ -e {self.path} ]; do sleep 0.05; done; echo ended"

    @property
    def counting(self) -> str:
        """A script that prints numbered lines all the while."""
        line = 'n=$((n+1)); echo "line $n"; sleep 0.02'
        return f'n=0; until [ -e {self.path} ]; do {line}; done; echo "all $n"'


def plan(*commands: str, **fields: Any) -> dict[str, str]:
    """The files of a repository with one plan; JSON is YAML too."""
    return {".changes.yml": json.dumps({"plans": [{"name": "tests", "commands": commands, **fields}]})}


def begun(system: RunningSystem, script: str, **fields: Any) -> tuple[str, str]:
    """A build whose only step has begun to print; the ids of both."""
    build_id = system.api.build(system.project(plan(script, **fields)))
    return build_id, begun_step(system.api, build_id)


def begun_step(api: Api, build_id: str, attempt: int = 1) -> str:
    api.when(build_id, lambda build: build["status"]["id"] == "in_progress")
    eventually(lambda: len(api.attempts(build_id)) >= attempt)
    step_id = str(api.attempts(build_id)[attempt - 1]["id"])
    eventually(lambda: len(api.log(step_id).splitlines()) > 1)
    return step_id


def reasons(failures: list[dict[str, Any]]) -> list[str]:
    return [each["id"] for each in failures]


def results(steps: list[dict[str, Any]]) -> list[str]:
    return [each["result"]["id"] for each in steps]


def assert_counted_without_holes(log: bytes) -> None:
    lines = log.decode().splitlines()
    counted = [line for line in lines if line.startswith("line ")]
    (total,) = (int(line.split()[1]) for line in lines if line.startswith("all "))
    assert counted == [f"line {number}" for number in range(1, total + 1)]
