"""Steps that the machinery lost, by machine and reason."""

from datetime import timedelta

import pytest
from sqlalchemy.orm import Session
from tests import factories
from tests.builds import agents, queues

from changes.base import clock
from changes.base.paging import Page, Position
from changes.builds import infra_failures, queue_queries, retry
from changes.builds.infra_failures import Wanted
from changes.builds.models import JobStep, Node
from changes.builds.reasons import AGENT_LOST, AGENT_STOPPED, Reason
from changes.builds.rules import ReplaceLimits

LIMITS = ReplaceLimits(9, 9)


def a_lost_step(session: Session, node: Node, why: str = AGENT_LOST) -> JobStep:
    step = factories.steps_of(session, factories.a_build(session))[0]
    factories.give_to(session, step, node)
    retry.replace_lost_step(session, step, Reason(why, {"node": node.label, "silence_s": 60}), LIMITS)
    session.flush()
    return step


def test_they_are_counted_by_machine_and_reason_the_most_first(session: Session) -> None:
    bad, good = queues.a_node(session, label="bad"), queues.a_node(session, label="good")
    for _ in range(2):
        a_lost_step(session, bad)
    a_lost_step(session, bad, AGENT_STOPPED)
    a_lost_step(session, good)

    found = infra_failures.groups(session, Wanted())

    told = [(each.node.label if each.node else "", each.reason, each.count) for each in found]
    assert told[0] == ("bad", AGENT_LOST, 2)
    assert set(told[1:]) == {("bad", AGENT_STOPPED, 1), ("good", AGENT_LOST, 1)}


@pytest.mark.parametrize(
    ("wanted", "count"),
    [
        (Wanted(reason=AGENT_STOPPED), 1),
        (Wanted(cluster="mac"), 1),
        (Wanted(cluster="arm"), 0),
        (Wanted(), 2),
    ],
)
def test_they_are_narrowed_by_reason_and_cluster(session: Session, wanted: Wanted, count: int) -> None:
    a_lost_step(session, queues.a_node(session, labels={"cluster": "linux"}))
    a_lost_step(session, queues.a_node(session, labels={"cluster": "mac,gpu"}), AGENT_STOPPED)

    assert sum(each.count for each in infra_failures.groups(session, wanted)) == count
    assert len(infra_failures.newest(session, wanted, Page()).rows) == count


def test_they_are_narrowed_by_machine_and_walked_newest_first(session: Session) -> None:
    node = queues.a_node(session)
    older, newer = a_lost_step(session, node), a_lost_step(session, node)
    a_lost_step(session, queues.a_node(session))
    wanted = Wanted(node_id=node.id)

    first = infra_failures.newest(session, wanted, Page(1, 1, Position()))
    second = infra_failures.newest(session, wanted, Page(1, 1, Position(after=first.rows[0].id)))

    assert ([*first.rows, *second.rows], first.has_next, second.has_next) == ([newer, older], True, False)


def test_what_failed_by_itself_is_no_loss(session: Session) -> None:
    build = factories.a_build(session)
    agents.end(session, agents.a_taken_step(session, build), code=1)
    session.flush()

    assert infra_failures.groups(session, Wanted()) == []


def test_what_was_lost_long_ago_is_not_told(session: Session) -> None:
    step = a_lost_step(session, queues.a_node(session))
    asked = Wanted(hours=1)

    assert len(infra_failures.groups(session, asked)) == 1
    late = clock.now() + timedelta(hours=2)
    assert queue_queries.first_id_at(late - timedelta(hours=1)) > step.id


def test_a_loss_says_why_in_words_and_one_without_a_reason_is_unknown(session: Session) -> None:
    step = a_lost_step(session, queues.a_node(session, label="forge-1"))

    told = infra_failures.whys(session, [step])

    assert told[step.id].startswith("The agent forge-1 was not heard of for 60 seconds")
