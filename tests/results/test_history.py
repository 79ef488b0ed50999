"""One test through builds of several plans and attempts."""

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session
from tests import factories
from tests.builds import agents

from changes.builds import reasons, retry
from changes.builds.models import JobStep
from changes.builds.reasons import Reason
from changes.builds.rules import ReplaceLimits, Result
from changes.projects.models import Project
from changes.results import history, testgrid, testruns
from changes.results.formats.seen import TestSeen as Seen
from changes.results.models import Test as NamedTest

PASSED, FAILED = Seen("a.works", "a", "passed"), Seen("a.works", "a", "failed")
LOST = Reason(reasons.AGENT_LOST, {"node": "n", "silence_s": 60})


@pytest.fixture
def project(session: Session) -> Project:
    return factories.a_project(session)


def steps(session: Session, project: Project, plans: int) -> list[JobStep]:
    build = factories.a_build(session, project, plans=plans)
    node = factories.a_node(session)
    return [factories.give_to(session, step, node) for step in factories.steps_of(session, build)]


def the_test(session: Session) -> NamedTest:
    return session.execute(select(NamedTest)).scalar_one()


def result_at(session: Session, project: Project) -> Result:
    found = history.at_revisions(session, the_test(session), project.repository_id, [factories.A_SHA])
    return found[factories.A_SHA][0].result


def test_a_plan_that_passed_last_does_not_hide_one_that_failed(session: Session, project: Project) -> None:
    first, last = steps(session, project, 2)
    testruns.store(session, first, [FAILED])
    testruns.store(session, last, [PASSED])

    assert result_at(session, project) == Result.FAILED


def test_an_attempt_that_was_made_again_counts_no_more(session: Session, project: Project) -> None:
    (lost,) = steps(session, project, 1)
    testruns.store(session, lost, [FAILED])
    attempt = retry.replace_lost_step(session, lost, LOST, ReplaceLimits(1, 1))
    assert attempt is not None
    agents.begin(session, factories.give_to(session, attempt, factories.a_node(session)))
    testruns.store(session, attempt, [PASSED])

    turned = testgrid.turning(history.newest(session, the_test(session), limit=10), "")

    assert turned is not None
    assert not turned.is_failing
    assert result_at(session, project) == Result.PASSED
