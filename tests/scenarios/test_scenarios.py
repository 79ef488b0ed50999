"""Every folder beside this file is one scenario; reading.py says what is in it."""

import pytest
from tests.scenarios import reading
from tests.scenarios.running import RunningSystem

pytestmark = pytest.mark.system


@pytest.mark.parametrize("name", reading.names())
def test_a_scenario_ends_as_it_says(system: RunningSystem, name: str) -> None:
    scenario = reading.read(name)

    seen = reading.play(system, scenario)

    assert reading.differences(scenario.expected, seen) == []
