"""How an agent may enter the repositories of a step."""

import pytest
from sqlalchemy.orm import Session
from tests import factories
from tests.builds import agents

from changes.base import ids
from changes.base.errors import NotFound
from changes.builds import logins
from changes.builds.models import JobStep
from changes.builds.rules import Status
from changes.projects import credentials
from changes.projects.credentials import Given
from changes.projects.models import Repository
from changes.protocol import Login


@pytest.fixture
def step(session: Session) -> JobStep:
    return agents.a_taken_step(session)


def repository_of(step: JobStep) -> Repository:
    return step.job.build.project.repository


def of(session: Session, step: JobStep) -> list[Login]:
    assert step.node_id is not None
    return logins.for_step(session, step.node_id, step.id)


def test_a_step_gets_those_of_its_own_repository(session: Session, step: JobStep) -> None:
    repository = repository_of(step)
    credentials.keep(session, repository, Given(username="zoe", password="hunter2"))

    assert of(session, step) == [Login(url=repository.url, username="zoe", password="hunter2")]


def test_a_repository_that_is_open_to_all_needs_none(session: Session, step: JobStep) -> None:
    assert of(session, step) == []


def test_what_a_stranger_changed_gets_none(session: Session, step: JobStep) -> None:
    credentials.keep(session, repository_of(step), Given(password="hunter2"))
    step.job.build.is_trusted = False
    session.flush()

    assert of(session, step) == []


@pytest.mark.parametrize("is_shared", [False, True])
def test_a_plan_that_names_another_repository_gets_its_own_if_that_is_shared(
    session: Session, step: JobStep, *, is_shared: bool
) -> None:
    other = factories.a_repository(session)
    credentials.keep(session, other, Given(password="hunter2", is_shared=is_shared))
    step.data = {"other_repos": [{"url": other.url, "path": "other", "backend": "git", "revision": "HEAD"}]}
    session.flush()

    assert of(session, step) == ([Login(url=other.url, password="hunter2")] if is_shared else [])


def test_a_machine_that_does_not_hold_the_step_gets_none(session: Session, step: JobStep) -> None:
    credentials.keep(session, repository_of(step), Given(password="hunter2"))

    with pytest.raises(NotFound):
        logins.for_step(session, ids.new(), step.id)


def test_a_step_that_is_over_gets_none(session: Session, step: JobStep) -> None:
    credentials.keep(session, repository_of(step), Given(password="hunter2"))
    step.status = Status.FINISHED
    session.flush()

    with pytest.raises(NotFound):
        of(session, step)
