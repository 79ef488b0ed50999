from typing import Any

import pytest
from sqlalchemy.orm import Session
from tests import factories
from tests.builds import agents

from changes.base import ids
from changes.base.errors import NotFound
from changes.base.paging import Page
from changes.builds import queries, settle
from changes.builds.models import Build
from changes.builds.queries import BuildFilter
from changes.builds.reasons import Reason
from changes.builds.rules import Cause, Result
from changes.projects.models import Project
from changes.protocol import StepReport


def found(session: Session, **wanted: Any) -> list[Build]:
    return list(queries.builds(session, Page(), BuildFilter(**wanted)).rows)


def a_finished_build(session: Session, project: Project, *, code: int = 0, plans: int = 1) -> Build:
    build = factories.a_build(session, project, plans=plans)
    for step in factories.steps_of(session, build):
        agents.end(session, factories.give_to(session, step, factories.a_node(session)), code=code)
    return build


@pytest.fixture
def plain(session: Session) -> Build:
    return factories.a_build(session)


@pytest.fixture
def patched(session: Session, plain: Build) -> Build:
    """The newer of two builds of one project; it has a patch."""
    build = factories.a_build(session, plain.project, plans=0)
    build.source = factories.a_source(session, plain.project, patch=b"diff")
    session.flush()
    return build


def test_builds_come_newest_first_and_page_by_page(session: Session) -> None:
    project = factories.a_project(session)
    builds = [factories.a_build(session, project, plans=0) for _ in range(3)]

    first = queries.builds(session, Page(1, 2))
    second = queries.builds(session, Page(2, 2))

    assert [*first.rows, *second.rows] == builds[::-1]
    assert (first.has_next, second.has_next) == (True, False)


def test_builds_with_and_without_patches_are_told_apart(
    session: Session, plain: Build, patched: Build
) -> None:
    assert found(session, patches_only=True) == [patched]
    assert found(session, include_patches=False) == [plain]
    assert found(session) == [patched, plain]


def test_builds_are_found_by_each_of_their_traits(session: Session, plain: Build, patched: Build) -> None:
    patched.label, patched.target = "Mend 100%", "D77"
    patched.cause, patched.result, patched.tags = Cause.MANUAL, Result.FAILED, ["patch", "nightly"]
    patched.author = factories.an_author(session)
    session.flush()
    traits: list[dict[str, Any]] = [
        {"authors": [patched.author]},
        {"result": Result.FAILED},
        {"cause": Cause.MANUAL},
        {"tags": ["nightly", "other"]},
        {"text": "MEND 100%"},
        {"text": "D77"},
        {"target": "D7"},
    ]

    assert [found(session, **trait) for trait in traits] == [[patched]] * len(traits)
    assert found(session, project=factories.a_project(session)) == []


def test_what_stands_for_anything_in_a_database_stands_for_itself_in_a_search(
    session: Session, plain: Build
) -> None:
    assert found(session, text="%") == []
    assert found(session, target="_") == []


def test_a_build_is_found_by_its_number(session: Session, plain: Build) -> None:
    assert queries.build_by_number(session, plain.project, 1) is plain
    with pytest.raises(NotFound):
        queries.build_by_number(session, plain.project, 2)


def test_what_is_not_there_is_said_to_be_missing(session: Session) -> None:
    for look in (queries.build, queries.job, queries.step, queries.command, queries.node):
        with pytest.raises(NotFound):
            look(session, ids.new())


def test_jobs_and_steps_come_in_the_order_they_were_made(session: Session) -> None:
    build = factories.a_build(session, plans=3)

    jobs = queries.jobs_of(session, [build.id])[build.id]

    assert [job.number for job in jobs] == [1, 2, 3]
    assert [step.job_id for step in queries.steps_of(session, [job.id for job in jobs])] == [
        job.id for job in jobs
    ]


def test_replaced_attempts_are_listed_and_their_troubles_are_not(session: Session) -> None:
    build = factories.a_build(session)
    step = agents.a_taken_step(session, build)
    agents.tell(session, step, StepReport(status="released"))
    settle.explain(session, build.id, Reason("no_plans", {"file": "x"}))

    failures = queries.failures_of(session, [build.id])[build.id]

    assert len(queries.steps_of(session, [step.job_id])) == 2
    assert [failure.reason for failure in failures] == ["no_plans"]


def test_the_last_build_of_a_project_is_its_newest_finished_commit_build(session: Session) -> None:
    project = factories.a_project(session)
    passed = a_finished_build(session, project)
    failed = a_finished_build(session, project, code=1)
    failing = factories.a_build(session, project, plans=1)
    agents.end(session, agents.a_taken_step(session, failing), code=1)
    assert not failing.is_finished

    assert queries.last_builds(session, [project.id], passed=False) == {project.id: failed}
    assert queries.last_builds(session, [project.id], passed=True) == {project.id: passed}
