"""What commits are worth, and which of a branch is the newest green one."""

from collections.abc import Sequence
from pathlib import Path

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session
from tests import factories

from changes.base import ids
from changes.base.paging import Page
from changes.builds import create, green, revision_results, settle
from changes.builds.create import NewBuild
from changes.builds.events import BuildFinished, RevisionResultUpdated
from changes.builds.green_models import RevisionResult
from changes.builds.models import Build, Job
from changes.builds.rules import Result, Status
from changes.builds.wishes import NONE, Wishes
from changes.projects import revisions
from changes.projects.models import Project


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    factories.a_git_repository(tmp_path / "code", {"a": "1\n"})
    return tmp_path / "code"


@pytest.fixture
def project(session: Session, folder: Path) -> Project:
    project = factories.a_project(session, "web", factories.a_repository(session, str(folder)))
    factories.a_plan(session, project, {"commands": ["true"]})
    return project


def ended(session: Session, project: Project, name: str, result: Result, patch: bytes | None = None) -> Build:
    build = begun(session, project, name, patch)
    end(session, build, result)
    return build


def begun(
    session: Session, project: Project, name: str, patch: bytes | None = None, wishes: Wishes = NONE
) -> Build:
    revision = revisions.find(session, project.repository, name)
    saved = revisions.save_patch(session, revision, patch) if patch else None
    source = revisions.source_of(session, revision, saved)
    asked = NewBuild(source, ids.new(), label="b", target="", message="", author=None, wishes=wishes)
    return create.create_build(session, project, asked)


def end(session: Session, build: Build, result: Result) -> None:
    """As if its steps had, with all that listens to that."""
    settle.end_build(session, build, result)
    session.flush()
    before = worth(session, build)
    revision_results.update(session, [BuildFinished(build.id)])
    after = worth(session, build)
    if after is not None and after != before:
        green.note(RevisionResultUpdated(build.project_id, build.source.revision_sha, build.id, after))


def worth(session: Session, build: Build) -> Result | None:
    mine = select(RevisionResult.result).where(
        RevisionResult.project_id == build.project_id,
        RevisionResult.revision_sha == build.source.revision_sha,
    )
    return session.execute(mine).scalar_one_or_none()


def marks(session: Session, project: Project) -> dict[str, str]:
    found = green.latest(session, project, Page())
    return {each.branch: each.sha for each in found.rows}


def test_the_newest_green_commit_of_a_branch_is_kept(
    session: Session, project: Project, folder: Path
) -> None:
    ended(session, project, "main", Result.PASSED)
    second = factories.commit(folder, {"a": "2"}, "Second")
    ended(session, project, "main", Result.PASSED)
    factories.commit(folder, {"a": "3"}, "Third")
    ended(session, project, "main", Result.FAILED)

    assert marks(session, project) == {"main": second}


def test_an_older_commit_that_ends_late_does_not_turn_it_back(
    session: Session, project: Project, folder: Path
) -> None:
    late = begun(session, project, "main")
    newer = factories.commit(folder, {"a": "2"}, "Second")
    ended(session, project, "main", Result.PASSED)

    end(session, late, Result.PASSED)

    assert marks(session, project) == {"main": newer}
    assert worth(session, late) == Result.PASSED


def test_a_merge_is_newer_than_both_of_its_sides(session: Session, project: Project, folder: Path) -> None:
    ended(session, project, "main", Result.PASSED)
    factories.git(folder, "checkout", "-q", "-b", "topic")
    factories.commit(folder, {"b": "1"}, "On a topic")
    ended(session, project, "topic", Result.PASSED)
    factories.git(folder, "checkout", "-q", "main")
    who = ("-c", "user.name=Ann", "-c", "user.email=ann@example.com")
    factories.git(folder, *who, "merge", "-q", "--no-ff", "-m", "Merge", "topic")
    merge = factories.git(folder, "rev-parse", "HEAD").strip()

    ended(session, project, "main", Result.PASSED)

    assert marks(session, project)["main"] == merge
    assert marks(session, project)["topic"] != merge


def test_a_side_branch_that_is_green_says_nothing_about_the_main_one(
    session: Session, project: Project, folder: Path
) -> None:
    main = ended(session, project, "main", Result.PASSED).source.revision_sha
    factories.git(folder, "checkout", "-q", "-b", "topic")
    topic = factories.commit(folder, {"b": "1"}, "On a topic")

    ended(session, project, "topic", Result.PASSED)

    assert marks(session, project) == {"main": main, "topic": topic}


def test_history_that_was_rewritten_begins_anew(session: Session, project: Project, folder: Path) -> None:
    factories.commit(folder, {"a": "2"}, "Wrong")
    ended(session, project, "main", Result.PASSED)
    factories.git(folder, "reset", "-q", "--hard", "HEAD~1")
    factories.git(folder, "reflog", "expire", "--expire=now", "--all")
    right = factories.commit(folder, {"a": "3"}, "Right")

    ended(session, project, "main", Result.PASSED)

    assert marks(session, project) == {"main": right}


def test_a_patch_says_nothing_about_the_commit_below_it(session: Session, project: Project) -> None:
    build = ended(session, project, "main", Result.PASSED, b"a patch")

    assert worth(session, build) is None
    assert marks(session, project) == {}


def test_the_newest_build_of_a_commit_counts_however_late_others_end(
    session: Session, project: Project
) -> None:
    older = begun(session, project, "main")
    newer = ended(session, project, "main", Result.PASSED)

    end(session, older, Result.FAILED)

    assert older.status == newer.status == Status.FINISHED
    assert worth(session, newer) == Result.PASSED


@pytest.fixture
def pages(session: Session, project: Project) -> Wishes:
    """Of a commit that touches no page, in a project that has a plan for them and one for the night."""
    for label in ("tests", "pages", "nightly"):
        factories.a_plan(session, project, {"commands": ["true"]}, label=label)
    return Wishes(fitting=("tests",), untouched=("pages",))


@pytest.mark.parametrize("last", [Result.PASSED, Result.FAILED])
def test_a_plan_that_no_file_concerned_says_what_it_said_last(
    session: Session, project: Project, folder: Path, pages: Wishes, last: Result
) -> None:
    ended(session, project, "main", last)
    factories.commit(folder, {"a": "2"}, "Second")
    build = begun(session, project, "main", wishes=pages)
    end(session, build, Result.PASSED)

    assert [job.label for job in jobs_of(session, build)] == ["tests"]
    assert worth(session, build) == last
    assert (marks(session, project).get("main") == build.source.revision_sha) is (last == Result.PASSED)


def test_a_plan_that_no_file_concerned_may_say_it_late(
    session: Session, project: Project, folder: Path, pages: Wishes
) -> None:
    late = begun(session, project, "main")
    factories.commit(folder, {"a": "2"}, "Second")
    build = begun(session, project, "main", wishes=pages)
    end(session, build, Result.PASSED)
    early = worth(session, build)

    end(session, late, Result.PASSED)

    assert (early, worth(session, build)) == (Result.UNKNOWN, Result.PASSED)


def test_a_plan_for_other_occasions_is_no_part_of_what_a_commit_is_worth(
    session: Session, project: Project, pages: Wishes
) -> None:
    by_day = begun(session, project, "main", wishes=Wishes(fitting=("tests", "pages")))
    by_night = begun(session, project, "main", wishes=Wishes(plans=("nightly",)))

    end(session, by_day, Result.PASSED)
    end(session, by_night, Result.FAILED)

    assert worth(session, by_day) == Result.PASSED
    assert marks(session, project) == {"main": by_day.source.revision_sha}


def jobs_of(session: Session, build: Build) -> Sequence[Job]:
    return session.execute(select(Job).where(Job.build_id == build.id).order_by(Job.number)).scalars().all()
