"""A step in a sandbox works with git in its work tree, and sees no repository of other steps."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.agent.housed import House, a_house, refused_here
from tests.agent.running import a_step
from tests.factories import commit, git

from changes.protocol import Checkout

# Sandboxes within a sandbox are another matter: not in the fast half, which is also our first build.
pytestmark = pytest.mark.system


@pytest.fixture(scope="module", params=["process", "bubblewrap"])
def house(request: pytest.FixtureRequest) -> Iterator[House]:
    with a_house(request.param) as house:
        yield house


def a_repository(folder: Path, content: str) -> Checkout:
    folder.mkdir()
    git(folder, "init", "-q", "-b", "main")
    sha = commit(folder, {"file": content}, content)
    return Checkout(backend="git", url=str(folder), sha=sha)


def test_git_works_in_the_work_tree_and_other_mirrors_are_hidden(house: House, tmp_path: Path) -> None:
    secret, mine = a_repository(tmp_path / "secret", "secret"), a_repository(tmp_path / "mine", "mine")
    house.run(a_step("git log --format=%s", checkout=secret))
    mirrors = house.home / "mirrors"

    script = f"git log --format=%s; git status --short; ls {mirrors} | grep -vc used || true"
    step, report = house.run(a_step(script, checkout=mine))

    if not house.works:
        assert refused_here(report)
        return
    assert report.result == "passed", step.console
    lines = step.console.splitlines()
    assert "mine" in lines
    assert len([each for each in mirrors.iterdir() if each.is_dir()]) >= 2
    if house.kind == "bubblewrap":
        assert lines[-2] == "1", step.console
