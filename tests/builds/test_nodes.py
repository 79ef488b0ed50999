from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import update
from sqlalchemy.orm import Session
from tests import factories
from tests.builds import agents
from tests.plain_sql import asked

from changes.base import clock, ids
from changes.base.db import Database
from changes.base.errors import Forbidden, Invalid, OtherVersion
from changes.builds import agent_keys, cancel, nodes
from changes.builds.lanes import Offer
from changes.builds.models import EnrolmentToken, JobStep, Node
from changes.builds.nodes import KnownNode
from changes.protocol import VERSION, Enrolled, Enrolment


def recognised(database: Database, secret: str) -> KnownNode | None:
    return asked(database, lambda connection: nodes.recognise(connection, secret))


def heard(database: Database, node_id: UUID, *step_ids: UUID) -> list[UUID]:
    return asked(database, lambda connection: nodes.heard(connection, node_id, list(step_ids)))


def enrolled(session: Session, token: str, name: str = "n1", **changes: Any) -> Enrolled:
    return nodes.enrol(session, Enrolment(token=token, name=name, **changes))


def show_itself(session: Session, enrolled_as: Enrolled) -> None:
    """As if the agent had used its own key."""
    later = clock.now() + timedelta(seconds=1)
    mine = update(Node).where(Node.id == UUID(enrolled_as.node_id))
    session.execute(mine.values(date_last_seen=later))


def test_an_agent_enrols_with_a_token_and_is_known_by_its_own_key(database: Database) -> None:
    with database.transaction() as session:
        mine = enrolled(session, nodes.make_enrolment_token(session), labels={"cluster": "big,fast"})

    assert recognised(database, mine.token) == KnownNode(
        UUID(mine.node_id), Offer(frozenset({"big", "fast"}), {"cluster": "big,fast"})
    )


def test_an_agent_that_was_recognised_was_seen(database: Database) -> None:
    with database.transaction() as session:
        mine = enrolled(session, nodes.make_enrolment_token(session))

    recognised(database, mine.token)

    with database.transaction() as session:
        assert session.get_one(Node, UUID(mine.node_id)).date_last_seen is not None


def test_a_revoked_agent_is_not_known_any_more(database: Database) -> None:
    with database.transaction() as session:
        mine = enrolled(session, nodes.make_enrolment_token(session))
        agent_keys.revoke(session, session.get_one(Node, UUID(mine.node_id)))

    assert recognised(database, mine.token) is None


def test_a_token_lets_one_agent_in(session: Session) -> None:
    token = nodes.make_enrolment_token(session)
    enrolled(session, token, "first")

    with pytest.raises(Forbidden):
        enrolled(session, token, "second")


def test_an_agent_whose_answer_got_lost_enrols_again_with_the_same_token(session: Session) -> None:
    token = nodes.make_enrolment_token(session)
    lost = enrolled(session, token)

    again = enrolled(session, token)

    assert again.node_id == lost.node_id
    assert again.token != lost.token


def test_a_token_is_spent_for_good_once_its_agent_has_shown_itself(session: Session) -> None:
    token = nodes.make_enrolment_token(session)
    show_itself(session, enrolled(session, token))

    with pytest.raises(Forbidden):
        enrolled(session, token)


def test_an_expired_token_lets_nobody_in(session: Session) -> None:
    token = nodes.make_enrolment_token(session)
    session.flush()
    session.execute(update(EnrolmentToken).values(date_expires=clock.now() - timedelta(seconds=1)))

    with pytest.raises(Forbidden):
        enrolled(session, token)


def test_an_unknown_token_lets_nobody_in(session: Session) -> None:
    with pytest.raises(Forbidden):
        enrolled(session, "chg_nonsense")


def test_an_agent_set_up_anew_replaces_its_old_key(session: Session) -> None:
    first = enrolled(session, nodes.make_enrolment_token(session), slots=1)
    show_itself(session, first)

    second = enrolled(session, nodes.make_enrolment_token(session), slots=4, version="2")

    node = session.get_one(Node, UUID(second.node_id))
    assert first.node_id == second.node_id
    assert (node.slots, node.version) == (4, "2")


@pytest.mark.parametrize("name", ["", "  ", "n" * 129])
def test_an_agent_needs_a_name_of_reasonable_length(session: Session, name: str) -> None:
    with pytest.raises(Invalid):
        enrolled(session, nodes.make_enrolment_token(session), name)


def test_one_version_apart_is_understood() -> None:
    nodes.refuse_other_versions(VERSION + 1)
    nodes.refuse_other_versions(VERSION - 1)


@pytest.mark.parametrize(("version", "older"), [(VERSION + 2, "server"), (VERSION - 2, "agent")])
def test_the_older_side_is_named_when_versions_are_too_far_apart(version: int, older: str) -> None:
    with pytest.raises(OtherVersion, match=f"upgrade the {older}"):
        nodes.refuse_other_versions(version)


def test_a_heartbeat_keeps_the_steps_of_the_node_alive(database: Database) -> None:
    with database.transaction() as session:
        step = agents.a_taken_step(session)
        agents.be_silent(session, step, 1000)
    assert step.node_id is not None

    stop = heard(database, step.node_id, step.id)

    with database.transaction() as session:
        last = session.get_one(JobStep, step.id).last_heartbeat
    assert stop == []
    assert last is not None
    assert clock.now() - last < timedelta(seconds=500)


def test_a_node_is_told_to_stop_what_is_over_or_not_its_own(database: Database) -> None:
    with database.transaction() as session:
        build = factories.a_build(session)
        cancelled = agents.a_taken_step(session, build)
        cancel.cancel_build(session, build)
        stranger = agents.a_taken_step(session)
    assert cancelled.node_id is not None
    unknown = ids.new()

    stop = heard(database, cancelled.node_id, cancelled.id, stranger.id, unknown)

    assert stop == [cancelled.id, stranger.id, unknown]


def test_a_heartbeat_does_not_speak_for_steps_of_others(database: Database) -> None:
    with database.transaction() as session:
        step = agents.a_taken_step(session)
        agents.be_silent(session, step, 1000)
        other = factories.a_node(session)

    heard(database, other.id, step.id)

    with database.transaction() as session:
        last = session.get_one(JobStep, step.id).last_heartbeat
    assert last is not None
    assert clock.now() - last > timedelta(seconds=500)


def test_a_step_whose_results_are_read_need_not_stop(database: Database) -> None:
    with database.transaction() as session:
        step = agents.a_taken_step(session)
        agents.await_results(session, step)
    assert step.node_id is not None

    assert heard(database, step.node_id, step.id) == []


def test_a_heartbeat_does_not_wait_for_a_step_that_is_being_changed(database: Database) -> None:
    with database.transaction() as session:
        step = agents.a_taken_step(session)
    assert step.node_id is not None

    with database.transaction() as session:
        session.get(JobStep, step.id, with_for_update=True)

        assert heard(database, step.node_id, step.id) == []
