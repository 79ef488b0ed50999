"""Looking at real repositories of Mercurial: new commits, new branches, and what was stripped."""

from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

import pytest
from sqlalchemy import select
from tests import factories
from tests.projects.test_sync import branches, forget_told, listen, stored, told
from tests.vcs.sources import HgSource

from changes.base import db, events
from changes.builds import triggers_commits
from changes.builds.models import Build
from changes.projects import tasks
from changes.projects.events import RevisionsSeen
from changes.projects.rules import RepositoryBackend

pytestmark = pytest.mark.packages

CONFIG = b"plans:\n  - {name: tests, commands: [make test]}\n"


@pytest.fixture
def source(tmp_path: Path) -> HgSource:
    source = HgSource.new(tmp_path / "source")
    source.commit({"a": b"1", ".changes.yml": CONFIG})
    return source


@pytest.fixture
def repository_id(database: db.Database, source: HgSource) -> Iterator[UUID]:
    """Read once; what it announces from then on stays in the outbox."""
    with db.transaction() as session:
        repository = factories.a_repository(session, str(source.path), RepositoryBackend.HG)
        factories.a_project(session, repository=repository)
    events.listen(RevisionsSeen, listen)
    tasks.sync_repository(repository.id)
    forget_told()
    yield repository.id
    events.forget_listeners()


def test_new_commits_and_new_branches_are_told_and_built(repository_id: UUID, source: HgSource) -> None:
    on_default = [source.commit({"a": b"2"}), source.commit({"a": b"3"})]
    source.hg("branch", "--quiet", "stable")
    on_stable = source.commit({"a": b"4"})

    tasks.sync_repository(repository_id)
    triggers_commits.consider_revisions(
        RevisionsSeen(repository_id, "default", tuple(on_default), is_first_import=False)
    )

    assert told() == {"default": on_default, "stable": [on_stable]}
    assert branches(repository_id) == {"default": on_default[-1], "stable": on_stable}
    assert stored(repository_id)[on_stable] == ["stable"]
    with db.transaction() as session:
        built = session.execute(select(Build).order_by(Build.number)).unique().scalars().all()
        assert [build.source.revision_sha for build in built] == on_default


def test_a_look_that_finds_nothing_new_tells_nothing(repository_id: UUID) -> None:
    before = stored(repository_id)

    tasks.sync_repository(repository_id)

    assert (told(), stored(repository_id)) == ({}, before)


def test_what_was_stripped_is_followed_by_what_came_in_its_place(
    repository_id: UUID, source: HgSource
) -> None:
    stripped = source.commit({"a": b"2"})
    tasks.sync_repository(repository_id)
    forget_told()
    source.hg("--config", "extensions.strip=", "strip", "--quiet", "--no-backup", stripped)
    instead = source.commit({"a": b"instead"})

    tasks.sync_repository(repository_id)

    assert told() == {"default": [instead]}
    assert branches(repository_id) == {"default": instead}
    assert {stripped, instead} < {*stored(repository_id)}
