"""Mirrors of an agent: entered with credentials in memory, mended, shared, and bounded."""

import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest
from tests.agent.running import a_step, eventually, running_agent
from tests.factories import a_git_repository, commit
from tests.fakes.coordinator import Coordinator
from tests.vcs.remotes import LOGIN, GitHttp

from changes.agent.checkout import Logins, Origin
from changes.agent.mirrors import DAY_S, Mirrors, Room, name_of, used_path
from changes.protocol import Checkout, Login
from changes.vcs.errors import Forbidden, NotARepository, TimedOut, UnknownRevision
from changes.vcs.lock import locked

WAIT_MAX_S = 60.0


class Place:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.source = folder / "source"
        self.sha = a_git_repository(self.source, {"a": "1\n"})
        self.mirrors = Mirrors(folder / "home")
        self.asked = 0
        self.logins: list[Login] = []
        self._trees = 0

    def ask(self) -> list[Login]:
        self.asked += 1
        return self.logins

    def checkout(self, sha: str = "", **more: object) -> Checkout:
        facts = {"backend": "git", "url": str(self.source), "sha": sha or self.sha}
        return Checkout(**{**facts, **more})  # type: ignore[arg-type]

    def check_out(self, wanted: Checkout | None = None) -> Path:
        self._trees += 1
        into = self.folder / f"tree-{self._trees}"
        Origin(self.mirrors, wanted or self.checkout(), Logins(self.ask)).check_out(into)
        return into

    def mirror_path(self, wanted: Checkout | None = None) -> Path:
        return self.mirrors.folder / name_of(wanted or self.checkout())


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[GitHttp]:
    with closing(GitHttp(tmp_path)) as server:
        yield server


def a_login(url: str, password: str = LOGIN[1]) -> Login:
    return Login(url=url, username=LOGIN[0], password=password)


@pytest.mark.packages
def test_a_step_enters_with_what_the_server_gives_it_and_keeps_none_of_it(
    coordinator: Coordinator, home: Path, guarded: GitHttp, tmp_path: Path
) -> None:
    sha = a_git_repository(tmp_path / "private", {"a": "1\n"})
    url = f"{guarded.address}/private"
    coordinator.logins = [a_login(url)]
    script = f"env; cat .git/config; git log; ! grep -r {LOGIN[1][:-1]}[{LOGIN[1][-1]}] ../.."

    with running_agent(coordinator, home):
        step = coordinator.offer(a_step(script, checkout=Checkout(backend="git", url=url, sha=sha)))
        report = coordinator.final_of(step)

    assert report.result == "passed"
    assert LOGIN[1] not in step.console
    stored = b"".join(path.read_bytes() for path in home.rglob("*") if path.is_file())
    assert LOGIN[1].encode() not in stored


@pytest.mark.packages
def test_the_server_is_asked_only_when_the_remote_is_entered(place: Place, guarded: GitHttp) -> None:
    wanted = place.checkout(url=f"{guarded.address}/source")
    place.logins = [a_login(wanted.url)]

    place.check_out(wanted)
    place.check_out(wanted)

    assert place.asked == 1


@pytest.mark.packages
def test_a_wrong_password_is_told_in_words_without_it(place: Place, guarded: GitHttp) -> None:
    wanted = place.checkout(url=f"{guarded.address}/source")
    place.logins = [a_login(wanted.url, "not-it")]

    with pytest.raises(Forbidden, match="does not let this agent in") as caught:
        place.check_out(wanted)

    assert "not-it" not in str(caught.value)


def test_a_login_does_not_show_its_password() -> None:
    assert "hunter2" not in repr(a_login("https://example.com/"))


def test_a_repository_that_vanished_is_told_in_words(place: Place) -> None:
    place.check_out()
    new = commit(place.source, {"a": "2\n"}, "New")
    shutil.rmtree(place.source)

    with pytest.raises(NotARepository, match="There is no such repository any more"):
        place.check_out(place.checkout(new))

    assert (place.check_out() / "a").read_text() == "1\n"


def damage_objects(mirror: Path) -> None:
    for path in (mirror / "objects").rglob("*"):
        if path.is_file():
            path.chmod(0o644)
            path.write_bytes(b"")


def damage_head(mirror: Path) -> None:
    (mirror / "HEAD").write_bytes(b"\0\0\0")


def damage_config(mirror: Path) -> None:
    (mirror / "config").write_bytes(b"[core\n\0")


def lose_objects(mirror: Path) -> None:
    shutil.rmtree(mirror / "objects")


def leave_a_lock(mirror: Path) -> None:
    (mirror / "packed-refs.lock").touch()
    (mirror / "refs" / "heads" / "main.lock").touch()


@pytest.mark.parametrize("harm", [damage_objects, damage_head, damage_config, lose_objects, leave_a_lock])
def test_a_mirror_that_came_to_harm_is_made_whole_again(place: Place, harm: Callable[[Path], None]) -> None:
    place.check_out()
    new = commit(place.source, {"a": "2\n"}, "New")
    harm(place.mirror_path())

    assert (place.check_out(place.checkout(new)) / "a").read_text() == "2\n"
    assert (place.check_out() / "a").read_text() == "1\n"


def test_a_damaged_mirror_stays_while_its_repository_is_away(place: Place) -> None:
    place.check_out()
    damage_objects(place.mirror_path())
    place.source.rename(place.folder / "moved")

    with pytest.raises(NotARepository):
        place.check_out()

    assert place.mirror_path().exists()


def test_two_steps_share_a_mirror_at_once(place: Place) -> None:
    shas = [commit(place.source, {"a": f"{number}\n"}, "More") for number in range(4)]
    failed: list[BaseException] = []

    def work(number: int) -> None:
        try:
            into = place.folder / f"shared-{number}"
            origin = Origin(place.mirrors, place.checkout(shas[number]), Logins(place.ask))
            origin.check_out(into)
            assert (into / "a").read_text() == f"{number}\n"
        except BaseException as error:
            failed.append(error)
            raise

    threads = [threading.Thread(target=work, args=[number]) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert failed == []


class SlowGit(GitHttp):
    """Gives nothing away before it is told to."""

    def __init__(self, root: Path) -> None:
        self.is_reached, self.may_go_on = threading.Event(), threading.Event()
        super().__init__(root)

    def serve(self, request: BaseHTTPRequestHandler, body: bytes) -> tuple[int, dict[str, str], bytes]:
        if b"command=fetch" in body:
            self.is_reached.set()
            self.may_go_on.wait(WAIT_MAX_S)
        return super().serve(request, body)


CLONE = """
import sys
from pathlib import Path
from changes.vcs.open import open_mirror
open_mirror("git", sys.argv[1], Path(sys.argv[2])).update()
"""


@pytest.mark.packages
def test_after_a_kill_in_the_middle_of_a_clone_the_next_step_works(place: Place) -> None:
    with closing(SlowGit(place.folder)) as server:
        wanted = place.checkout(url=f"{server.address}/source")
        place.logins = [a_login(wanted.url)]
        url = wanted.url.replace("//", f"//{':'.join(LOGIN)}@")
        mirror = place.mirror_path(wanted)
        with subprocess.Popen([sys.executable, "-c", CLONE, url, mirror]) as cloning:
            assert server.is_reached.wait(WAIT_MAX_S)
            cloning.kill()
        # Git outlives us and holds the lock, so nobody else writes into the mirror meanwhile.
        with pytest.raises(TimedOut), locked(mirror, 0.0):
            pass
        server.may_go_on.set()

        assert (place.check_out(wanted) / "a").read_text() == "1\n"


def test_what_was_not_used_for_long_goes(place: Place) -> None:
    place.check_out()
    old = time.time() - 31 * DAY_S
    os.utime(used_path(place.mirror_path()), (old, old))

    place.mirrors.tidy(is_due=True)

    assert not place.mirror_path().exists()


def test_without_room_the_one_goes_that_was_not_used_for_longest(place: Place) -> None:
    other = place.checkout(url=f"file://{place.source}")
    for wanted, age_s in ((place.checkout(), 100), (other, 50)):
        place.check_out(wanted)
        then = time.time() - age_s
        os.utime(used_path(place.mirror_path(wanted)), (then, then))
    sizes = [folder_size(place.mirror_path(each)) for each in (place.checkout(), other)]

    Mirrors(place.folder / "home", Room(size_max_bytes=sum(sizes) - 1)).tidy(is_due=True)

    assert not place.mirror_path().exists()
    assert place.mirror_path(other).exists()


def folder_size(folder: Path) -> int:
    return sum(path.lstat().st_blocks * 512 for path in folder.rglob("*"))


def test_a_mirror_that_a_step_works_with_stays(coordinator: Coordinator, home: Path, tmp_path: Path) -> None:
    sha = a_git_repository(tmp_path / "source", {"a": "1\n"})
    wanted = Checkout(backend="git", url=str(tmp_path / "source"), sha=sha)
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    with running_agent(coordinator, home):
        step = coordinator.offer(a_step(f"echo > {gate}; read line < {gate}; git log", checkout=wanted))
        gate.read_text()

        Mirrors(home, Room(size_max_bytes=0, unused_max_s=0)).tidy(is_due=True)
        gate.write_text("\n")

        assert coordinator.final_of(step).result == "passed", step.console
    eventually(lambda: not list((home / "steps").iterdir()))
    Mirrors(home, Room(size_max_bytes=0, unused_max_s=0)).tidy(is_due=True)
    assert not (home / "mirrors" / name_of(wanted)).exists()


def test_a_mirror_that_is_being_filled_stays(place: Place) -> None:
    place.check_out()
    with locked(place.mirror_path(), 1.0):
        Mirrors(place.folder / "home", Room(size_max_bytes=0)).tidy(is_due=True)

        assert place.mirror_path().exists()


def test_a_short_history_has_a_mirror_of_its_own(place: Place) -> None:
    new = commit(place.source, {"a": "2\n"}, "New")
    short = place.checkout(new, url=f"file://{place.source}", depth=1)

    tree = place.check_out(short)

    log = subprocess.check_output(["git", "-C", tree, "log", "--format=%H"], text=True)
    assert log.split() == [new]
    with pytest.raises(UnknownRevision):
        place.mirrors.open(short).resolve(place.sha)
