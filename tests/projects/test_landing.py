"""Commits that proposals have become."""

from pathlib import Path

import pytest
from sqlalchemy import select
from tests import factories

from changes.base import db
from changes.projects import changes, landing, patches, revisions, tasks
from changes.projects.changes import NewChange
from changes.projects.events import RevisionsSeen
from changes.projects.models import Change, Repository, Source
from changes.projects.rules import ChangeKind, ChangeState


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    factories.a_git_repository(tmp_path / "code", {"a": "1\n2\n3\n"})
    return tmp_path / "code"


@pytest.fixture
def repository(database: db.Database, folder: Path) -> Repository:
    with db.transaction() as session:
        repository = factories.a_repository(session, str(folder))
    tasks.sync_repository(repository.id)
    with db.transaction() as session:
        return session.get_one(Repository, repository.id)


def proposed(repository: Repository, key: str, diff: bytes | None = None) -> None:
    with db.transaction() as session:
        wanted = NewChange(title="Mend it", key=key)
        change = changes.create(session, session.get_one(Repository, repository.id), wanted)
        if diff is not None:
            base = revisions.find(session, repository, "main")
            patch = patches.save(session, base, diff)
            changes.add_version(session, change, revisions.source_of(session, base, patch))


def seen(repository: Repository, sha: str, branch: str = "main", *, is_first: bool = False) -> None:
    tasks.sync_repository(repository.id)
    landing.link(RevisionsSeen(repository.id, branch, (sha,), is_first_import=is_first))


def the_change() -> Change:
    with db.transaction() as session:
        mine = select(Change).where(Change.kind != ChangeKind.COMMIT)
        return session.execute(mine).unique().scalar_one()


@pytest.mark.parametrize(
    ("key", "trailer"),
    [
        ("D12", "Differential Revision: https://reviews.example.com/D12"),
        ("I8f3a", "change-id:  I8f3a"),
    ],
)
def test_a_trailer_links_a_commit_to_its_change(
    repository: Repository, folder: Path, key: str, trailer: str
) -> None:
    proposed(repository, key)
    sha = factories.commit(folder, {"b": "1"}, f"Mend it\n\n{trailer}")

    seen(repository, sha)

    change = the_change()
    assert (change.state, change.landed_sha, change.landed_by) == (ChangeState.LANDED, sha, "trailer")


def test_the_same_lines_link_a_commit_that_says_nothing(repository: Repository, folder: Path) -> None:
    (folder / "a").write_text("1\ntwo\n3\n")
    proposed(repository, "D12", factories.git(folder, "diff").encode())
    sha = factories.commit(folder, {}, "Squashed by somebody")

    seen(repository, sha)

    assert (the_change().landed_sha, the_change().landed_by) == (sha, "lines")


def test_a_branch_is_a_proposal_and_old_history_is_no_news(repository: Repository, folder: Path) -> None:
    proposed(repository, "D12")
    sha = factories.commit(folder, {"b": "1"}, "Mend it\n\nChange-Id: D12")

    seen(repository, sha, "topic")
    seen(repository, sha, is_first=True)

    assert the_change().state == ChangeState.OPEN


def test_a_change_lands_once(repository: Repository, folder: Path) -> None:
    proposed(repository, "D12")
    first, second = (
        factories.commit(folder, {"b": text}, "Mend it\n\nChange-Id: D12") for text in ("1", "2")
    )

    seen(repository, first)
    seen(repository, second)

    assert the_change().landed_sha == first


def test_a_commit_that_landed_and_is_built_is_part_of_the_life_of_its_change(
    repository: Repository, folder: Path
) -> None:
    proposed(repository, "D12")
    sha = factories.commit(folder, {"b": "1"}, "Mend it\n\nChange-Id: D12")
    seen(repository, sha)

    with db.transaction() as session:
        revision = revisions.find(session, repository, sha)
        claimed = changes.claim_commit(session, revisions.source_of(session, revision), revision)

    with db.transaction() as session:
        numbers = session.execute(select(Source.number).where(Source.change_id == claimed.id)).scalars().all()
    assert claimed.id == the_change().id
    assert numbers == [1]
