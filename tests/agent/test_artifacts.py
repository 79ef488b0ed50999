"""Which files of a step reach the server."""

import hashlib
import os
from pathlib import Path

import pytest
from tests.agent.running import a_command, a_step, running_agent
from tests.fakes.coordinator import Coordinator

from changes.agent.artifacts import Artifact, Collection, Room
from changes.agent.client import Client
from changes.agent.errors import NotAccepted
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
    assert 1 <= sum("/artifacts/" in request for request in coordinator.requests) <= 3


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


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "work"
    root.mkdir()
    return root


def taken(root: Path, *patterns: str, room: Room | None = None) -> tuple[list[Artifact], list[str]]:
    """What is taken, and what is said about the rest."""
    said: list[str] = []
    collection = Collection(root, root.parent / "copies", room or Room())
    return list(collection.take(list(patterns), said.append)), said


def paths(found: list[Artifact]) -> list[str]:
    return [artifact.path for artifact in found]


def write(root: Path, *names: str, content: bytes = b"x") -> None:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def test_nothing_outside_of_the_work_tree_is_collected(root: Path, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    write(secret, "key.xml", content=b"private")
    (root / "folder").symlink_to(secret)
    (root / "key.xml").symlink_to(secret / "key.xml")
    os.mkfifo(root / "pipe.xml")
    write(root, "good.xml")

    found, said = taken(root, "*.xml", "**/*.xml")

    assert paths(found) == ["good.xml"]
    assert said == [
        "Left out of the artifacts, because they are links: 'key.xml'",
        "Left out of the artifacts, because they are no plain files: 'pipe.xml'",
    ]


def test_a_work_tree_replaced_by_a_link_yields_nothing(tmp_path: Path) -> None:
    write(tmp_path / "secret", "key.xml")
    (tmp_path / "work").symlink_to(tmp_path / "secret")

    assert taken(tmp_path / "work", "*.xml") == ([], [])


KEY = b"-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n"


def test_keys_and_repositories_are_left_out_and_said(root: Path) -> None:
    write(root, ".git/config", "sub/.git/config", ".ssh/config", "id_rsa", "a/.netrc", "store.p12", "kept")
    write(root, "server.pem", content=KEY)
    write(root, "certificate.pem", content=b"-----BEGIN CERTIFICATE-----\n")

    found, said = taken(root, "**")

    assert paths(found) == ["certificate.pem", "kept"]
    assert len(said) == 1
    assert all(name in said[0] for name in ("id_rsa", "a/.netrc", "store.p12", "server.pem"))


@pytest.mark.parametrize("pattern", [".git/config", "./id_rsa", "server.pem", ".ssh/id_ed25519"])
def test_what_is_named_exactly_is_kept_all_the_same(root: Path, pattern: str) -> None:
    write(root, ".git/config", "id_rsa", "server.pem", ".ssh/id_ed25519", content=KEY)

    found, _ = taken(root, pattern, "*")

    assert paths(found) == [pattern.removeprefix("./")]


def test_a_name_alone_does_not_open_the_repository(root: Path) -> None:
    write(root, ".git/config", "config")

    assert paths(taken(root, "config")[0]) == ["config"]


def test_too_many_too_large_and_too_much_are_left_out_and_said(root: Path) -> None:
    write(root, "a", "b", "c", content=b"x" * 600_000)
    write(root, "large", content=b"x" * 2_000_000)
    write(root, "small-1", "small-2", "small-3")
    room = Room(count_max=3, file_max_bytes=1_500_000, total_max_bytes=1_300_000)

    found, said = taken(root, "*", room=room)

    assert paths(found) == ["a", "b", "small-1"]
    assert said == [
        "Left out of the artifacts, because all together have more than 1 MB: 'c'",
        "Left out of the artifacts, because they have more than 1 MB: 'large'",
        "Left out of the artifacts, because there are more than 3: 'small-2', 'small-3'",
    ]


def test_of_many_that_are_left_out_a_few_are_named(root: Path) -> None:
    write(root, *(f"{number}.p12" for number in range(9)))

    (line,) = taken(root, "*")[1]

    assert line.endswith("'4.p12' and 4 more")


def test_a_second_name_for_a_file_of_the_step_is_a_file(root: Path) -> None:
    write(root, "one")
    os.link(root / "one", root / "two")

    assert paths(taken(root, "*")[0]) == ["one", "two"]


def test_many_small_ones_travel_together(coordinator: Coordinator, home: Path) -> None:
    script = "for n in $(seq 300); do echo $n > $n.txt; done; head -c 100000 /dev/zero > large.txt"
    with running_agent(coordinator, home):
        step = coordinator.offer(a_step(a_command(script, artifacts=["*.txt"])))
        coordinator.final_of(step)

    assert len(step.artifacts) == 301
    assert step.artifacts["77.txt"] == b"77\n"
    assert sum("/artifacts/" in request for request in coordinator.requests) < 300


def test_those_that_are_not_taken_together_are_sent_one_by_one(
    coordinator: Coordinator, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_client: Client, _step_id: str, _batch: object) -> None:
        raise NotAccepted("413 Request Entity Too Large")

    monkeypatch.setattr(Client, "put_artifacts", refuse)
    many = a_command("for i in $(seq 20); do echo $i > $i.txt; done", artifacts=["*.txt"])
    with running_agent(coordinator, home):
        step = coordinator.offer(a_step(many))

        assert coordinator.final_of(step).result == "passed"

    assert len(step.artifacts) == 20


def test_a_large_one_goes_on_where_the_line_was_cut(coordinator: Coordinator, home: Path) -> None:
    script = "head -c 20000000 /dev/urandom > big.bin; sha256sum < big.bin"
    coordinator.lose_answer_about("offset=8388608")
    with running_agent(coordinator, home):
        step = coordinator.offer(a_step(a_command(script, artifacts=["big.bin"])))
        coordinator.final_of(step)

    assert hashlib.sha256(step.artifacts["big.bin"]).hexdigest() in step.console
    parts = [request for request in coordinator.requests if "/uploads/" in request]
    assert [request.split("offset=")[1].split("&")[0] for request in parts if request.endswith("200")] == [
        "0",
        "8388608",
        "16777216",
    ]
