"""One build taken apart: two questions, however large it is."""

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session
from tests.factories import a_build, a_project, steps_of
from tests.finished import end_step, explain, lose

from changes.base.paging import Page
from changes.builds import anatomy, queries, reasons
from changes.builds.models import Build, JobPlan
from changes.builds.rules import Result

ALL = Page(size=100)


@pytest.fixture
def build(session: Session) -> Build:
    return a_build(session, a_project(session, "server"), plans=3, commands=("make", "make test"))


def test_a_build_is_opened_by_number_and_by_id(session: Session, build: Build) -> None:
    by_number = anatomy.opened(session, "server", build.number)
    by_id = anatomy.opened(session, "server", build.id)

    assert by_number is not None
    assert by_id is not None
    assert by_number.build is by_id.build is build


def test_a_build_of_another_project_is_not_there(session: Session, build: Build) -> None:
    a_project(session, "other")

    assert anatomy.opened(session, "other", build.id) is None


def test_reasons_come_in_words_and_those_of_lost_attempts_apart(session: Session, build: Build) -> None:
    lost, failed, _ = steps_of(session, build)
    lose(session, lost)
    explain(session, lost, reasons.AGENT_RESTARTED, node="builder-7")
    explain(session, failed, reasons.TEST_FAILURES, count=3)

    opened = anatomy.opened(session, "server", build.number)

    assert opened is not None
    assert [each.text for each in opened.current] == ["3 tests failed."]
    assert [each.step_id for each in opened.whys if each.is_replaced] == [lost.id]


def test_jobs_phases_steps_and_commands_stand_in_their_order(session: Session, build: Build) -> None:
    step = steps_of(session, build)[0]
    queries.commands_of(session, [step.id])[0].return_code = 3
    session.flush()

    seen = anatomy.anatomy(session, build, ALL)

    assert [job.job.number for job in seen.jobs] == [1, 2, 3]
    assert [each.label for each in seen.steps[0].commands] == ["make", "make test"]
    assert seen.steps[0].commands[0].return_code == 3


def test_of_many_steps_those_that_went_wrong_come_first(session: Session, build: Build) -> None:
    first, second, third = steps_of(session, build)
    end_step(session, first, Result.PASSED)
    end_step(session, third, Result.FAILED)

    pages = [anatomy.anatomy(session, build, Page(number, 1)) for number in (1, 2, 3)]

    assert [page.steps[0].step for page in pages] == [third, second, first]
    assert {page.step_count for page in pages} == {3}


def test_a_build_without_jobs_has_no_anatomy(session: Session) -> None:
    build = a_build(session, plans=0)

    seen = anatomy.anatomy(session, build, ALL)

    assert (seen.jobs, seen.step_count) == ([], 0)


def test_a_job_says_whom_to_ask(session: Session, build: Build) -> None:
    first, *others = session.execute(select(JobPlan).where(JobPlan.build_id == build.id)).scalars()
    first.data = {**first.data, "terms": {"owners": ["team-db", "zoe@example.com"]}}
    session.flush()

    seen = anatomy.anatomy(session, build, ALL)

    assert {job.job.id: list(job.owners) for job in seen.jobs} == {
        first.job_id: ["team-db", "zoe@example.com"],
        **{other.job_id: [] for other in others},
    }
    assert anatomy.owners_of(session, first.job_id) == ["team-db", "zoe@example.com"]
