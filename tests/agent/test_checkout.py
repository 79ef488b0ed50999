"""Work trees of steps, out of real git repositories."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.agent.running import a_step, running_agent
from tests.fakes.coordinator import Coordinator, StepSeen

from changes.protocol import Checkout, StepOffer

GOOD_PATCH = b"--- a/greeting\n+++ b/greeting\n@@ -1 +1 @@\n-hello\n+goodbye\n"
BAD_PATCH = GOOD_PATCH.replace(b"-hello", b"-something else")


class Repository:
    def __init__(self, path: Path) -> None:
        self.path = path
        path.mkdir()
        self.git("init", "--quiet", "--initial-branch=main")
        self.sha = self.commit("hello")

    def git(self, *arguments: str) -> str:
        settings = ("-c", "user.name=Olga", "-c", "user.email=olga@example.com")
        return subprocess.check_output(["git", "-C", self.path, *settings, *arguments], text=True).strip()

    def commit(self, greeting: str) -> str:
        (self.path / "greeting").write_text(f"{greeting}\n")
        self.git("add", "greeting")
        self.git("commit", "--quiet", "--message", greeting)
        return self.git("rev-parse", "HEAD")


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository(tmp_path / "origin")


@pytest.fixture(autouse=True)
def agent(coordinator: Coordinator, home: Path) -> Iterator[None]:
    with running_agent(coordinator, home):
        yield


def a_build_of(repository: Repository, sha: str = "", number: int = 1, **more: object) -> StepOffer:
    facts = {"backend": "git", "url": str(repository.path), "sha": sha or repository.sha, **more}
    return a_step("cat greeting; pwd", id=f"step-{number}", checkout=Checkout(**facts))  # type: ignore[arg-type]


def printed(step: StepSeen) -> str:
    return step.console.splitlines()[1]


def test_commands_start_in_the_work_tree_of_the_revision(
    coordinator: Coordinator, repository: Repository
) -> None:
    step = coordinator.offer(a_build_of(repository))

    assert coordinator.final_of(step).result == "passed"
    assert printed(step) == "hello"
    assert "/step-1/work/source\n" in step.console


def test_a_commit_newer_than_the_mirror_is_fetched(coordinator: Coordinator, repository: Repository) -> None:
    coordinator.final_of(coordinator.offer(a_build_of(repository)))

    step = coordinator.offer(a_build_of(repository, repository.commit("hello again"), number=2))

    assert coordinator.final_of(step).result == "passed"
    assert printed(step) == "hello again"


def test_a_known_commit_is_built_although_the_repository_is_gone(
    coordinator: Coordinator, repository: Repository
) -> None:
    coordinator.final_of(coordinator.offer(a_build_of(repository)))
    repository.path.rename(repository.path.with_name("moved"))

    step = coordinator.offer(a_build_of(repository, number=2))

    assert coordinator.final_of(step).result == "passed"


def test_the_patch_under_test_is_applied(coordinator: Coordinator, repository: Repository) -> None:
    step = coordinator.offer(a_build_of(repository, has_patch=True), GOOD_PATCH)

    assert coordinator.final_of(step).result == "passed"
    assert printed(step) == "goodbye"


def test_a_patch_that_does_not_apply_fails_the_step_in_the_words_of_git(
    coordinator: Coordinator, repository: Repository
) -> None:
    step = coordinator.offer(a_build_of(repository, has_patch=True), BAD_PATCH)

    report = coordinator.final_of(step)

    assert (report.result, report.reason) == ("failed", "patch_failed")
    assert "patch does not apply" in (report.message or "")
    assert "patch does not apply" in step.console
    assert report.commands == []


def test_an_unknown_revision_is_not_the_fault_of_the_change(
    coordinator: Coordinator, repository: Repository
) -> None:
    step = coordinator.offer(a_build_of(repository, "0123456789" * 4))

    report = coordinator.final_of(step)

    assert (report.result, report.reason) == ("infra_failed", "checkout_failed")
    assert report.message
    assert report.message in step.console


@pytest.mark.parametrize("path", ["../../evil", "/tmp/evil"])
def test_a_checkout_outside_of_the_step_is_refused(
    coordinator: Coordinator, repository: Repository, path: str
) -> None:
    step = coordinator.offer(a_build_of(repository, path=path))

    report = coordinator.final_of(step)

    assert (report.result, report.reason) == ("infra_failed", "bad_offer")


def test_a_cancelled_checkout_is_broken_off(coordinator: Coordinator, tmp_path: Path) -> None:
    # A server that accepts and never says a word: git waits for minutes.
    with subprocess.Popen(["python3", "-c", SILENT_SERVER], stdout=subprocess.PIPE, text=True) as silent:
        assert silent.stdout is not None
        try:
            url = f"http://127.0.0.1:{silent.stdout.readline().strip()}/r"
            checkout = Checkout(backend="git", url=url, sha="0" * 39 + "1")
            step = coordinator.offer(a_step("true", checkout=checkout))
            assert silent.stdout.readline() == "connected\n"

            coordinator.cancel(step.offer.id)

            assert coordinator.final_of(step).result == "aborted"
        finally:
            silent.kill()


SILENT_SERVER = """
import socket
server = socket.create_server(("127.0.0.1", 0))
print(server.getsockname()[1], flush=True)
connection = server.accept()
print("connected", flush=True)
server.accept()
"""


def test_other_repositories_stand_beside_the_main_one(
    coordinator: Coordinator, repository: Repository, tmp_path: Path
) -> None:
    other = Repository(tmp_path / "other")
    old = other.sha
    other.git("branch", "stable")
    other.commit("newest")
    beside = [
        Checkout(backend="git", url=str(other.path), sha=name, path=f"lib/{number}")
        for number, name in enumerate(["HEAD", "stable", old])
    ]
    main = Checkout(backend="git", url=str(repository.path), sha=repository.sha)

    step = coordinator.offer(a_step("cat ../lib/*/greeting", checkout=main, other_checkouts=beside))

    assert coordinator.final_of(step).result == "passed"
    assert [line for line in step.console.splitlines() if " " not in line] == ["newest", "hello", "hello"]


def test_a_branch_of_another_repository_is_asked_for_anew_each_time(
    coordinator: Coordinator, repository: Repository
) -> None:
    beside = [Checkout(backend="git", url=str(repository.path), sha="main", path="lib")]
    first = coordinator.offer(a_step("cat lib/greeting", id="step-1", other_checkouts=beside))
    coordinator.final_of(first)
    repository.commit("moved")

    step = coordinator.offer(a_step("cat lib/greeting", id="step-2", other_checkouts=beside))

    coordinator.final_of(step)
    assert "moved" in step.console


def test_another_repository_without_the_branch_is_told_by_name(
    coordinator: Coordinator, repository: Repository
) -> None:
    beside = [Checkout(backend="git", url=str(repository.path), sha="no-such", path="lib")]

    report = coordinator.final_of(coordinator.offer(a_step("true", other_checkouts=beside)))

    assert (report.result, report.reason) == ("infra_failed", "checkout_failed")
    assert "no-such into lib" in (report.message or "")
