"""Looking at real repositories: what is new, whatever their branches did."""

from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

import pytest
from sqlalchemy import func, select
from tests import factories

from changes.base import clock, db, events
from changes.base.events import Outbox
from changes.builds import outside
from changes.builds.outside import Told
from changes.people.models import Author, AuthorAddress
from changes.projects import heads, tasks
from changes.projects.events import RevisionsSeen
from changes.projects.models import Repository, Revision
from changes.projects.rules import RepositoryStatus

heard: list[RevisionsSeen] = []


def listen(event: RevisionsSeen) -> None:
    heard.append(event)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "source"
    factories.a_git_repository(folder, {"a": "1"})
    return folder


@pytest.fixture
def repository_id(database: db.Database, folder: Path) -> Iterator[UUID]:
    """Read once; what it announces from then on stays in the outbox."""
    with db.transaction() as session:
        repository_id = factories.a_repository(session, str(folder)).id
    events.listen(RevisionsSeen, listen)
    tasks.sync_repository(repository_id)
    forget_told()
    yield repository_id
    events.forget_listeners()


def forget_told() -> None:
    with db.transaction() as session:
        for row in session.execute(select(Outbox)).scalars():
            session.delete(row)


def told() -> dict[str, list[str]]:
    """By branch, what was announced, oldest first."""
    found: dict[str, list[str]] = {}
    with db.transaction() as session:
        for row in session.execute(select(Outbox).order_by(Outbox.id)).scalars():
            found.setdefault(row.data["branch"], []).extend(row.data["shas"])
    return found


def stored(repository_id: UUID) -> dict[str, list[str]]:
    with db.transaction() as session:
        mine = select(Revision).where(Revision.repository_id == repository_id)
        return {row.sha: row.branches for row in session.execute(mine).unique().scalars()}


def test_a_commit_that_was_told_of_before_it_was_read_gets_its_parents(
    folder: Path, repository_id: UUID
) -> None:
    first = factories.git(folder, "rev-parse", "HEAD").strip()
    sha = factories.commit(folder, {"a": "2"}, "Second")
    with db.transaction() as session:
        project = factories.a_project(session, repository=session.get_one(Repository, repository_id))
        outside.hear(session, project, Told(external_id="1", sha=sha, jobs=["unit"], message="hearsay"))

    tasks.sync_repository(repository_id)

    with db.transaction() as session:
        revision = session.get_one(Revision, (repository_id, sha))
        assert (revision.parents, revision.message.strip()) == ([first], "Second")
        assert revision.date_committed is not None


def branches(repository_id: UUID) -> dict[str, str]:
    with db.transaction() as session:
        return heads.known(session, repository_id)


def the(repository_id: UUID) -> Repository:
    with db.transaction() as session:
        return session.get_one(Repository, repository_id)


def test_a_burst_of_commits_is_told_whole_and_oldest_first(repository_id: UUID, folder: Path) -> None:
    shas = [factories.commit(folder, {"a": f"{number}"}, f"Number {number}") for number in range(2, 42)]

    tasks.sync_repository(repository_id)

    assert told() == {"main": shas}
    assert {*shas} < {*stored(repository_id)}


def test_what_was_there_at_first_is_told_as_such_and_by_heads_alone(
    database: db.Database, folder: Path
) -> None:
    head = factories.commit(folder, {"a": "2"}, "Second")
    events.listen(RevisionsSeen, listen)
    with db.transaction() as session:
        repository_id = factories.a_repository(session, str(folder)).id

    tasks.sync_repository(repository_id)

    with db.transaction() as session:
        (row,) = session.execute(select(Outbox)).scalars()
    assert (row.data["shas"], row.data["is_first_import"]) == ([head], True)
    assert len(stored(repository_id)) == 2
    assert (the(repository_id).is_imported, the(repository_id).default_branch) == (True, "main")


def test_a_look_that_finds_nothing_new_fetches_and_tells_nothing(repository_id: UUID, folder: Path) -> None:
    mirror_files = sorted(p.stat().st_mtime_ns for p in mirror_of(repository_id).rglob("*"))
    changed = the(repository_id).date_changed

    tasks.sync_repository(repository_id)

    assert told() == {}
    assert the(repository_id).date_changed == changed
    assert sorted(p.stat().st_mtime_ns for p in mirror_of(repository_id).rglob("*")) == mirror_files


def mirror_of(repository_id: UUID) -> Path:
    from changes.projects import mirrors

    return mirrors.of(the(repository_id)).path


def test_history_that_was_rewritten_is_told_by_what_is_new_in_it(repository_id: UUID, folder: Path) -> None:
    factories.commit(folder, {"a": "wrong"}, "Wrong")
    tasks.sync_repository(repository_id)
    forget_told()
    factories.git(folder, "reset", "-q", "--hard", "HEAD~1")
    right = factories.commit(folder, {"a": "right"}, "Right")

    tasks.sync_repository(repository_id)

    assert told() == {"main": [right]}
    assert branches(repository_id) == {"main": right}


def test_a_branch_that_is_gone_is_forgotten_and_its_commits_are_not(
    repository_id: UUID, folder: Path
) -> None:
    factories.git(folder, "checkout", "-q", "-b", "topic")
    sha = factories.commit(folder, {"b": "1"}, "On a topic")
    tasks.sync_repository(repository_id)
    factories.git(folder, "checkout", "-q", "main")
    factories.git(folder, "branch", "-q", "-D", "topic")

    tasks.sync_repository(repository_id)

    assert set(branches(repository_id)) == {"main"}
    assert stored(repository_id)[sha] == ["topic"]


def test_old_commits_that_are_merged_late_come_to_the_branch_then(repository_id: UUID, folder: Path) -> None:
    factories.git(folder, "checkout", "-q", "-b", "topic")
    old = factories.commit(folder, {"b": "1"}, "On a topic")
    tasks.sync_repository(repository_id)
    factories.git(folder, "checkout", "-q", "main")
    newer = [factories.commit(folder, {"a": f"{number}"}, f"Main {number}") for number in range(35)]
    tasks.sync_repository(repository_id)
    forget_told()
    merge = ("-c", "user.name=Ann", "-c", "user.email=ann@example.com", "merge", "-q", "--no-ff")
    factories.git(folder, *merge, "-m", "Merge", "topic")

    tasks.sync_repository(repository_id)

    assert told()["main"][-1] == branches(repository_id)["main"]
    assert set(told()["main"]) == {old, branches(repository_id)["main"]}
    assert stored(repository_id)[old][0] == "main"
    assert stored(repository_id)[newer[0]] == ["main"]


def test_a_new_branch_of_a_known_commit_is_told_by_its_head(repository_id: UUID, folder: Path) -> None:
    factories.git(folder, "branch", "release-1")

    tasks.sync_repository(repository_id)

    assert told() == {"release-1": [branches(repository_id)["main"]]}


def test_a_repository_that_vanishes_says_so_in_words_and_when_it_is_tried_again(
    repository_id: UUID, folder: Path
) -> None:
    folder.rename(folder.with_name("away"))

    tasks.sync_repository(repository_id)

    repository = the(repository_id)
    assert "There is no git repository at this address." in repository.last_error
    assert repository.date_next_sync is not None
    assert repository.date_next_sync > clock.now()
    assert branches(repository_id) != {}
    folder.with_name("away").rename(folder)
    tasks.sync_repository(repository_id)
    assert (the(repository_id).last_error, the(repository_id).sync_failures) == ("", 0)


def test_a_repository_without_commits_is_read_and_waited_for(database: db.Database, tmp_path: Path) -> None:
    factories.git(tmp_path, "init", "-q", "-b", "main", "empty")
    with db.transaction() as session:
        repository_id = factories.a_repository(session, str(tmp_path / "empty")).id
    tasks.sync_repository(repository_id)

    sha = factories.commit(tmp_path / "empty", {"a": "1"}, "First")
    tasks.sync_repository(repository_id)

    assert list(stored(repository_id)) == [sha]


def test_only_what_is_due_is_looked_at_and_once(database: db.Database, folder: Path) -> None:
    with db.transaction() as session:
        due = factories.a_repository(session, str(folder))
        later = factories.a_repository(session)
        later.date_next_sync = clock.now().replace(year=clock.now().year + 1)
        off = factories.a_repository(session)
        off.status = RepositoryStatus.INACTIVE

    tasks.poll_repositories()
    tasks.poll_repositories()

    from changes.base.task import Task

    with db.transaction() as session:
        rows = session.execute(select(Task.name, Task.child_id)).all()
    assert [tuple(row) for row in rows] == [("projects.sync_repository", due.id)]


def test_whoever_the_mailmap_says_is_the_author_and_only_in_this_repository(
    repository_id: UUID, folder: Path
) -> None:
    (folder / ".mailmap").write_text("Ann Proper <ann.proper@example.com> <ann@example.com>\n")
    sha = factories.commit(folder, {"a": "2"}, "Mapped")

    tasks.sync_repository(repository_id)

    with db.transaction() as session:
        author = session.get_one(Revision, (repository_id, sha)).author
    assert author is not None
    assert (author.name, author.email) == ("Ann Proper", "ann.proper@example.com")


def test_another_address_of_somebody_leads_to_the_same_author(repository_id: UUID, folder: Path) -> None:
    with db.transaction() as session:
        bob = Author(name="Bob", email="bob@example.com")
        session.add(bob)
        session.flush()
        session.add(AuthorAddress(email="bob@home.example", author_id=bob.id))
    (folder / "a").write_text("2")
    who = ("-c", "user.name=bob", "-c", "user.email=Bob@home.example")
    factories.git(folder, *who, "commit", "-q", "-a", "-m", "From home")

    tasks.sync_repository(repository_id)

    with db.transaction() as session:
        mine = select(func.count()).where(Revision.author_id == bob.id)
        assert session.execute(mine).scalar_one() == 1


def test_odd_commits_are_stored(repository_id: UUID, folder: Path) -> None:
    (folder / "a").write_bytes(b"2")
    who = ("-c", "user.name=N\\tx", "-c", "user.email=", "-c", "i18n.commitEncoding=ISO-8859-1")
    (folder.parent / "message").write_bytes(b"caf\xe9 \\ tab\there \\n\r\n\nend")
    factories.git(
        folder, *who, "commit", "-q", "-a", "--cleanup=verbatim", "-F", str(folder.parent / "message")
    )

    tasks.sync_repository(repository_id)

    with db.transaction() as session:
        revision = session.get_one(Revision, (repository_id, branches(repository_id)["main"]))
    assert revision.message == "caf\N{LATIN SMALL LETTER E WITH ACUTE} \\ tab\there \\n\r\n\nend"
    assert revision.author is not None
    assert revision.author.email.endswith("@localhost")
