from collections.abc import Iterator

import pytest
from tests.scenarios.running import RunningSystem, running_system


@pytest.fixture(scope="session")
def system() -> Iterator[RunningSystem]:
    """One for all scenarios: each makes a project of its own."""
    with running_system() as system:
        yield system
