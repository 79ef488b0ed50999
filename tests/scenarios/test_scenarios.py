"""Every folder beside this file is one scenario; reading.py says what is in it."""

from typing import Any

import pytest
from tests.scenarios import reading
from tests.scenarios.running import RunningSystem, eventually

pytestmark = pytest.mark.system


@pytest.mark.parametrize("name", reading.names())
def test_a_scenario_ends_as_it_says(system: RunningSystem, name: str) -> None:
    scenario = reading.read(name)

    seen = reading.play(system, scenario)

    assert reading.differences(scenario.expected, seen) == []


def test_what_went_wrong_is_found_in_every_log_of_a_step_that_failed(system: RunningSystem) -> None:
    files = (reading.FOLDER / "cards-and-streams/repository/.changes.yml").read_text()
    build_id = system.api.finished(system.api.build(system.project({".changes.yml": files})))["id"]

    def told() -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = system.api.get(f"/builds/{build_id}/errors/")
        return found

    eventually(told)

    assert [(each["log"]["name"], each["line"], each["text"]) for each in told()] == [
        ("server", 3, "panic: no licence"),
        ("console", 8, "src/main.c:41:5: error: no such thing"),
    ]
    [best] = system.api.get(f"/builds/{build_id}/")["errors"]
    assert (best["text"], best["isNew"], best["around"]) == (
        "panic: no licence",
        True,
        {"firstLine": 1, "lines": ["ready", "asked by nobody", "panic: no licence"]},
    )
