from collections.abc import Iterator

import pytest
from tests.scenarios.running import RunningSystem, running_system


@pytest.fixture(scope="module")
def system() -> Iterator[RunningSystem]:
    """One for the scenarios of a file: each makes a project of its own. What idles costs the others."""
    with running_system() as system:
        yield system
