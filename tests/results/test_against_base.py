"""The tests of a build beside those of an earlier one."""

from datetime import timedelta

import pytest
from sqlalchemy.orm import Session
from tests import factories
from tests.finished import a_patch, a_sha, a_test, end, report
from tests.web.conftest import first_step

from changes.base import clock
from changes.builds.models import Build
from changes.builds.rules import Result, Status
from changes.projects.models import Project, Revision
from changes.results import against_base, models, suite
from changes.results.against_base import News

GOOD, BAD = a_test("app.a"), a_test("app.a", "failed")


@pytest.fixture
def project(session: Session) -> Project:
    return factories.a_project(session)


def a_build(
    session: Session, project: Project, *tests: object, parents: tuple[str, ...] = (), **more: object
) -> Build:
    """Finished, of a commit of its own."""
    sha = str(more.get("sha") or a_sha())
    build = factories.a_build(session, project)
    build.source = factories.a_source(session, project, sha=sha)
    revision = session.get_one(Revision, (project.repository_id, sha))
    revision.parents, revision.branches = list(parents), list(more.get("branches", ["main"]))  # type: ignore[call-overload]
    if tests:
        report(session, first_step(session, build), tests)  # type: ignore[arg-type]
    end(session, build, Result.PASSED)
    session.refresh(build)
    return build


def news(session: Session, build: Build) -> dict[str, str]:
    compared = against_base.compare(session, build)
    return {session.get_one(models.Test, test_id).name: str(each) for test_id, each in compared.news.items()}


def base_number(session: Session, build: Build) -> int | None:
    base = against_base.base_of(session, build)
    return base.number if base else None


def test_a_failure_is_new_or_was_there_before(session: Session, project: Project) -> None:
    a_build(session, project, BAD, a_test("app.b"))

    build = a_build(session, project, BAD, a_test("app.b", "failed"), a_test("app.c", "failed"))

    assert news(session, build) == {"app.a": "still failing", "app.b": "new", "app.c": "new"}


def test_a_new_failure_of_a_test_that_was_flaky_lately_is_called_so(
    session: Session, project: Project
) -> None:
    a_build(session, project, GOOD)
    build = a_build(session, project, BAD)
    (test_id,) = against_base.compare(session, build).news
    counts = dict.fromkeys(("runs", "passed", "flaky", "reruns"), 1)
    nothing = dict.fromkeys(("failed", "double_reruns", "measured", "duration_ms", "longest_ms"), 0)
    day = clock.now().date() - timedelta(days=3)
    session.add(models.TestDay(project_id=project.id, day=day, test_id=test_id, **counts, **nothing))
    session.flush()

    assert news(session, build) == {"app.a": "flaky"}


def test_what_failed_in_the_base_and_passes_here_is_fixed(session: Session, project: Project) -> None:
    a_build(session, project, BAD, a_test("app.gone", "failed"))
    build = a_build(session, project, GOOD)
    base = against_base.base_of(session, build)
    assert base is not None

    (fixed,) = against_base.fixed_since(session, build, base)

    assert fixed.name == "app.a"
    assert suite.run(session, build, fixed.run_id)[1].name == "app.a"


def test_the_parent_comes_before_what_is_newer(session: Session, project: Project) -> None:
    parent = a_build(session, project, GOOD)
    a_build(session, project, GOOD)
    build = a_build(session, project, GOOD, parents=(parent.source.revision_sha,))

    assert base_number(session, build) == parent.number


def test_without_its_parent_the_newest_before_it_on_the_branch_is_the_base(
    session: Session, project: Project
) -> None:
    older = a_build(session, project, GOOD)
    a_build(session, project, GOOD, branches=["next"])
    build = a_build(session, project, GOOD, parents=(a_sha(),))
    a_build(session, project, GOOD)

    assert base_number(session, build) == older.number


def test_a_build_without_tests_is_no_base(session: Session, project: Project) -> None:
    a_build(session, project)
    build = a_build(session, project, BAD)

    assert against_base.compare(session, build).base is None
    assert news(session, build) == {}


def test_a_build_that_was_cancelled_half_way_is_no_base(session: Session, project: Project) -> None:
    whole = a_build(session, project, BAD)
    cut = a_build(session, project, a_test("app.b"))
    end(session, cut, Result.ABORTED)

    build = a_build(session, project, BAD, parents=(cut.source.revision_sha,))

    assert base_number(session, build) == whole.number
    assert news(session, build) == {"app.a": "still failing"}


def test_a_build_of_some_of_the_plans_is_no_base_but_for_one_like_it(
    session: Session, project: Project
) -> None:
    whole = a_build(session, project, BAD)
    part = a_build(session, project, a_test("app.b"))
    part.wishes = {"plans": ["nightly"]}
    build, alike = a_build(session, project, BAD), a_build(session, project, BAD)
    alike.wishes = {"plans": ["nightly"]}
    build.status = Status.IN_PROGRESS
    session.flush()

    assert [base_number(session, each) for each in (build, alike)] == [whole.number, part.number]


def test_of_very_many_failures_those_that_were_there_before_are_no_news(
    session: Session, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    failed = [a_test(f"app.t{number}", "failed") for number in range(9)]
    a_build(session, project, *failed)
    build = a_build(session, project, *failed[6:])
    monkeypatch.setattr(against_base, "FAILURES_MAX", 3)

    assert set(news(session, build).values()) == {"still failing"}


def test_the_base_of_a_patch_is_the_commit_below_it(session: Session, project: Project) -> None:
    source = a_patch(session, project)
    below = a_build(session, project, GOOD, sha=source.revision_sha)
    a_build(session, project, GOOD)
    build = factories.a_build(session, project)
    build.source = source
    report(session, first_step(session, build), [BAD])
    session.refresh(build)

    assert base_number(session, build) == below.number
    assert news(session, build) == {"app.a": "new"}


def test_another_project_of_the_repository_is_no_base(session: Session, project: Project) -> None:
    a_build(session, factories.a_project(session, repository=project.repository), GOOD)

    assert base_number(session, a_build(session, project, BAD)) is None


@pytest.mark.parametrize(
    ("failed_before", "is_flaky", "told"),
    [
        (True, True, News.STILL),
        (True, False, News.STILL),
        (False, True, News.FLAKY),
        (False, False, News.NEW),
    ],
)
def test_what_failed_before_is_no_news(*, failed_before: bool, is_flaky: bool, told: News) -> None:
    assert against_base.news_of(failed_before=failed_before, is_flaky=is_flaky) == told
