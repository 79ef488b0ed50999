"""Plans that are made of `<slug>.yaml`, by a real agent. Bazel itself is played by tests/fakes/bazel.py,
which stands on the PATH that the plan gives its commands.
"""

import shlex
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.agent.running import PLAIN
from tests.factories import commit
from tests.scenarios.running import RunningSystem, running_system

pytestmark = pytest.mark.system

BAZEL = Path(__file__).parents[1] / "fakes" / "bazel.py"
FILES = {
    "MODULE.bazel": "",
    "server/BUILD": 'sh_test(name = "db_test", srcs = ["db.sh"])\n'
    'sh_test(name = "slow_test", srcs = ["slow.sh"], tags = ["manual"])\n',
    "server/db.sh": "exit 0\n",
    "server/slow.sh": "exit 1\n",
    "web/BUILD": 'sh_test(name = "page_test", srcs = ["page.sh"])\n',
    "web/page.sh": '[ "$1" = --fast ]\n',
}
SAID = """\
bazel.targets: [//...]
bazel.cpus: 1
bazel.mem: 1024
bazel.max-executors: 2
bazel.additional-test-flags: [--test_arg=--fast]
bazel.selective-testing-enabled: true
"""


@pytest.fixture(scope="module")
def system() -> Iterator[RunningSystem]:
    """The plan names a folder of pytest, which only our own account may enter."""
    with running_system(**PLAIN) as system:
        yield system


@pytest.fixture(scope="module")
def path_with_bazel(tmp_path_factory: pytest.TempPathFactory) -> str:
    program = tmp_path_factory.mktemp("bin") / "bazel"
    program.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} {shlex.quote(str(BAZEL))} "$@"\n')
    program.chmod(0o755)
    return f"{program.parent}:/usr/bin:/bin"


@pytest.fixture
def slug(system: RunningSystem, path_with_bazel: str) -> str:
    made: str = system.project(FILES)
    commit(system.repository_of(made), {f"{made}.yaml": SAID}, "Say what is tested")
    plan = system.api.post(f"/projects/{made}/plans/", name="bazel")["id"]
    setup = {"script": "test -e MODULE.bazel && echo set up", "type": "infra_setup"}
    data = {"commands": [setup], "env": {"PATH": path_with_bazel}}
    system.api.post(f"/plans/{plan}/steps/", data=data, order=0)
    options: dict[str, Any] = {"bazel.autogenerate": "1"}
    system.api.post(f"/plans/{plan}/options/", **options)
    system.api.post(f"/plans/{plan}/", status="active")
    return made


def built(system: RunningSystem, slug: str) -> dict[str, Any]:
    return system.api.finished(system.api.build(slug))


def targets(system: RunningSystem, build: dict[str, Any]) -> dict[str, tuple[str, str]]:
    return {
        each["name"]: (each["result"]["id"], each["resultSource"]["id"])
        for each in system.api.get(f"/builds/{build['id']}/targets/")
    }


def test_targets_are_found_and_shared_out_and_only_what_a_change_affects_is_run_again(
    system: RunningSystem, slug: str
) -> None:
    first = built(system, slug)
    commit(system.repository_of(slug), {"server/db.sh": "echo no row >&2; exit 1\n"}, "Break a test")

    second = built(system, slug)

    assert (first["result"]["id"], first["failures"]) == ("passed", [])
    assert targets(system, first) == {
        "//server:db_test": ("passed", "from_self"),
        "//web:page_test": ("passed", "from_self"),
    }
    assert [step["name"] for step in system.api.attempts(first["id"])][1:] != []
    assert second["result"]["id"] == "failed"
    assert targets(system, second) == {
        "//server:db_test": ("failed", "from_self"),
        "//web:page_test": ("passed", "from_parent"),
    }
    # What failed is told by name, though the command that ran it failed too.
    assert [each["name"] for each in second["testFailures"]["tests"]] == ["//server:db_test/main"]
    assert {each["id"] for each in second["failures"]} == {"command_failed", "test_failures"}


def test_what_bazel_refuses_fails_the_job_in_its_words(system: RunningSystem, slug: str) -> None:
    said = SAID.replace("//...", "//nowhere:at_all")
    commit(system.repository_of(slug), {f"{slug}.yaml": said}, "Name what is not there")

    build = built(system, slug)

    (collecting,) = system.api.attempts(build["id"])
    assert build["result"]["id"] == "failed"
    assert b"no such target '//nowhere:at_all'" in system.api.log(collecting["id"])
