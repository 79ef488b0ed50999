from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.agent.running import PLAIN
from tests.faults.gates import Gate
from tests.scenarios.running import RunningSystem, running_system


@pytest.fixture(scope="module")
def shared_system() -> Iterator[RunningSystem]:
    # Plain processes of our own account: the gates of the drills lie in pytest's folders.
    with running_system(**PLAIN) as system:
        yield system


@pytest.fixture
def system(shared_system: RunningSystem) -> Iterator[RunningSystem]:
    """All parts run at the start of each drill, whatever the one before has ended."""
    shared_system.mend()
    yield shared_system
    shared_system.mend()


@pytest.fixture
def gate(tmp_path: Path) -> Gate:
    return Gate(tmp_path / "open")
