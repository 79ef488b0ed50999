"""Hand-outs look only at lanes where something waits, or did a moment ago, and overlook nobody."""

from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import delete, func, select, update
from sqlalchemy.orm import Session
from tests import factories
from tests.builds import queues

from changes.builds import tending
from changes.builds.models import JobStep
from changes.builds.queue_models import BusyLane, Lane, Turn
from changes.projects.models import Project

pytestmark = pytest.mark.usefixtures("session")
# More than a hand-out of one step takes into account.
MANY_LANES = 40


def busy(session: Session) -> int:
    return session.scalar(select(func.count(BusyLane.lane_id.distinct()))) or 0


def grow_quiet(session: Session, seconds: float) -> None:
    """As if it had been seen so long ago that nothing waits there."""
    since = func.now() - timedelta(seconds=seconds)
    session.execute(update(BusyLane).where(BusyLane.date_quiet.is_not(None)).values(date_quiet=since))


def empty(session: Session) -> None:
    """All that waits is handed out, and over."""
    while queues.hand_out(session, queues.a_node(session), 50):
        queues.end_all(session)


def test_a_lane_is_looked_at_while_something_waits_in_it(session: Session) -> None:
    queues.a_queue(session, "long", 3)

    tending.tend_lanes(session)
    tending.tend_lanes(session, quiet_s=0)

    assert busy(session) == 1


def test_a_lane_leaves_a_while_after_it_was_seen_empty(session: Session) -> None:
    queues.a_queue(session, "short")
    empty(session)
    tending.tend_lanes(session)
    tending.tend_lanes(session)
    before = busy(session)

    grow_quiet(session, tending.QUIET_S + 1)
    tending.tend_lanes(session)

    assert (before, busy(session)) == (1, 0)


def test_who_enters_a_lane_that_was_seen_empty_keeps_it_there(session: Session) -> None:
    project = queues.a_queue(session, "again")
    empty(session)
    tending.tend_lanes(session)

    queues.ask_for(session, project)
    grow_quiet(session, tending.QUIET_S + 1)
    tending.tend_lanes(session)

    assert busy(session) == 1


def test_who_enters_a_lane_that_has_left_is_handed_out(session: Session) -> None:
    project = queues.a_queue(session, "back")
    empty(session)
    session.execute(delete(BusyLane))

    queues.ask_for(session, project)

    assert queues.hand_out(session, queues.a_node(session)) == ["back"]


def test_a_lane_that_left_while_somebody_entered_it_is_found_again(session: Session) -> None:
    queues.a_queue(session, "raced")
    session.execute(delete(BusyLane))

    tending.tend_lanes(session)

    assert queues.hand_out(session, queues.a_node(session)) == ["raced"]


def test_two_that_enter_one_lane_at_once_are_served_once_each(session: Session) -> None:
    queues.a_queue(session, "twice", 2)
    session.add(BusyLane(lane_id=session.scalars(select(JobStep.lane_id).distinct()).one()))
    session.flush()

    assert queues.hand_out(session, queues.a_node(session), 5) == ["twice", "twice"]


@pytest.mark.parametrize("count", [1, 3])
def test_any_number_of_empty_lanes_hides_no_step(session: Session, count: int) -> None:
    project = queues.a_project(session, "people")
    for _ in range(MANY_LANES):
        queues.ask_for(session, project, author=factories.an_author(session))
    empty(session)

    queues.a_queue(session, "latest")
    session.execute(update(Turn).where(Turn.id == turn_of(session, "latest")).values(virtual_time=1e6))

    assert busy(session) == MANY_LANES + 1
    assert queues.hand_out(session, queues.a_node(session), count) == ["latest"]


def turn_of(session: Session, slug: str) -> UUID:
    of_project = select(Lane.project_turn_id).join(Project, Project.id == Lane.project_id)
    return session.scalars(of_project.where(Project.slug == slug)).one()
