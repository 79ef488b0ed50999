"""Repositories that are too much, or that go away in the middle: bounded cost, and a clear message."""

import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from uuid import UUID

import pytest
from sqlalchemy import select
from tests import factories
from tests.fakes.silent_remote import SilentRemote
from tests.projects.test_sync import branches, stored, the

from changes.base import db
from changes.projects import config, looks, mirrors, tasks
from changes.projects.models import Revision

DEADLINE_S = 120
ANN = ("-c", "user.name=Ann", "-c", "user.email=ann@example.com")
BRANCHES = 100_000
GIGABYTE = 2**30
BLOCK = b"\0" * 2**20


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    factories.a_git_repository(tmp_path / "source", {"a": "1"})
    return tmp_path / "source"


@pytest.fixture
def repository_id(database: db.Database, folder: Path) -> UUID:
    with db.transaction() as session:
        return factories.a_repository(session, str(folder)).id


@pytest.fixture
def remote() -> Iterator[SilentRemote]:
    with SilentRemote() as remote:
        yield remote


def test_a_repository_that_vanishes_during_a_sync_leaves_what_is_stored(
    repository_id: UUID, remote: SilentRemote
) -> None:
    tasks.sync_repository(repository_id)
    before = stored(repository_id)
    with db.transaction() as session:
        repository = the(repository_id)
        repository.url = remote.url
        session.merge(repository)

    with ThreadPoolExecutor(1) as pool:
        looking = pool.submit(tasks.sync_repository, repository_id)
        assert remote.is_asked.wait(DEADLINE_S)
        remote.hang_up()
        looking.result(DEADLINE_S)

    found = the(repository_id)
    assert "The server does not answer." in found.last_error
    assert (found.sync_failures, stored(repository_id)) == (1, before)


def test_a_message_without_end_is_cut_and_those_around_it_are_whole(
    repository_id: UUID, folder: Path
) -> None:
    asked = ("commit-tree", "HEAD^{tree}", "-p", "HEAD", "-m", "x" * 100_000)
    long = factories.git(folder, *ANN, *asked).strip()
    lines = f"commit refs/heads/main\ncommitter A <a@example.com> 1700000000 +0000\ndata {3 * 2**20}\n"
    whole = f"{lines}{'y' * 3 * 2**20}\nfrom {long}\n\n"
    subprocess.run(
        ["git", "-C", folder, "fast-import", "--quiet", "--force"], input=whole.encode(), check=True
    )
    last = factories.git(folder, "rev-parse", "main").strip()

    tasks.sync_repository(repository_id)

    with db.transaction() as session:
        messages = {
            row.sha: row.message
            for row in session.execute(select(Revision)).unique().scalars()
            if row.repository_id == repository_id
        }
    assert len(messages) == 3
    assert set(messages[last]) == {"y"}
    assert messages[long] == "x" * 100_000


@pytest.mark.long
def test_a_hundred_thousand_branches_are_followed(repository_id: UUID, folder: Path) -> None:
    head = factories.git(folder, "rev-parse", "HEAD").strip()
    refs = "".join(f"{head} refs/heads/b{number:06}\n" for number in range(BRANCHES))
    (folder / ".git" / "packed-refs").write_text(f"# pack-refs with: peeled fully-peeled sorted \n{refs}")
    tasks.sync_repository(repository_id)
    newer = factories.commit(folder, {"a": "2"}, "Second")

    tasks.sync_repository(repository_id)

    assert the(repository_id).last_error == ""
    assert len(branches(repository_id)) == BRANCHES + 1
    assert branches(repository_id)["main"] == newer
    assert len(stored(repository_id)[head]) <= 20


@pytest.mark.long
def test_a_file_of_a_gigabyte_is_not_read(repository_id: UUID, folder: Path) -> None:
    command = ["git", "-C", str(folder), "-c", "core.compression=1", "hash-object", "-w", "--stdin"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as hashing:
        assert hashing.stdin is not None
        for _ in range(GIGABYTE // len(BLOCK)):
            hashing.stdin.write(BLOCK)
        blob = hashing.communicate()[0].decode().strip()
    factories.git(folder, "update-index", "--add", "--cacheinfo", f"100644,{blob},{config.FILE_NAME}")
    factories.git(folder, *ANN, "commit", "-q", "-m", "Much")

    tasks.sync_repository(repository_id)

    mirror = mirrors.of(the(repository_id))
    assert the(repository_id).last_error == ""
    assert looks.read_config(mirror, mirror.resolve("main")) == config.TOO_LARGE
