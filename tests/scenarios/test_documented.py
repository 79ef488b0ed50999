"""Every example of docs/guide/changes-yml.md, run as it stands there."""

import re
import shutil
import stat
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.factories import commit
from tests.scenarios.running import RunningSystem

from changes.builds.implementations import FIELDS
from changes.projects.config import JOB_KEYS

pytestmark = pytest.mark.system

PAGE = Path(__file__).parents[2] / "docs" / "guide" / "changes-yml.md"
FILES = Path(__file__).parent / "documented"
BLOCK = re.compile(r"^```yaml\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SOMEWHERE = "https://example.com/lib.git"
# What no agent of this system offers: such an example waits, which is right.
OF_OTHER_MACHINES = ("cluster", "labels")
# The old Changes' own; they have no effect, so there is nothing to show.
WITHOUT_EFFECT = {"clean", "debug_config", "use_path_in_artifact_name", "artifact_suffix", "test_stats_from"}


def examples() -> list[str]:
    return BLOCK.findall(PAGE.read_text())


def name_of(example: str) -> str:
    return str(yaml.safe_load(example)["plans"][0]["name"])


@pytest.fixture(scope="module")
def asked(system: RunningSystem) -> dict[str, str]:
    """A build of each, asked for at once: they run beside each other."""
    slug = system.project(FILES)
    folder = system.repository_of(slug)
    for script in folder.glob("run-*"):
        script.chmod(script.stat().st_mode | stat.S_IXUSR)
    library = folder.with_name("lib.git")
    shutil.copytree(folder, library)
    builds = {}
    for example in examples():
        config = example.replace(SOMEWHERE, str(library))
        sha = commit(folder, {".changes.yml": config}, name_of(example))
        builds[name_of(example)] = system.api.build(slug, sha=sha)
    return builds


@pytest.mark.parametrize("example", examples(), ids=name_of)
def test_an_example_does_what_the_page_says(
    system: RunningSystem, asked: dict[str, str], example: str
) -> None:
    build_id = asked[name_of(example)]
    if any(each in plan for plan in yaml.safe_load(example)["plans"] for each in OF_OTHER_MACHINES):
        waiting = system.api.get(f"/builds/{build_id}/")
        system.api.post(f"/builds/{build_id}/cancel/")
        assert waiting["status"]["id"] == "pending_allocation"
        return

    build = system.api.finished(build_id)

    assert [each["text"] for each in build["failures"]] == []
    assert build["result"]["id"] == "passed"


def keys_in(value: Any) -> set[str]:
    if isinstance(value, dict):
        return set(value) | {key for each in value.values() for key in keys_in(each)}
    return {key for each in value for key in keys_in(each)} if isinstance(value, list) else set()


def test_every_key_has_an_example() -> None:
    shown = keys_in([yaml.safe_load(example) for example in examples()])
    collected = set(re.findall(r'"(\w+)":', PAGE.read_text()))

    declared = {each.name for each in FIELDS} | set(JOB_KEYS)
    assert declared - shown - collected - WITHOUT_EFFECT == set()


def test_every_key_is_explained() -> None:
    text = PAGE.read_text()

    assert [each.name for each in FIELDS if f"`{each.name}`" not in text] == []
    assert [key for key in JOB_KEYS if f"`{key}`" not in text] == []
