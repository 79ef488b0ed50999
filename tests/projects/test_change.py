"""Changing projects, repositories and the order of steps."""

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session
from tests import factories

from changes.base.errors import Conflict, Invalid
from changes.base.task import Task
from changes.builds import remove_plan
from changes.builds.models import JobPlan
from changes.projects import change, options, plans, queries, rules
from changes.projects.change import ProjectChange, RepositoryChange
from changes.projects.models import ItemOption, Plan, Step
from changes.projects.rules import ProjectStatus, RepositoryBackend, RepositoryStatus


def test_what_is_not_named_stays(session: Session) -> None:
    project = factories.a_project(session, "hello")

    change.change_project(session, project, ProjectChange(name=" Other "))

    assert (project.name, project.slug, project.status) == ("Other", "hello", ProjectStatus.ACTIVE)


@pytest.mark.parametrize("slug", ["", "new", "Up", "-x", "a/b"])
def test_a_slug_that_is_no_address_of_a_project_is_refused(session: Session, slug: str) -> None:
    project = factories.a_project(session, "hello")

    with pytest.raises(Invalid):
        change.change_project(session, project, ProjectChange(slug=slug))


def test_a_slug_of_another_project_is_refused_and_the_own_one_is_not(session: Session) -> None:
    project, other = factories.a_project(session, "hello"), factories.a_project(session, "other")

    change.change_project(session, project, ProjectChange(slug="hello"))

    with pytest.raises(Conflict):
        change.change_project(session, project, ProjectChange(slug=other.slug))


@pytest.mark.parametrize(
    ("name", "slug"),
    [
        ("Hello World", "hello-world"),
        (" Überraschung! ", "uberraschung"),
        ("a_b.c--d", "a_b.c-d"),
        ("../x", "x"),
        ("日本", ""),
        ("x" * 80, "x" * 64),
    ],
)
def test_a_slug_is_suggested_that_can_stand_in_an_address(name: str, slug: str) -> None:
    assert rules.suggested_slug(name) == slug
    assert not slug or rules.slug_problem(slug) is None


def test_an_option_nobody_declared_is_refused(session: Session) -> None:
    with pytest.raises(Invalid) as refused:
        options.change(session, factories.a_project(session), {"project.colour": "red"})

    assert refused.value.problems == ["project.colour"]


def test_another_address_is_read_anew(session: Session) -> None:
    repository = factories.a_repository(session)
    repository.last_error = "It was away."

    change.change_repository(session, repository, RepositoryChange(url="https://example.com/new.git"))

    task = session.execute(select(Task).where(Task.child_id == repository.id)).scalar_one()
    assert task.name == "projects.import_repository"
    assert (repository.status, repository.last_error) == (RepositoryStatus.IMPORTING, "")


def test_a_repository_that_is_switched_off_is_not_read(session: Session) -> None:
    repository = factories.a_repository(session)

    wanted = RepositoryChange(url="https://example.com/new.git", status=RepositoryStatus.INACTIVE)
    change.change_repository(session, repository, wanted)

    assert repository.status == RepositoryStatus.INACTIVE
    assert session.execute(select(Task)).first() is None


def test_the_kind_may_change_while_nothing_was_read(session: Session) -> None:
    repository = factories.a_repository(session)

    change.change_repository(session, repository, RepositoryChange(backend=RepositoryBackend.HG))

    assert repository.backend == RepositoryBackend.HG


def test_a_step_at_the_end_is_not_moved_beyond_it(session: Session) -> None:
    plan = factories.a_plan(session, factories.a_project(session), {"a": 1}, {"b": 1}, {"c": 1})
    first, _, last = plan.steps

    assert not plans.move_step(session, first, up=True)
    assert not plans.move_step(session, last, up=False)
    assert plans.move_step(session, last, up=True)
    found = select(Step).where(Step.plan_id == plan.id).order_by(Step.order)
    assert [list(step.data) for step in session.execute(found).scalars()] == [["a"], ["c"], ["b"]]


def test_a_plan_goes_with_its_steps_and_their_options(session: Session) -> None:
    plan = factories.a_plan(session, factories.a_project(session), {"commands": ["make"]})
    for item_id in (plan.id, plan.steps[0].id):
        session.add(ItemOption(item_id=item_id, name="build.timeout", value="5"))
    session.flush()

    remove_plan.remove_plan(session, plan)

    assert session.execute(select(ItemOption)).first() is None
    assert session.execute(select(Step)).first() is None


def test_a_plan_that_ran_is_kept_with_its_jobs(session: Session) -> None:
    factories.a_build(session)
    plan = session.execute(select(Plan)).unique().scalar_one()

    with pytest.raises(Conflict, match="inactive"):
        remove_plan.remove_plan(session, plan)

    assert session.execute(select(JobPlan)).first() is not None


def test_a_plan_of_the_repository_is_not_deleted_here(session: Session) -> None:
    plan = factories.a_plan(session, factories.a_project(session))
    plan.in_repository = True

    with pytest.raises(Invalid):
        remove_plan.remove_plan(session, plan)


def test_the_newest_revision_is_the_one_committed_last(session: Session) -> None:
    project = factories.a_project(session)
    for sha, day in (("a" * 40, 3), ("b" * 40, 9), ("c" * 40, 5)):
        revision = factories.a_source(session, project, sha=sha).revision
        revision.date_committed = revision.date_created.replace(year=2020, month=1, day=day)
    session.flush()

    newest = queries.newest_revision(session, project.repository)

    assert newest is not None
    assert newest.sha == "b" * 40
