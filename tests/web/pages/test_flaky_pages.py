"""Pages about failures and flaky tests, and how much they ask of the database."""

from collections.abc import Callable

import pytest
from sqlalchemy.orm import Session
from tests import factories
from tests.builds import agents

from changes.builds.models import Build
from changes.results import cause_queries, flaky, quarantine, testdays, testruns
from changes.results.formats import seen as formats
from changes.results.quarantine import Wanted

QUESTIONS_MAX = 10


@pytest.fixture
def build(session: Session) -> Build:
    """A test that is flaky and in quarantine, and one that fails."""
    project = factories.a_project(session, "hello")
    factories.a_plan(session, project, {"commands": ["true"]})
    build = factories.a_build(session, project, plans=0)
    for result in ("passed", "failed"):
        step = agents.a_taken_step(session, factories.a_build(session, project, plans=0))
        seen = formats.TestSeen("a.split", "a", result, message="boom")
        testruns.store(session, step, [seen])
    failed = formats.TestSeen("a.broken", "a", "failed", message="boom")
    testruns.store(session, agents.a_taken_step(session, build), [failed])
    while testdays.sum_up(session):
        pass
    assert flaky.look(session, project.id) == 1
    quarantine.add(session, project, Wanted(["a.split"], "zoe", "races"), by="ravi")
    return build


def test_pages_ask_few_questions(session: Session, build: Build, questions: Callable[[str], int]) -> None:
    (step,) = factories.steps_of(session, build)
    ((run, _, _),) = testruns.failures_of_build(session, build.id, limit=1)
    cause = cause_queries.of_runs(session, [run.id])[run.id].outside_id.hex
    here = f"/projects/hello/builds/{build.number}/"
    paths = [
        "/failures/",
        "/projects/hello/failures/",
        f"/projects/hello/failures/{cause}/",
        "/projects/hello/flaky/",
        here,
        f"{here}tests/{run.outside_id.hex}/",
        f"/steps/{step.id.hex}/",
    ]

    asked = {path: questions(path) for path in paths}

    assert {path: count for path, count in asked.items() if count > QUESTIONS_MAX} == {}
