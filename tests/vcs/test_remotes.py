"""git and Mercurial through every way there is to a remote: the same list of promises for both."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import replace
from pathlib import Path

import pytest
from tests.vcs.remotes import EXPECTED, LOGIN, GitHttp, HgHttp, HttpServer, SshServer, a_key
from tests.vcs.sources import PERSON, GitSource, HgSource

from changes.vcs.errors import Forbidden, NotARepository, PatchDoesNotApply, UnknownRevision, VcsError
from changes.vcs.interface import Credentials, LogQuery, Mirror
from changes.vcs.open import open_mirror

pytestmark = pytest.mark.packages
# Mercurial over ssh starts two Pythons for each question: the same list, in `make test-long`.
SLOW = pytest.param(("hg", "ssh"), marks=pytest.mark.long)
WAYS = [("git", "file"), ("git", "ssh"), ("git", "http"), ("hg", "file"), SLOW, ("hg", "http")]
PASSWORD = Credentials(username=LOGIN[0], password=LOGIN[1])


class Remote:
    """A root and a change on one line; a side branch is merged last."""

    def __init__(self, backend: str, folder: Path) -> None:
        self.backend = backend
        self.path = folder / "source"
        if backend == "git":
            self._fill_git()
        else:
            self._fill_hg()

    def _fill_git(self) -> None:
        source = GitSource.new(self.path)
        self.root = source.commit({"a": b"1\n2\n3\n", "folder/b": b"x\n"})
        source.git("checkout", "--quiet", "-b", "side")
        self.side = source.commit({"side": b"s\n"}, "On the side")
        source.git("checkout", "--quiet", "main")
        self.change = source.commit({"a": b"1\nzwei\n3\n"}, "Zweiter Schritt ✓")
        self.merge = source.merge("side")
        self.commit = source.commit
        self.main = "main"

    def _fill_hg(self) -> None:
        source = HgSource.new(self.path)
        self.root = source.commit({"a": b"1\n2\n3\n", "folder/b": b"x\n"})
        source.hg("branch", "--quiet", "side")
        self.side = source.commit({"side": b"s\n"}, "On the side")
        source.hg("update", "--quiet", "default")
        self.change = source.commit({"a": b"1\nzwei\n3\n"}, "Zweiter Schritt ✓")
        source.hg("merge", "--quiet", "side")
        self.merge = source.commit({}, "Merge side")
        self.commit = source.commit
        self.main = "default"


class Way:
    """How to one of the remotes; `wrong` opens no door."""

    def __init__(self, remote: Remote, url: str, right: Credentials, wrong: Credentials) -> None:
        self.remote = remote
        self.url = url
        self.right = right
        self.wrong = wrong

    def mirror(self, folder: Path, credentials: Credentials | None = None) -> Mirror:
        return open_mirror(self.remote.backend, self.url, folder, credentials=credentials or self.right)


class Servers:
    """Each is started when somebody first asks for it."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self.folder = folder
        self.stack = stack
        self._remotes: dict[str, Remote] = {}
        self._ways: dict[tuple[str, str], Way] = {}
        self._ssh: SshServer | None = None

    def remote(self, backend: str) -> Remote:
        if backend not in self._remotes:
            folder = self.folder / backend
            folder.mkdir()
            self._remotes[backend] = Remote(backend, folder)
        return self._remotes[backend]

    @property
    def ssh(self) -> SshServer:
        if self._ssh is None:
            folder = self.folder / "ssh"
            folder.mkdir()
            self._ssh = self.stack.enter_context(closing(SshServer(folder)))
        return self._ssh

    def way(self, backend: str, kind: str) -> Way:
        if (backend, kind) not in self._ways:
            self._ways[backend, kind] = self._make(self.remote(backend), kind)
        return self._ways[backend, kind]

    def _make(self, remote: Remote, kind: str) -> Way:
        if kind == "file":
            return Way(remote, f"file://{remote.path}", Credentials(), Credentials())
        if kind == "ssh":
            right = Credentials(ssh_key=self.ssh.key, known_hosts=self.ssh.known_hosts)
            stranger = a_key(remote.path.parent / "stranger").read_text()
            # Mercurial takes one slash for the home of the account.
            path = f"/{remote.path}" if remote.backend == "hg" else str(remote.path)
            return Way(remote, self.ssh.url(path), right, replace(right, ssh_key=stranger))
        wrong = replace(PASSWORD, password="not-it")
        if remote.backend == "git":
            server: HttpServer = self.stack.enter_context(closing(GitHttp(remote.path.parent)))
            return Way(remote, f"{server.address}/source", PASSWORD, wrong)
        server = self.stack.enter_context(closing(HgHttp(remote.path)))
        return Way(remote, server.address, PASSWORD, wrong)


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    with ExitStack() as stack:
        yield Servers(tmp_path_factory.mktemp("remotes"), stack)


@pytest.fixture(params=WAYS, ids="-".join)
def way(request: pytest.FixtureRequest, servers: Servers) -> Way:
    return servers.way(*request.param)


@pytest.fixture(params=["git", "hg"])
def filled(request: pytest.FixtureRequest, servers: Servers) -> tuple[Remote, Mirror]:
    """Local, for what is the same whichever way the commits came; nothing changes it."""
    way = servers.way(request.param, "file")
    mirror = way.mirror(servers.folder / f"filled-{request.param}")
    if not mirror.exists():
        mirror.update()
    return way.remote, mirror


def test_what_is_there_comes_by_every_way(way: Way, tmp_path: Path) -> None:
    mirror = way.mirror(tmp_path / "mirror")

    mirror.reach()
    mirror.update()
    mirror.checkout(way.remote.change, tmp_path / "tree")

    assert mirror.resolve(way.remote.main) == mirror.branches()[way.remote.main]
    assert (tmp_path / "tree" / "a").read_bytes() == b"1\nzwei\n3\n"


@pytest.mark.parametrize("which", [("git", "ssh"), ("git", "http"), ("hg", "http")], ids="-".join)
def test_what_is_new_comes_and_is_told_before(
    servers: Servers, tmp_path: Path, which: tuple[str, str]
) -> None:
    way = servers.way(*which)
    mirror = way.mirror(tmp_path / "mirror")
    mirror.update()

    sha = way.remote.commit({"news": way.url.encode()}, "News")

    assert mirror.remote_branches()[way.remote.main] == sha
    assert not mirror.has(sha)
    assert mirror.fetch(sha) == sha
    mirror.update()
    assert mirror.remote_branches() == mirror.branches()


def test_who_may_not_enter_is_told_so_by_every_way(way: Way, tmp_path: Path) -> None:
    if way.right == Credentials():
        way = Way(way.remote, f"{way.url}-elsewhere", way.right, way.right)

    with pytest.raises((Forbidden, NotARepository)) as caught:
        way.mirror(tmp_path / "mirror", way.wrong).update()

    assert isinstance(caught.value, Forbidden) == (way.right != way.wrong)
    assert "not-it" not in str(caught.value)


def test_a_place_without_a_repository_is_named(way: Way, tmp_path: Path) -> None:
    if way.remote.backend == "hg" and way.url.startswith("http"):
        # `hg serve` has one repository only; below it there are pages.
        way = Way(way.remote, f"{way.url}/file/tip", way.right, way.wrong)
    nowhere = Way(way.remote, f"{way.url}-not", way.right, way.wrong)

    with pytest.raises(NotARepository):
        nowhere.mirror(tmp_path / "mirror").update()


@pytest.mark.parametrize("kind", ["ssh", "http"])
@pytest.mark.parametrize("backend", ["git", pytest.param("hg", marks=pytest.mark.long)])
def test_credentials_are_neither_in_files_nor_in_arguments_nor_in_the_environment(
    servers: Servers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, backend: str, kind: str
) -> None:
    way = servers.way(backend, kind)
    seen = tmp_path / "seen"
    for name in ("git", "hg", "ssh", "git-remote-http"):
        recorder(tmp_path / "bin" / name, seen)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    mirror = way.mirror(tmp_path / "mirror")

    mirror.update()
    mirror.checkout(way.remote.change, tmp_path / "tree")

    found = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert way.remote.backend.encode() in seen.read_bytes()
    for secret in (LOGIN[1], EXPECTED.removeprefix("Basic "), key_line(servers.ssh.key)):
        assert secret.encode() not in found


def recorder(path: Path, seen: Path) -> None:
    real = subprocess.check_output(["sh", "-c", f"command -v {path.name} || true"], text=True).strip()
    path.parent.mkdir(exist_ok=True)
    path.write_text(f'#!/bin/sh\necho "$0 $*" >> {seen}\nenv >> {seen}\nexec {real} "$@"\n')
    path.chmod(0o755)


def key_line(key: str) -> str:
    """The line before the last, which no other key has."""
    return key.splitlines()[-2]


def test_a_host_that_changed_its_key_is_not_talked_to(servers: Servers, tmp_path: Path) -> None:
    way = servers.way("git", "ssh")
    other = a_key(tmp_path / "other").with_suffix(".pub").read_text()
    pinned = replace(way.right, known_hosts=f"[127.0.0.1]:{servers.ssh.port} {other}")

    with pytest.raises(Forbidden, match="The server has another host key than the known one"):
        way.mirror(tmp_path / "mirror", pinned).update()


@pytest.mark.parametrize("backend", ["git", "hg"])
def test_a_server_we_are_led_to_is_not_told_the_password(
    servers: Servers, tmp_path: Path, backend: str
) -> None:
    way = servers.way(backend, "http")
    with closing(HttpServer()) as thief, closing(HttpServer()) as leading:
        leading.leads_to = thief.address.replace("127.0.0.1", "localhost")
        mirror = open_mirror(
            backend, f"{leading.address}/moved/source", tmp_path / "mirror", credentials=way.right
        )

        with pytest.raises(VcsError):
            mirror.update()

        assert thief.given == []


def test_a_log_tells_who_when_what_and_from_where(filled: tuple[Remote, Mirror]) -> None:
    remote, mirror = filled

    (seen,) = mirror.log(LogQuery(starts=(remote.change,), limit=1))

    assert f"{seen.author.name} <{seen.author.email}>" == PERSON
    assert (seen.sha, seen.parents) == (remote.change, (remote.root,))
    assert seen.message.strip() == "Zweiter Schritt ✓"


def test_a_log_reaches_all_parents_or_the_first_ones(filled: tuple[Remote, Mirror]) -> None:
    remote, mirror = filled
    everything = LogQuery(starts=(remote.merge,))

    straight = [seen.sha for seen in mirror.log(replace(everything, first_parent=True))]

    assert {seen.sha for seen in mirror.log(everything)} == {
        remote.root,
        remote.side,
        remote.change,
        remote.merge,
    }
    assert straight == [remote.merge, remote.change, remote.root]


def test_changed_files_of_root_change_and_merge(filled: tuple[Remote, Mirror]) -> None:
    remote, mirror = filled

    assert mirror.changed_files(remote.root) == ["a", "folder/b"]
    assert mirror.changed_files(remote.change) == ["a"]
    assert mirror.changed_files(remote.merge) == ["a", "side"]


def test_the_files_of_a_commit(filled: tuple[Remote, Mirror]) -> None:
    remote, mirror = filled

    assert sorted(mirror.files(remote.root)) == ["a", "folder/b"]
    assert sorted(mirror.files(remote.merge)) == ["a", "folder/b", "side"]


def test_ancestry_and_where_lines_part(filled: tuple[Remote, Mirror]) -> None:
    remote, mirror = filled

    assert mirror.is_ancestor(remote.root, remote.merge)
    assert not mirror.is_ancestor(remote.side, remote.change)
    assert mirror.merge_base(remote.side, remote.change) == remote.root


def test_files_are_read_where_they_were(filled: tuple[Remote, Mirror]) -> None:
    remote, mirror = filled

    assert mirror.read_file(remote.root, "a") == b"1\n2\n3\n"
    assert mirror.read_file(remote.merge, "side") == b"s\n"


def test_a_diff_can_be_applied_elsewhere(filled: tuple[Remote, Mirror], tmp_path: Path) -> None:
    remote, mirror = filled
    mirror.checkout(remote.side, tmp_path / "tree")

    mirror.apply_patch(tmp_path / "tree", mirror.diff(remote.change))

    assert (tmp_path / "tree" / "a").read_bytes() == b"1\nzwei\n3\n"
    assert (tmp_path / "tree" / "side").exists()


def test_a_diff_that_does_not_fit_names_its_file(filled: tuple[Remote, Mirror], tmp_path: Path) -> None:
    remote, mirror = filled
    mirror.checkout(remote.change, tmp_path / "tree")

    with pytest.raises(PatchDoesNotApply, match=r"\ba\b"):
        mirror.apply_patch(tmp_path / "tree", mirror.diff(remote.change))


def test_a_commit_nobody_made_is_unknown(filled: tuple[Remote, Mirror]) -> None:
    _, mirror = filled

    with pytest.raises(UnknownRevision):
        mirror.revision("0123456789" * 4)
