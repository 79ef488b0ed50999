"""Reports put together in the database: like all of them read as one, in whatever order they came."""

from collections.abc import Mapping, Sequence
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as with_settings
from hypothesis import strategies as st
from sqlalchemy import delete, select
from sqlalchemy.orm import Session
from tests import factories
from tests.results.coverage.reports import marked

from changes.base import clock, ids
from changes.builds.models import Build, JobStep
from changes.results import statistics
from changes.results.coverage import folding, making, marks, merging, store
from changes.results.coverage.merging import Sums
from changes.results.coverage.models import BuildCoverage, CoverageFile, StepCoverage, StepCoveragePack
from changes.results.formats.line_marks import Marks

Report = Mapping[str, str]
FILES = ["a", "b/c", "b/d"]
REPORTS = st.lists(
    st.dictionaries(st.sampled_from(FILES), st.text(alphabet="NUPC", max_size=12), max_size=3), max_size=4
)


@pytest.fixture
def build(session: Session) -> Build:
    return unreachable(session, factories.a_build(session))


def unreachable(session: Session, build: Build) -> Build:
    """Nobody asks a repository that did not answer lately."""
    build.source.repository.last_error = "It does not answer."
    session.flush()
    return build


def a_step(session: Session, build: Build) -> JobStep:
    """One more beside the first."""
    first = factories.steps_of(session, build)[0]
    step = JobStep(
        id=ids.new(),
        job_id=first.job_id,
        phase_id=first.phase_id,
        project_id=first.project_id,
        label="shard",
        timeout_s=60,
    )
    session.add(step)
    session.flush()
    return step


def tell(session: Session, step: JobStep, report: Report) -> None:
    store.store(session, step, {path: marked(codes) for path, codes in report.items()}, [])


def shards(session: Session, build: Build, reports: Sequence[Report]) -> list[JobStep]:
    steps = [a_step(session, build) for _ in reports]
    for step, report in zip(steps, reports, strict=True):
        tell(session, step, report)
    return steps


def merged(session: Session, build: Build, paths: Sequence[str] = FILES) -> dict[str, Marks]:
    making.make(build.id)
    return marks.of_build(session, build.project_id, build.id, paths)


def together(reports: Sequence[Report]) -> dict[str, Marks]:
    """The same without any database."""
    found: dict[str, Marks] = {}
    for report in reports:
        for path, codes in report.items():
            found[path] = found.get(path, Marks()) | marked(codes)
    return {path: each for path, each in found.items() if each.executable}


@with_settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(reports=REPORTS, again=st.integers(min_value=0, max_value=3))
def test_reports_of_steps_are_as_one_in_any_order_and_number(
    session: Session, build: Build, reports: list[Report], again: int
) -> None:
    session.execute(delete(StepCoverage).where(StepCoverage.build_id == build.id))
    expected = together(reports)

    shards(session, build, [*reports[::-1], *reports[:again]])

    found = merged(session, build)
    sums = merging.sums_of_build(session, build.id)
    assert found == expected
    assert sums.lines_covered == sum(each.lines_covered for each in expected.values())
    assert sums.lines_uncovered == sum(each.lines_uncovered for each in expected.values())


def test_a_report_that_comes_again_replaces_itself(session: Session, build: Build) -> None:
    (step,) = shards(session, build, [{"a": "CCC", "b/c": "U"}])

    tell(session, step, {"a": "UC"})

    assert merged(session, build) == {"a": marked("UC")}


def test_a_late_report_is_put_to_those_before(session: Session, build: Build) -> None:
    shards(session, build, [{"a": "CUU"}])
    making.make(build.id)

    shards(session, build, [{"a": "UCU"}])

    assert merged(session, build) == {"a": marked("CCU")}


def test_what_a_replaced_attempt_told_counts_no_more(session: Session, build: Build) -> None:
    lost, new = shards(session, build, [{"a": "CCC"}, {"a": "UUC"}])
    making.make(build.id)

    lost.replacement_id = new.id
    session.flush()

    assert merged(session, build) == {"a": marked("UUC")}


def test_a_build_whose_reports_are_all_gone_has_no_coverage(session: Session, build: Build) -> None:
    (step,) = shards(session, build, [{"a": "C"}])
    making.make(build.id)

    step.replacement_id = step.id
    session.flush()

    assert merged(session, build) == {}
    assert session.get(BuildCoverage, build.id) is None
    assert statistics.of_items(session, [build.id, step.job_id]) == {build.id: {}, step.job_id: {}}


def test_more_files_than_share_a_row_are_all_there(session: Session, build: Build) -> None:
    many = {f"src/{number:03}.py": "CU" for number in range(200)}

    shards(session, build, [many])

    assert merged(session, build, list(many)) == {path: marked("CU") for path in many}
    assert merging.sums_of_build(session, build.id) == Sums(200, 200, 200)


def test_a_file_without_lines_is_not_kept(session: Session, build: Build) -> None:
    (step,) = shards(session, build, [{"empty": "NNN", "a": "C"}])

    assert session.get_one(StepCoverage, step.id).file_count == 1
    assert merged(session, build, ["empty", "a"]) == {"a": marked("C")}


def test_a_path_is_written_down_once_for_a_project(session: Session, build: Build) -> None:
    shards(session, build, [{"a": "C", "b/c": "U"}, {"a": "U"}])

    mine = select(CoverageFile.path).where(CoverageFile.project_id == build.project_id)
    assert sorted(session.execute(mine).scalars()) == ["a", "b/c"]


def test_lines_of_steps_count_once_in_their_job_and_build(session: Session, build: Build) -> None:
    (one, _) = shards(session, build, [{"a": "CCUU"}, {"a": "UCUU"}])

    making.make(build.id)

    numbers = {"lines_covered": 2, "lines_uncovered": 2}
    assert statistics.of_items(session, [one.job_id, build.id]) == {one.job_id: numbers, build.id: numbers}


def test_each_job_has_its_own_lines_and_the_build_those_of_all(session: Session) -> None:
    build = unreachable(session, factories.a_build(session, plans=2))
    one, other = factories.steps_of(session, build)
    tell(session, one, {"a": "CU"})
    tell(session, other, {"a": "UCU"})

    making.make(build.id)

    found = statistics.of_items(session, [one.job_id, other.job_id, build.id])
    assert [(each["lines_covered"], each["lines_uncovered"]) for each in found.values()] == [
        (1, 1),
        (1, 2),
        (2, 1),
    ]


def test_tests_that_are_counted_anew_leave_coverage_as_it_is(session: Session, build: Build) -> None:
    (step,) = shards(session, build, [{"a": "CU"}])
    making.make(build.id)

    statistics.record(session, step, build.id, {"test_count": 3})

    found = statistics.of_items(session, [build.id])[build.id]
    assert found == {"lines_covered": 1, "lines_uncovered": 1, "test_count": 3}


def test_reports_of_steps_go_after_two_weeks_and_what_was_made_of_them_stays(
    session: Session, build: Build
) -> None:
    (old,) = shards(session, build, [{"a": "CUU"}])
    making.make(build.id)
    session.get_one(BuildCoverage, build.id).date_merged = clock.now() - timedelta(days=15)
    session.flush()

    assert (folding.clean(session), folding.clean(session)) == (1, 0)

    packs = select(StepCoveragePack.number).where(StepCoveragePack.step_id == old.id)
    assert session.execute(packs).all() == []
    shards(session, build, [{"a": "UCU", "b/c": "C"}])
    assert merged(session, build) == {"a": marked("CCU"), "b/c": marked("C")}


def test_reports_of_builds_that_may_be_done_again_stay(session: Session, build: Build) -> None:
    shards(session, build, [{"a": "CUU"}])
    making.make(build.id)

    assert folding.clean(session) == 0


def test_nothing_is_made_of_a_build_without_reports(session: Session, build: Build) -> None:
    making.make(build.id)
    making.make(ids.new())

    assert session.get(BuildCoverage, build.id) is None
