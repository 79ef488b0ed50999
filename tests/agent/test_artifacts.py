"""Which files of a step reach the server."""

import os
from pathlib import Path

import pytest
from tests.agent.running import a_command, a_step, running_agent
from tests.fakes.coordinator import Coordinator

from changes.agent.artifacts import collect
from changes.agent.patterns import is_wanted


@pytest.mark.parametrize(
    ("pattern", "wanted", "unwanted"),
    [
        ("junit.xml", ["junit.xml", "deep/er/junit.xml"], ["junit.xml.bak", "junit.xml/other"]),
        ("*.xml", ["a.xml", "deep/a.xml"], ["a.xmlx"]),
        ("out/*.xml", ["out/a.xml"], ["a.xml", "out/deep/a.xml", "deep/out/a.xml"]),
        ("out/**/*.xml", ["out/a.xml", "out/b/c/a.xml"], ["a.xml"]),
        ("**/a.xml", ["a.xml", "b/c/a.xml"], ["b/a.xml/c"]),
        ("out/**", ["out/a", "out/b/c"], ["other/a"]),
        ("./out/[ab].txt", ["out/a.txt"], ["out/c.txt"]),
    ],
)
def test_patterns_mean_these_files(pattern: str, wanted: list[str], unwanted: list[str]) -> None:
    assert all(is_wanted(path, [pattern]) for path in wanted)
    assert not any(is_wanted(path, [pattern]) for path in unwanted)


def test_a_hostile_pattern_costs_no_more_than_its_length() -> None:
    pattern = "/".join(["**", "a*a*a*a*"] * 40) + "/b"

    assert not is_wanted("/".join(["a" * 50] * 60), [pattern])


def test_artifacts_are_collected_after_success_and_failure_once_per_path(
    coordinator: Coordinator, home: Path
) -> None:
    first = a_command("mkdir d; printf 1 > d/a.xml; printf 2 > b.xml", id="c1", artifacts=["*.xml"])
    second = a_command("printf late > c.xml; exit 1", id="c2", artifacts=["*.xml", "d/*"])
    with running_agent(coordinator, home):
        step = coordinator.offer(a_step(first, second))
        coordinator.final_of(step)

    assert step.artifacts == {"d/a.xml": b"1", "b.xml": b"2", "c.xml": b"late"}
    assert sum("/artifacts/" in request for request in coordinator.requests) == 3


def test_artifacts_are_as_the_command_left_them(coordinator: Coordinator, home: Path) -> None:
    with running_agent(coordinator, home):
        step = coordinator.offer(
            a_step(a_command("printf before > a.xml", artifacts=["a.xml"]), a_command("rm a.xml", id="c2"))
        )
        coordinator.final_of(step)

    assert step.artifacts == {"a.xml": b"before"}


def test_names_of_any_bytes_arrive_as_they_are(coordinator: Coordinator, home: Path) -> None:
    script = r"""printf 1 > 'ü ?#%.xml'; printf 2 > "$(printf 'bad\377.xml')" """
    with running_agent(coordinator, home):
        step = coordinator.offer(a_step(a_command(script, artifacts=["*.xml"])))
        coordinator.final_of(step)

    assert step.artifacts == {"ü ?#%.xml": b"1", "bad\udcff.xml": b"2"}


def test_nothing_outside_of_the_work_tree_is_collected(tmp_path: Path) -> None:
    secret, root = tmp_path / "secret", tmp_path / "work"
    secret.mkdir()
    (secret / "key.xml").write_text("private")
    (root / ".git").mkdir(parents=True)
    (root / ".git" / "config.xml").write_text("with a password")
    (root / "folder").symlink_to(secret)
    (root / "key.xml").symlink_to(secret / "key.xml")
    os.mkfifo(root / "pipe.xml")
    (root / "good.xml").write_text("<ok/>")

    found = list(collect(root, ["*.xml", "**/*.xml"], tmp_path / "copies", set()))

    assert [artifact.path for artifact in found] == ["good.xml"]


def test_a_work_tree_replaced_by_a_link_yields_nothing(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.mkdir()
    (secret / "key.xml").write_text("private")
    (tmp_path / "work").symlink_to(secret)

    assert not list(collect(tmp_path / "work", ["*.xml"], tmp_path / "copies", set()))
