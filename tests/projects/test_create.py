import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session
from tests import factories

from changes.base import jobs
from changes.base.errors import Conflict, Invalid
from changes.base.task import Task
from changes.projects import create, queries, tasks
from changes.projects.rules import PlanStatus, RepositoryBackend, RepositoryStatus

URL = "https://example.com/a.git"


def test_a_new_repository_is_imported_by_a_task(session: Session) -> None:
    repository = create.create_repository(session, URL, RepositoryBackend.GIT)

    task = session.execute(select(Task).where(Task.child_id == repository.id)).scalar_one()
    assert repository.status == RepositoryStatus.IMPORTING
    assert task.name == jobs.name_of(tasks.import_repository)


def test_a_repository_without_version_control_needs_no_import(session: Session) -> None:
    repository = create.create_repository(session, "anything at all", RepositoryBackend.UNKNOWN)

    assert repository.status == RepositoryStatus.ACTIVE
    assert session.execute(select(Task)).first() is None


def test_a_repository_is_known_once(session: Session) -> None:
    create.create_repository(session, URL, RepositoryBackend.GIT)

    with pytest.raises(Conflict):
        create.create_repository(session, URL, RepositoryBackend.HG)


@pytest.mark.parametrize("url", ["", "--upload-pack=x", "ext::sh -c x", "https://example.com/" + "a" * 200])
def test_a_url_that_no_tool_may_see_is_refused(session: Session, url: str) -> None:
    with pytest.raises(Invalid) as refused:
        create.create_repository(session, url, RepositoryBackend.GIT)

    assert refused.value.problems == ["url"]


def test_a_project_gets_its_slug_from_its_name(session: Session) -> None:
    repository = factories.a_repository(session)

    project = create.create_project(session, " My Project ", repository)

    assert (project.name, project.slug) == ("My Project", "my-project")


@pytest.mark.parametrize("name", ["", " ", "n" * 65, "Überraschung", "../x", "-x"])
def test_a_name_that_makes_no_slug_is_refused(session: Session, name: str) -> None:
    with pytest.raises(Invalid):
        create.create_project(session, name, factories.a_repository(session))


def test_a_slug_is_given_once(session: Session) -> None:
    project = factories.a_project(session, slug="mine")

    with pytest.raises(Conflict):
        create.create_project(session, "Other", project.repository, slug="mine")


def test_a_new_plan_is_inactive_until_it_is_described(session: Session) -> None:
    plan = create.create_plan(session, factories.a_project(session), " tests ")

    assert (plan.label, plan.status) == ("tests", PlanStatus.INACTIVE)


def test_a_project_has_one_plan_of_a_name_and_the_repository_may_have_another(session: Session) -> None:
    project = factories.a_project(session)
    mine = create.create_plan(session, project, "tests")

    theirs = create.plan_in_repository(session, project, "tests")

    assert theirs.id != mine.id
    with pytest.raises(Conflict):
        create.create_plan(session, project, "tests")


def test_a_plan_needs_a_name(session: Session) -> None:
    with pytest.raises(Invalid):
        create.create_plan(session, factories.a_project(session), "  ")


def test_a_plan_in_the_repository_is_found_again(session: Session) -> None:
    project = factories.a_project(session)

    plans = [create.plan_in_repository(session, project, "tests") for _ in range(2)]

    assert plans[0] is plans[1]
    assert queries.active_plans(session, project) == []


def test_steps_have_orders_of_their_own(session: Session) -> None:
    plan = factories.a_plan(session, factories.a_project(session))
    create.create_step(session, plan, "x", {}, 1)

    with pytest.raises(Conflict):
        create.create_step(session, plan, "x", {}, 1)


@pytest.mark.parametrize("order", [-1, 2**40])
def test_an_order_is_a_small_number(session: Session, order: int) -> None:
    plan = factories.a_plan(session, factories.a_project(session))

    with pytest.raises(Invalid):
        create.create_step(session, plan, "x", {}, order)
