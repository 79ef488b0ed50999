from uuid import UUID

import pytest

from changes.base import jobs
from changes.base.settings import Settings


@pytest.fixture(autouse=True)
def own_tasks(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a test registers is forgotten after it."""
    monkeypatch.setattr(jobs, "bodies", dict(jobs.bodies))


@pytest.fixture
def rung(settings: Settings) -> list[UUID]:
    """The ids that a broker would have got."""
    rung: list[UUID] = []
    jobs.bell.set(rung.append)
    return rung
