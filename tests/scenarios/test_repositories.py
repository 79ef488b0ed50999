"""A new repository is read by the worker at once, and says when that is not possible."""

import shutil
import signal
from typing import Any

import pytest
from tests.scenarios.asking import Api
from tests.scenarios.running import RunningSystem, eventually

pytestmark = pytest.mark.system


def test_a_new_repository_is_read_in_the_background(system: RunningSystem) -> None:
    slug = system.project({"README": "hi\n"})

    eventually(lambda: repository_of(system.api, slug)["status"]["id"] == "active")

    assert repository_of(system.api, slug)["lastError"] is None


def test_a_repository_that_cannot_be_read_says_why(system: RunningSystem) -> None:
    system.worker.send(signal.SIGSTOP)
    slug = system.project({"README": "hi\n"})
    shutil.rmtree(system.repository_of(slug))
    system.worker.send(signal.SIGCONT)

    eventually(lambda: repository_of(system.api, slug)["lastError"])

    assert repository_of(system.api, slug)["status"]["id"] == "importing"


def repository_of(api: Api, slug: str) -> dict[str, Any]:
    found: dict[str, Any] = api.get(f"/projects/{slug}/")["repository"]
    return found
