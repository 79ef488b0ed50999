"""What becomes of a step that leaves reports of coverage behind."""

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session
from tests import factories
from tests.builds import agents
from tests.results.coverage import built
from tests.results.coverage.built import PATCH, Repository, a_build, a_plan, run, sentences
from tests.results.coverage.reports import cobertura, marked

from changes.base import jobs
from changes.base.task import Task
from changes.builds.events import BuildFinished
from changes.builds.models import Build
from changes.builds.rules import Result, Status
from changes.projects.models import Project
from changes.results import statistics
from changes.results.coverage import making, marks, patch, tasks
from changes.results.coverage.models import BuildCoverage, StepCoverage

TRACE = b"SF:/work/9/source/src/app.py\nDA:1,1\nDA:2,0\nDA:3,1\nDA:4,1\nend_of_record\n"


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Repository:
    return Repository(tmp_path_factory.mktemp("covered") / "source")


@pytest.fixture
def project(session: Session, repository: Repository) -> Project:
    return repository.project(session)


@pytest.fixture
def build(session: Session, project: Project, repository: Repository) -> Build:
    a_plan(session, project, {})
    return a_build(session, project, repository.second)


@pytest.fixture
def unread(session: Session) -> Build:
    """A build of a commit whose repository nobody can read."""
    project = built.an_unread_project(session)
    a_plan(session, project, {})
    return a_build(session, project, factories.A_SHA)


def coverage_of(session: Session, build: Build) -> BuildCoverage:
    making.make(build.id)
    return session.get_one(BuildCoverage, build.id)


def test_a_report_is_read_when_its_step_ends(session: Session, build: Build) -> None:
    run(session, build, {"coverage.xml": cobertura({"src/app.py": "CUCC", "src/other.py": "U"})})

    made = coverage_of(session, build)
    assert agents.state(build) == (Status.FINISHED, Result.PASSED)
    assert (made.report_count, made.file_count, made.lines_covered, made.lines_uncovered) == (1, 2, 3, 2)


def test_names_become_files_of_the_commit(session: Session, build: Build, project: Project) -> None:
    run(session, build, {"lcov.info": TRACE})

    coverage_of(session, build)
    assert marks.of_build(session, project.id, build.id, ["src/app.py"]) == {"src/app.py": marked("CUCC")}


def test_what_is_no_file_of_the_commit_is_told_and_not_counted(session: Session, build: Build) -> None:
    files = {"src/app.py": "C", "site-packages/requests/api.py": "UUU", "gen/made.py": "U"}

    step = run(session, build, {"coverage.xml": cobertura(files)})

    kept = session.get_one(StepCoverage, step.id)
    assert (kept.file_count, kept.strange_count) == (1, 2)
    assert kept.strange_names == ["gen/made.py", "site-packages/requests/api.py"]


def test_reports_of_one_step_are_put_together(session: Session, unread: Build) -> None:
    run(session, unread, {"coverage.xml": cobertura({"src/app.py": "UCUU"}), "out/lcov.info": TRACE})

    coverage_of(session, unread)
    assert marks.of_build(session, unread.project_id, unread.id, ["src/app.py"]) == {
        "src/app.py": marked("CCCC")
    }


def test_the_lines_of_a_commit_are_judged_by_its_own_coverage(session: Session, build: Build) -> None:
    run(session, build, {"coverage.xml": cobertura({"src/app.py": "CUCC", "src/other.py": "U"})})

    made = coverage_of(session, build)
    told = patch.thawed(made.patch)
    assert (made.diff_lines_covered, made.diff_lines_uncovered, made.diff_problem) == (1, 1, "")
    assert [(each.path, each.covered, each.uncovered) for each in told.files] == [("src/app.py", 1, 1)]
    assert [(gap.path, gap.first, gap.last) for gap in told.gaps] == [("src/app.py", 2, 2)]
    assert [(line.number, line.text, line.is_added) for line in told.gaps[0].lines] == [
        (1, "a = 1", False),
        (2, "b = 20", True),
        (3, "c = 3", False),
        (4, "d = 4", True),
    ]


def test_the_lines_of_a_patch_are_judged_and_its_new_files_known(
    session: Session, project: Project, repository: Repository
) -> None:
    a_plan(session, project, {})
    build = a_build(session, project, repository.second, patch=PATCH)

    run(session, build, {"coverage.xml": cobertura({"src/app.py": "CUCCC", "src/fresh.py": "CP"})})

    made = coverage_of(session, build)
    assert not made.is_of_commit
    assert (made.diff_lines_covered, made.diff_lines_uncovered) == (1, 2)
    assert [each.path for each in patch.thawed(made.patch).files] == ["src/app.py", "src/fresh.py"]


def test_steps_jobs_and_builds_have_the_numbers_of_the_original(session: Session, build: Build) -> None:
    step = run(session, build, {"coverage.xml": cobertura({"src/app.py": "CUCC"})})

    making.make(build.id)

    numbers = {"lines_covered": 3, "lines_uncovered": 1, "diff_lines_covered": 1, "diff_lines_uncovered": 1}
    found = statistics.of_items(session, [step.id, step.job_id, build.id])
    for each in found.values():
        assert {name: each[name] for name in numbers} == numbers


def test_where_the_repository_cannot_be_read_names_are_believed_and_that_is_told(session: Session) -> None:
    project = built.an_unread_project(session)
    a_plan(session, project, {})
    build = a_build(session, project, "b" * 40)

    run(session, build, {"coverage.xml": cobertura({"anything.py": "CU"})})

    made = coverage_of(session, build)
    assert (made.lines_covered, made.lines_uncovered) == (1, 1)
    assert made.diff_lines_covered is None
    assert "cannot be read" in made.diff_problem


def test_a_malformed_report_fails_its_step_and_what_could_be_read_is_kept(
    session: Session, unread: Build
) -> None:
    whole = cobertura({"src/app.py": "CC", "src/other.py": "C"})

    run(session, unread, {"coverage.xml": whole[: whole.index(b"other.py")]})

    (sentence,) = sentences(session, unread)
    assert unread.result == Result.FAILED
    assert sentence.startswith("An artifact could not be parsed: coverage.xml: line ")
    assert coverage_of(session, unread).lines_covered == 2


def test_a_file_that_only_has_the_name_of_a_report_is_passed_over(session: Session, unread: Build) -> None:
    step = run(session, unread, {"coverage.json": b'{"total": 3}', "coverage.txt": b"all of it\n"})

    assert agents.state(unread) == (Status.FINISHED, Result.PASSED)
    assert session.get(StepCoverage, step.id) is None


def test_a_report_without_any_line_is_a_report(session: Session, unread: Build) -> None:
    run(session, unread, {"coverage.xml": b"<coverage></coverage>"})

    assert coverage_of(session, unread).report_count == 1


def test_reports_are_put_together_soon_and_when_the_build_has_ended_at_once(
    session: Session, unread: Build
) -> None:
    run(session, unread, {"coverage.xml": cobertura({"src/app.py": "C"})})
    waiting = select(func.extract("epoch", Task.due_at - Task.date_created)).where(Task.child_id == unread.id)
    mine = waiting.where(Task.name == jobs.name_of(tasks.merge_coverage))
    before = session.execute(mine).scalar_one()

    tasks.after_builds(session, [BuildFinished(unread.id)])

    assert before > 1
    assert session.execute(mine).scalar_one() < 1


def test_a_build_without_coverage_is_not_looked_at_when_it_ends(session: Session, unread: Build) -> None:
    run(session, unread, {"junit.xml": agents.JUNIT})

    tasks.after_builds(session, [BuildFinished(unread.id)])

    mine = select(Task.id).where(Task.name == jobs.name_of(tasks.merge_coverage))
    assert session.execute(mine).all() == []
