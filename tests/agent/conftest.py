from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.agent.running import running_agent
from tests.fakes.coordinator import Coordinator


@pytest.fixture
def coordinator() -> Iterator[Coordinator]:
    coordinator = Coordinator()
    yield coordinator
    coordinator.go_away()


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "agent"


@pytest.fixture
def agent(coordinator: Coordinator, home: Path) -> Iterator[None]:
    with running_agent(coordinator, home):
        yield
