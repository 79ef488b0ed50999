from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy.orm import Session
from tests import factories

from changes.base import ids
from changes.base.errors import NotFound
from changes.base.paging import Page
from changes.projects import queries
from changes.projects.models import ItemOption, ProjectOption
from changes.projects.rules import PlanStatus, ProjectStatus


def test_a_project_is_found_by_slug_or_id(session: Session) -> None:
    project = factories.a_project(session)

    for name in (project.slug, project.id.hex, str(project.id)):
        assert queries.project(session, name) is project


def test_a_slug_that_looks_like_an_id_is_a_slug(session: Session) -> None:
    other = factories.a_project(session)
    project = factories.a_project(session, slug=other.id.hex)

    assert queries.project(session, other.id.hex) is project


def test_an_unknown_project_is_named(session: Session) -> None:
    with pytest.raises(NotFound, match="There is no project 'nowhere'"):
        queries.project(session, "nowhere")


MISSING: list[Callable[[Session, Any], object]] = [
    queries.repository,
    queries.plan,
    queries.step,
    queries.patch,
]


@pytest.mark.parametrize("look", MISSING)
def test_what_is_not_there_is_said_to_be_missing(
    session: Session, look: Callable[[Session, Any], object]
) -> None:
    with pytest.raises(NotFound):
        look(session, ids.new())


def test_projects_are_searched_by_name_and_slug_and_listed_by_name(session: Session) -> None:
    for slug in ("zebra-fast", "antelope", "fast-cat"):
        factories.a_project(session, slug=slug)

    found = queries.projects(session, Page(), query="FAST").rows

    assert [project.slug for project in found] == ["fast-cat", "zebra-fast"]


def test_projects_are_filtered_by_status(session: Session) -> None:
    factories.a_project(session)
    resting = factories.a_project(session)
    resting.status = ProjectStatus.INACTIVE
    session.flush()

    assert queries.projects(session, Page(), status=ProjectStatus.INACTIVE).rows == [resting]


def test_a_percent_sign_is_searched_for_as_it_is(session: Session) -> None:
    factories.a_project(session)
    factories.a_repository(session)

    assert queries.projects(session, Page(), query="%").rows == []
    assert queries.repositories(session, Page(), query="%").rows == []


def test_repositories_are_listed_by_url(session: Session) -> None:
    for url in ("https://example.com/b", "https://example.com/a"):
        factories.a_repository(session, url)

    found = queries.repositories(session, Page(), query="example").rows

    assert [repository.url[-1] for repository in found] == ["a", "b"]


def test_plans_are_listed_by_name_and_filtered_by_status(session: Session) -> None:
    project = factories.a_project(session)
    factories.a_plan(session, project, label="b")
    factories.a_plan(session, project, label="a", active=False)
    factories.a_plan(session, factories.a_project(session), label="c")

    assert [plan.label for plan in queries.plans(session, Page(), project).rows] == ["a", "b"]
    active = queries.plans(session, Page(), project, status=PlanStatus.ACTIVE)
    assert [plan.label for plan in active.rows] == ["b"]


def test_active_projects_of_a_repository_come_by_slug(session: Session) -> None:
    repository = factories.a_repository(session)
    for slug in ("b", "a"):
        factories.a_project(session, slug, repository)
    factories.a_project(session, "c", repository).status = ProjectStatus.INACTIVE
    session.flush()

    assert [project.slug for project in queries.active_projects_of(session, repository)] == ["a", "b"]


def test_options_are_read_by_name(session: Session) -> None:
    project = factories.a_project(session)
    session.add(ProjectOption(project_id=project.id, name="a", value="1"))
    session.add(ItemOption(item_id=project.repository_id, name="b", value="2"))
    session.flush()

    assert queries.options(session, project) == {"a": "1"}
