"""What happens to a real repository, and which builds come of it."""

from collections.abc import Sequence
from pathlib import Path
from uuid import UUID

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session
from tests import factories

from changes.base.task import Task
from changes.builds import again, outside, triggers_after, triggers_commits, triggers_diffs, triggers_queries
from changes.builds.events import BuildFinished
from changes.builds.models import Build, Job
from changes.builds.outside import Told
from changes.builds.rules import Cause, Result, Status
from changes.builds.triggers_models import TriggerDecision
from changes.projects import mirrors, options, revisions
from changes.projects.events import RevisionsSeen
from changes.projects.models import Project, Repository
from changes.projects.rules import ProjectStatus

CONFIG = "plans:\n  - {name: tests, commands: [make test]}\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    factories.a_git_repository(tmp_path / "source", {"a": "1", ".changes.yml": CONFIG})
    return tmp_path / "source"


@pytest.fixture
def repository(session: Session, folder: Path) -> Repository:
    return factories.a_repository(session, str(folder))


def seen(repository: Repository, *shas: str, branch: str = "main", is_first: bool = False) -> None:
    """As the synchronisation tells it: after the copy was brought up to date."""
    mirrors.of(repository).update()
    event = RevisionsSeen(repository.id, branch, shas, is_first_import=is_first)
    triggers_commits.consider_revisions(event)


def builds_of(session: Session, project: Project) -> Sequence[Build]:
    mine = select(Build).where(Build.project_id == project.id).order_by(Build.number)
    return session.execute(mine).unique().scalars().all()


def why(session: Session, project: Project, sha: str) -> list[str]:
    mine = select(TriggerDecision).where(TriggerDecision.project_id == project.id, TriggerDecision.sha == sha)
    found = session.execute(mine.order_by(TriggerDecision.id)).unique().scalars()
    return [triggers_queries.told(each).text for each in found]


def jobs_of(session: Session, build: Build) -> list[str]:
    mine = select(Job.label).where(Job.build_id == build.id).order_by(Job.number)
    return list(session.execute(mine).scalars())


def test_a_new_commit_is_built_and_says_why(session: Session, folder: Path, repository: Repository) -> None:
    project = factories.a_project(session, repository=repository)
    sha = factories.commit(folder, {"a": "2"}, "Second")

    seen(repository, sha)

    (build,) = builds_of(session, project)
    assert (build.source.revision_sha, build.cause, build.tags) == (sha, Cause.PUSH, ["commit"])
    assert why(session, project, sha) == ["A new commit on main."]


def test_told_twice_it_is_built_once(session: Session, folder: Path, repository: Repository) -> None:
    project = factories.a_project(session, repository=repository)
    sha = factories.commit(folder, {"a": "2"}, "Second")

    seen(repository, sha)
    seen(repository, sha)

    assert len(builds_of(session, project)) == 1


def test_a_commit_that_comes_to_a_second_branch_is_not_built_again(
    session: Session, folder: Path, repository: Repository
) -> None:
    project = factories.a_project(session, repository=repository)
    sha = factories.commit(folder, {"a": "2"}, "Second")
    factories.git(folder, "branch", "release")

    seen(repository, sha)
    seen(repository, sha, branch="release")

    assert len(builds_of(session, project)) == 1
    assert why(session, project, sha)[1] == "It was built already, as build #1."


def test_what_came_with_the_first_import_is_not_built(
    session: Session, folder: Path, repository: Repository
) -> None:
    project = factories.a_project(session, repository=repository)

    seen(repository, factories.git(folder, "rev-parse", "HEAD").strip(), is_first=True)

    assert builds_of(session, project) == []


def test_projects_of_one_repository_decide_each_for_itself_and_are_built_together(
    session: Session, folder: Path, repository: Repository
) -> None:
    server, web, docs = (factories.a_project(session, repository=repository) for _ in range(3))
    options.change(session, docs, {options.FILES: "docs/*"})
    switched_off = factories.a_project(session, repository=repository)
    switched_off.status = ProjectStatus.INACTIVE
    session.flush()
    sha = factories.commit(folder, {"src/b": "2"}, "Second")

    seen(repository, sha)

    (first,), (second,) = builds_of(session, server), builds_of(session, web)
    assert first.collection_id == second.collection_id
    assert [builds_of(session, each) for each in (docs, switched_off)] == [[], []]
    assert why(session, docs, sha) == ["It changes no file that this project asks for, only src/b."]


def test_a_commit_of_a_branch_that_the_project_does_not_name_is_not_built(
    session: Session, folder: Path, repository: Repository
) -> None:
    project = factories.a_project(session, repository=repository)
    options.change(session, project, {"build.branch-names": "release/* stable"})
    sha = factories.commit(folder, {"a": "2"}, "Second")

    seen(repository, sha)

    assert builds_of(session, project) == []
    assert why(session, project, sha) == [
        "No branch that has it (main) is one that this project builds (release/* stable)."
    ]


def test_of_very_many_commits_at_once_only_the_newest_are_built(
    session: Session, folder: Path, repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(triggers_commits, "NEWEST_MAX", 2)
    project = factories.a_project(session, repository=repository)
    shas = [factories.commit(folder, {"a": str(number)}, f"Number {number}") for number in range(2, 6)]

    # One push, told in parts.
    seen(repository, *shas[:2])
    seen(repository, *shas[2:])

    assert [build.source.revision_sha for build in builds_of(session, project)] == shas[2:]
    assert why(session, project, shas[0]) == [
        "Skipped: more than 30 commits came to main at once, and it is not among the newest."
    ]


def test_a_commit_that_went_away_meanwhile_is_told_so(
    session: Session, folder: Path, repository: Repository
) -> None:
    project = factories.a_project(session, repository=repository)

    seen(repository, "f" * 40)

    (text,) = why(session, project, "f" * 40)
    assert text.startswith("The commit is not in the repository any more: Unable to find commit")


def test_a_plan_that_does_not_want_it_is_left_out_also_when_it_is_built_again(
    session: Session, folder: Path, repository: Repository
) -> None:
    config = """
plans:
  - {name: tests, commands: [make test]}
  - {name: pages, triggers: {files: ["docs/*"]}, commands: [make pages]}
  - {name: nightly, triggers: {events: [schedule]}, commands: [make soak]}
"""
    factories.commit(folder, {".changes.yml": config}, "Plans")
    project = factories.a_project(session, repository=repository)
    sha = factories.commit(folder, {"a": "2"}, "Second")

    seen(repository, sha)

    (build,) = builds_of(session, project)
    repeated = again.build_again(session, build, Cause.RETRY, timeout_min=60)
    assert (jobs_of(session, build), jobs_of(session, repeated)) == (["tests"], ["tests"])
    assert build.wishes == {"fitting": ["tests"], "untouched": ["pages"]}
    told = triggers_queries.why_built(session, project, build.source.revision)[-1]
    assert [(plan.name, plan.text) for plan in told.plans] == [
        ("tests", "It is for this."),
        ("pages", "No file changed that it asks for, only a."),
        ("nightly", "It is for other occasions (schedule)."),
    ]


def test_where_no_plan_wants_it_there_is_no_build(
    session: Session, folder: Path, repository: Repository
) -> None:
    config = "plans: [{name: nightly, triggers: {events: [schedule]}, commands: [make soak]}]"
    project = factories.a_project(session, repository=repository)
    sha = factories.commit(folder, {".changes.yml": config}, "Plans")

    seen(repository, sha)

    assert builds_of(session, project) == []
    assert why(session, project, sha) == ["None of the plans wants it."]


def test_a_project_without_any_plan_is_not_built(
    session: Session, folder: Path, repository: Repository
) -> None:
    project = factories.a_project(session, repository=repository)
    (folder / ".changes.yml").unlink()
    sha = factories.commit(folder, {"a": "2"}, "No plans")

    seen(repository, sha)

    assert builds_of(session, project) == []
    assert why(session, project, sha) == ["The project has no active plan, and there is no .changes.yml."]


def test_a_file_that_is_wrong_fails_a_build_that_everybody_sees(
    session: Session, folder: Path, repository: Repository
) -> None:
    project = factories.a_project(session, repository=repository)
    sha = factories.commit(folder, {".changes.yml": "plans: {"}, "Broken")

    seen(repository, sha)

    (build,) = builds_of(session, project)
    assert (build.status, build.result) == (Status.FINISHED, Result.FAILED)
    (text,) = why(session, project, sha)
    assert text.startswith("What the repository says about it cannot be read, so it is built to show that:")


def test_the_originals_file_ignores_files_and_asks_for_a_pause(
    session: Session, folder: Path, repository: Repository
) -> None:
    project = factories.a_project(session, repository=repository)
    text = (
        "build.file-blacklist: ['*.md']\nbuild.minimum-minutes-between-builds: 60\nbazel.targets: ['//...']\n"
    )
    factories.commit(folder, {f"{project.slug}.yaml": text}, "As before")
    words = factories.commit(folder, {"README.md": "x"}, "Words")
    first = factories.commit(folder, {"a": "2"}, "First")
    second = factories.commit(folder, {"a": "3"}, "Second")

    seen(repository, words, first, second)

    assert [build.source.revision_sha for build in builds_of(session, project)] == [first]
    assert why(session, project, words) == ["It changes only files that do not matter here: README.md."]
    assert (
        f"less than 60 minutes before (the limit is in {project.slug}.yaml)"
        in why(session, project, second)[0]
    )


def test_the_originals_file_that_cannot_be_read_fails_the_build(
    session: Session, folder: Path, repository: Repository
) -> None:
    project = factories.a_project(session, repository=repository)
    sha = factories.commit(folder, {f"{project.slug}.yaml": "build.file-blacklist: 7\n"}, "Wrong")

    seen(repository, sha)

    (build,) = builds_of(session, project)
    assert build.result == Result.FAILED
    assert (
        f"{project.slug}.yaml line 1, column 1: build.file-blacklist must be a list"
        in why(session, project, sha)[0]
    )


def decision(session: Session, project: Project, sha: str) -> UUID:
    mine = select(TriggerDecision.id).where(
        TriggerDecision.project_id == project.id, TriggerDecision.sha == sha
    )
    return session.execute(mine).scalar_one()


def test_of_those_that_wait_for_the_pause_the_newest_is_built(
    session: Session, folder: Path, repository: Repository
) -> None:
    project = factories.a_project(session, repository=repository)
    options.change(session, project, {options.PAUSE_MIN: "60"})
    first, second, third = (factories.commit(folder, {"a": each}, each) for each in ("2", "3", "4"))
    seen(repository, first, second, third)
    options.change(session, project, {options.PAUSE_MIN: "0"})

    for sha in (second, third):
        triggers_commits.look_again(decision(session, project, sha))

    assert [build.source.revision_sha for build in builds_of(session, project)] == [first, third]
    assert why(session, project, second) == ["Something newer came to main before the pause was over."]


def test_builds_that_run_elsewhere_put_none_of_ours_off(
    session: Session, folder: Path, repository: Repository
) -> None:
    project = factories.a_project(session, repository=repository)
    options.change(session, project, {options.PAUSE_MIN: "60"})
    sha = factories.commit(folder, {"a": "2"}, "Second")
    outside.hear(session, project, Told(external_id="1", sha=sha, jobs=["unit"]))

    seen(repository, sha)

    assert [build.cause for build in builds_of(session, project)] == [Cause.UNKNOWN, Cause.PUSH]


def test_a_newer_commit_that_is_not_built_keeps_none_from_being_built(
    session: Session, folder: Path, repository: Repository
) -> None:
    project = factories.a_project(session, repository=repository)
    options.change(session, project, {options.PAUSE_MIN: "60", options.IGNORED_FILES: "*.md"})
    first, second = (factories.commit(folder, {"a": each}, each) for each in ("2", "3"))
    seen(repository, first, second)
    seen(repository, factories.commit(folder, {"README.md": "words"}, "Words [skip ci]"))
    options.change(session, project, {options.PAUSE_MIN: "0"})

    triggers_commits.look_again(decision(session, project, second))

    assert [build.source.revision_sha for build in builds_of(session, project)] == [first, second]


def passed(session: Session, build: Build) -> Build:
    build.status, build.result = Status.FINISHED, Result.PASSED
    session.flush()
    return build


def test_a_project_is_built_after_another_passed_once_and_never_in_a_circle(
    session: Session, folder: Path, repository: Repository
) -> None:
    library, program = (factories.a_project(session, repository=repository) for _ in range(2))
    options.change(
        session, program, {options.AFTER_PROJECTS: f"other\n{library.slug}", options.COMMIT_TRIGGER: "0"}
    )
    options.change(session, library, {options.AFTER_PROJECTS: program.slug})
    seen(repository, factories.commit(folder, {"a": "2"}, "Second"))
    (build,) = builds_of(session, library)

    triggers_after.build_followers(passed(session, build).id)
    triggers_after.build_followers(build.id)
    (follower,) = builds_of(session, program)
    triggers_after.build_followers(passed(session, follower).id)

    assert follower.source_id == build.source_id
    assert len(builds_of(session, library)) == 1
    texts = why(session, library, build.source.revision_sha)
    assert texts[-1] == f"The project {program.slug} was built because of this one already."


def test_nobody_follows_a_build_that_failed_or_is_of_a_patch(
    session: Session, folder: Path, repository: Repository
) -> None:
    library, program = (factories.a_project(session, repository=repository) for _ in range(2))
    options.change(session, program, {options.AFTER_PROJECTS: library.slug, options.COMMIT_TRIGGER: "0"})
    seen(repository, factories.commit(folder, {"a": "2"}, "Second"))
    (build,) = builds_of(session, library)
    build.status, build.result = Status.FINISHED, Result.FAILED
    session.flush()

    triggers_after.build_followers(build.id)

    assert builds_of(session, program) == []


def test_why_nothing_was_decided_is_told_as_well(
    session: Session, folder: Path, repository: Repository
) -> None:
    project = factories.a_project(session, repository=repository)
    source = factories.a_source(session, project)

    (told,) = triggers_queries.why_built(session, project, source.revision)
    options.change(session, project, {options.COMMIT_TRIGGER: "0"})
    (off,) = triggers_queries.why_built(session, project, source.revision)

    assert told.text == "Nobody has looked at it yet, or it is longer ago than decisions are kept."
    assert off.text == "The project does not build commits by itself (build.commit-trigger)."


def test_a_build_that_somebody_asked_for_is_told_with_its_plans(session: Session) -> None:
    build = factories.a_build(session, plans=2)
    build.asked_by = "ann@example.com"
    again.build_again(session, build, Cause.RETRY, timeout_min=10)

    *told, rest = triggers_queries.why_built(session, build.project, build.source.revision)

    assert [(each.text, each.build and each.build.number) for each in told] == [
        ("Somebody asked for it to be built again.", 2),
        ("ann@example.com asked for it.", 1),
    ]
    assert told[1].plans_as_usual == jobs_of(session, build)
    assert rest.text.startswith("Nobody has looked at it yet")


PATCH = b"--- a/src/a\n+++ b/src/a\n@@ -1 +1 @@\n-1\n+2\n"


def test_a_patch_is_built_where_its_files_matter_and_is_not_trusted(
    session: Session, folder: Path, repository: Repository
) -> None:
    code, docs, off = (factories.a_project(session, repository=repository) for _ in range(3))
    options.change(session, docs, {options.FILES: "docs/*"})
    options.change(session, off, {options.DIFF_TRIGGER: "0"})
    revision = revisions.find(session, repository, "main")
    patch = revisions.save_patch(session, revision, PATCH)
    source = revisions.source_of(session, revision, patch)
    session.refresh(source)
    told = {"label": "Mend it", "target": "D1"}

    built, again = (triggers_diffs.consider_patch(session, source, [code, docs, off], told) for _ in range(2))

    assert [(build.project_id, build.target, build.is_trusted) for build in built] == [(code.id, "D1", False)]
    assert again == []
    assert why(session, docs, revision.sha) == ["It changes no file that this project asks for, only src/a."]
    assert why(session, off, revision.sha) == [
        "The project does not build patches by itself (phabricator.diff-trigger)."
    ]


def test_those_who_follow_are_built_by_a_task_of_their_own(
    session: Session, folder: Path, repository: Repository
) -> None:
    library, program = (factories.a_project(session, repository=repository) for _ in range(2))
    seen(repository, factories.commit(folder, {"a": "2"}, "Second"))
    (build,) = builds_of(session, library)
    ended = [BuildFinished(passed(session, build).id)]
    tasks = select(Task.child_id).where(Task.name == "builds.triggers_after.build_followers")

    triggers_after.note_green(session, ended)
    alone = session.execute(tasks).scalars().all()
    options.change(session, program, {options.AFTER_PROJECTS: library.slug})
    triggers_after.note_green(session, ended)

    assert alone == []
    assert session.execute(tasks).scalars().all() == [build.id]
