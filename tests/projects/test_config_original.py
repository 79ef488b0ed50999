"""`<slug>.yaml` of the original: each of its keys, and what is refused."""

import pytest

from changes.base.errors import Invalid
from changes.projects import config_original
from changes.projects.config_original import OriginalConfig

BAZEL = """\
bazel.targets: [//server/..., "//web:all"]
bazel.exclude-tags: [manual, slow]
bazel.cpus: 2
bazel.mem: 2048
bazel.max-executors: 3
bazel.additional-test-flags: [--test_env=A=1, "--test_arg=-v"]
bazel.selective-testing-enabled: true
bazel.dependencies: {encap: [python-2.7]}
"""


def test_a_file_that_says_nothing_has_the_defaults_of_the_original() -> None:
    found = config_original.read_bazel("bazel.targets: [//...]", "server")

    assert config_original.read("", "server") == OriginalConfig((), removes_ignored=False, pause_min=0)
    assert (found.cpus, found.memory_mb, found.max_executors) == (4, 8192, 1)
    assert (found.excluded_tags, found.test_flags, found.is_selective) == (("manual",), (), False)


def test_every_key_is_read() -> None:
    text = (
        "build.file-blacklist: ['docs/*']\nbuild.remove-blacklisted-files: true\n"
        "build.minimum-minutes-between-builds: 5\n"
    )

    found, bazel = config_original.read(text, "server"), config_original.read_bazel(BAZEL, "server")

    assert found == OriginalConfig(("docs/*",), removes_ignored=True, pause_min=5)
    assert bazel.targets == ("//server/...", "//web:all")
    assert bazel.excluded_tags == ("manual", "slow")
    assert (bazel.cpus, bazel.memory_mb, bazel.max_executors) == (2, 2048, 3)
    assert bazel.test_flags == ("--test_env=A=1", "--test_arg=-v")
    assert bazel.is_selective
    assert bazel.packages == ("python-2.7",)


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("bazel.cpus: 17", "line 2, column 1: bazel.cpus must be a whole number from 1 to 16"),
        ("bazel.mem: 100", "bazel.mem must be a whole number from 1024 to 16384"),
        ("bazel.max-executors: many", "bazel.max-executors must be a whole number from 1 to 10"),
        ("bazel.additional-test-flags: [--run_under=evil]", "'--run_under=evil' is not"),
        ("bazel.exclude-tags: ['a)b']", "'a)b' is not"),
        ("bazel.selective-testing-enabled: 1", "must be true or false"),
        ("bazel.dependencies: {apt: [x]}", "must be a mapping of encap to names"),
        ("bazel.dependencies: {encap: ['a b']}", "must be a mapping of encap to names"),
    ],
)
def test_what_bazel_cannot_do_is_refused_with_its_place(line: str, complaint: str) -> None:
    with pytest.raises(Invalid) as caught:
        config_original.read_bazel(f"bazel.targets: [//...]\n{line}\n", "server")

    assert caught.value.message.startswith("server.yaml")
    assert complaint in caught.value.message


def test_a_plan_that_is_made_of_it_needs_targets() -> None:
    with pytest.raises(Invalid, match="must name what is to be tested"):
        config_original.read_bazel("bazel.cpus: 2", "server")


def test_a_pattern_is_one_line() -> None:
    with pytest.raises(Invalid, match="lines of up to"):
        config_original.read('build.file-blacklist: ["a\\nb"]', "server")
