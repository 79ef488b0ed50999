from pathlib import Path

import pytest
from sqlalchemy.orm import Session
from tests import factories
from tests.builds import agents

from changes.base import ids
from changes.base.errors import Invalid, Unavailable
from changes.builds import create, outside
from changes.builds.create import NewBuild
from changes.builds.outside import Told
from changes.projects import config, mirrors, revisions
from changes.projects.models import Repository
from changes.projects.rules import RepositoryBackend

CONFIG = "plans: [{name: a, commands: [make]}]"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A git repository with one commit on main."""
    factories.a_git_repository(tmp_path / "source", {"a": "1", config.FILE_NAME: CONFIG}, "First\n\nWhy.")
    return tmp_path / "source"


@pytest.fixture
def repository(session: Session, folder: Path) -> Repository:
    return factories.a_repository(session, str(folder))


def head(folder: Path) -> str:
    return factories.git(folder, "rev-parse", "HEAD").strip()


@pytest.mark.parametrize("name_of", [lambda sha: sha, lambda sha: sha[:10], lambda _: "main"])
def test_a_commit_is_found_by_sha_beginning_and_branch(
    session: Session, repository: Repository, folder: Path, name_of: object
) -> None:
    assert callable(name_of)

    revision = revisions.find(session, repository, name_of(head(folder)))

    assert revision.sha == head(folder)
    assert (revision.subject, revision.message.strip()) == ("First", "First\n\nWhy.")
    assert revision.author is not None
    assert (revision.author.name, revision.author.email) == ("Ann", "ann@example.com")
    assert (revision.branches, revision.config) == (["main"], CONFIG)


def test_a_branch_is_looked_up_anew_each_time(session: Session, repository: Repository, folder: Path) -> None:
    first = revisions.find(session, repository, "main")
    second_sha = factories.commit(folder, {"a": "2"}, "Second")

    second = revisions.find(session, repository, "main")

    assert second.sha == second_sha != first.sha
    assert second.parents == [first.sha]


def test_a_known_sha_needs_no_repository(session: Session, repository: Repository, folder: Path) -> None:
    sha = revisions.find(session, repository, "main").sha
    folder.rename(folder.with_name("gone"))

    assert revisions.find(session, repository, sha).sha == sha


def test_a_commit_that_came_after_the_last_look_is_fetched(
    session: Session, repository: Repository, folder: Path
) -> None:
    mirrors.of(repository).update()
    sha = factories.commit(folder, {"a": "2"}, "Second")

    assert revisions.find(session, repository, sha).subject == "Second"


@pytest.mark.parametrize("name", ["nowhere", "f" * 40, "--upload-pack=x", "main:a", "main..main", "a\nb"])
def test_a_commit_that_is_not_there_is_the_askers_mistake(
    session: Session, repository: Repository, name: str
) -> None:
    with pytest.raises(Invalid) as refused:
        revisions.find(session, repository, name)

    assert refused.value.message == f"Unable to find commit {name} in {repository.url}."
    assert refused.value.problems == ["sha", "repository"]


def test_a_repository_that_cannot_be_read_is_not_the_askers_mistake(session: Session, tmp_path: Path) -> None:
    repository = factories.a_repository(session, str(tmp_path / "nowhere"))

    with pytest.raises(Unavailable, match="the repository cannot be read now"):
        revisions.find(session, repository, "main")


def test_a_repository_without_version_control_takes_any_name(session: Session) -> None:
    repository = factories.a_repository(session, "whatever", RepositoryBackend.UNKNOWN)

    found = [revisions.find(session, repository, "release 5") for _ in range(2)]

    assert [revision.sha for revision in found] == ["release 5", "release 5"]


def test_a_commit_without_a_config_has_an_empty_one(session: Session, tmp_path: Path) -> None:
    factories.a_git_repository(tmp_path / "plain", {"a": "1"})
    repository = factories.a_repository(session, str(tmp_path / "plain"))

    assert revisions.find(session, repository, "main").config == ""


def test_a_config_too_large_to_keep_fails_the_build_and_not_the_request(
    session: Session, repository: Repository, folder: Path
) -> None:
    factories.commit(folder, {config.FILE_NAME: "x" * (config.SIZE_MAX_BYTES + 1)}, "Big")
    project = factories.a_project(session, repository=repository)

    revision = revisions.find(session, repository, "main")

    source = revisions.source_of(session, revision)
    asked = NewBuild(source, ids.new(), label="b", target="", message="", author=None)
    build = create.create_build(session, project, asked)
    assert agents.reasons_of(session, build.id) == ["invalid_config"]


def test_bytes_a_database_cannot_keep_are_replaced(session: Session, tmp_path: Path) -> None:
    factories.a_git_repository(
        tmp_path / "odd", {config.FILE_NAME: "a\0b"}, "caf\N{LATIN SMALL LETTER E WITH ACUTE}"
    )
    repository = factories.a_repository(session, str(tmp_path / "odd"))

    revision = revisions.find(session, repository, "main")

    assert revision.config == "a\N{REPLACEMENT CHARACTER}b"
    assert revision.subject == "caf\N{LATIN SMALL LETTER E WITH ACUTE}"


def test_a_commit_has_one_source_and_each_patch_its_own(session: Session, repository: Repository) -> None:
    revision = revisions.find(session, repository, "main")
    patches = [revisions.save_patch(session, revision, b"diff") for _ in range(2)]

    plain = [revisions.source_of(session, revision, None, {"n": number}) for number in (1, 2)]
    patched = [revisions.source_of(session, revision, patch, {"n": 3}) for patch in patches]

    assert plain[0] is plain[1]
    assert plain[0].data == {"n": 1}
    assert len({source.id for source in (*plain, *patched)}) == 3
    assert patched[0].data == {"n": 3}


def test_what_was_told_of_a_commit_gives_way_to_the_commit_itself(
    session: Session, repository: Repository, folder: Path
) -> None:
    first = head(folder)
    sha = factories.commit(folder, {"a": "2"}, "Second")
    project = factories.a_project(session, repository=repository)
    outside.hear(session, project, Told(external_id="1", sha=sha, jobs=["unit"], message="hearsay"))

    revision = revisions.find(session, repository, sha)

    assert revision.parents == [first]
    assert revision.message.strip() == "Second"
    assert revision.date_committed is not None
