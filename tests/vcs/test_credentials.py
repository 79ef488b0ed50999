"""Credentials arrive at the remote, and nowhere else."""

import base64
import contextlib
import shlex
import threading
from collections.abc import Iterator
from functools import partial
from http import HTTPStatus
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from tests.vcs.sources import GitSource, call

from changes.vcs.errors import Forbidden, NotARepository
from changes.vcs.interface import Credentials
from changes.vcs.open import open_mirror
from changes.vcs.ssh import ssh_command

EXPECTED = "Basic " + base64.b64encode(b"zoe:hunter2").decode()


class GuardedFiles(SimpleHTTPRequestHandler):
    """Serves a folder to those who know the password."""

    def do_GET(self) -> None:
        if self.headers.get("Authorization") == EXPECTED:
            super().do_GET()
            return
        self.send_response(HTTPStatus.UNAUTHORIZED)
        self.send_header("WWW-Authenticate", 'Basic realm="files"')
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the parent's name
        pass


@pytest.fixture
def address(tmp_path: Path) -> Iterator[str]:
    """Where `tmp_path` is served."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(GuardedFiles, directory=str(tmp_path)))
    server.daemon_threads = False
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def sha(tmp_path: Path) -> str:
    source = GitSource.new(tmp_path / "source")
    sha = source.commit({"a": b"1"})
    call("git", "clone", "--quiet", "--bare", source.path, tmp_path / "served.git")
    call("git", "-C", tmp_path / "served.git", "update-server-info")
    return sha


def all_content(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize(
    ("user_info", "credentials"),
    [("", Credentials(username="zoe", password="hunter2")), ("zoe:hunter2@", None)],
)
def test_git_enters_with_credentials_and_keeps_none_of_them(
    address: str, sha: str, tmp_path: Path, user_info: str, credentials: Credentials | None
) -> None:
    url = f"http://{user_info}{address}/served.git"
    mirror = open_mirror("git", url, tmp_path / "mirror", credentials=credentials)

    mirror.update()
    mirror.checkout(sha, tmp_path / "tree")

    assert mirror.url == f"http://{address}/served.git"
    assert mirror.branches() == {"main": sha}
    for folder in (tmp_path / "mirror", tmp_path / "tree"):
        assert b"hunter2" not in all_content(folder)
        assert EXPECTED.encode() not in all_content(folder)


@pytest.mark.parametrize("backend", ["git", pytest.param("hg", marks=pytest.mark.packages)])
@pytest.mark.parametrize("credentials", [None, Credentials(username="zoe", password="wrong")])
def test_who_may_not_enter_is_told_so(
    address: str, tmp_path: Path, backend: str, credentials: Credentials | None
) -> None:
    mirror = open_mirror(
        backend, f"http://{address}/served.git", tmp_path / "mirror", credentials=credentials
    )

    with pytest.raises(Forbidden) as caught:
        mirror.update()

    assert "wrong" not in str(caught.value)


@pytest.mark.packages
def test_hg_enters_with_credentials(address: str, tmp_path: Path) -> None:
    credentials = Credentials(username="zoe", password="hunter2")
    mirror = open_mirror("hg", f"http://{address}/nothing", tmp_path / "mirror", credentials=credentials)

    # Behind the door there are only files; without the password it would have been Forbidden.
    with pytest.raises(NotARepository):
        mirror.update()


@pytest.mark.parametrize("backend", ["git", pytest.param("hg", marks=pytest.mark.packages)])
def test_no_argument_shows_the_password(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, backend: str
) -> None:
    tool, seen = tmp_path / "bin" / backend, tmp_path / "seen"
    tool.parent.mkdir()
    tool.write_text(f'#!/bin/sh\necho "$@" >> {seen}\n')
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tool.parent}:/usr/bin:/bin")
    mirror = open_mirror(backend, "https://zoe:hunter2@example.com/a", tmp_path / "mirror")

    # The mirror is left incomplete by a tool that does nothing.
    with contextlib.suppress(OSError):
        mirror.update()

    assert "https://example.com/a" in seen.read_text()
    assert "hunter2" not in seen.read_text()


def test_ssh_uses_the_given_key_and_asks_nothing() -> None:
    with ssh_command(Credentials(ssh_key="KEY", known_hosts="host ssh-ed25519 AAAA")) as command:
        words = dict(option[2:].split("=", 1) for option in shlex.split(command)[1:])

        assert Path(words["IdentityFile"].strip('"')).read_text() == "KEY\n"
        assert Path(words["UserKnownHostsFile"].strip('"')).read_text() == "host ssh-ed25519 AAAA\n"
        assert (words["BatchMode"], words["StrictHostKeyChecking"]) == ("yes", "yes")
    assert not Path(words["IdentityFile"].strip('"')).exists()


def test_credentials_do_not_show_their_password() -> None:
    assert "hunter2" not in repr(Credentials(username="zoe", password="hunter2"))
