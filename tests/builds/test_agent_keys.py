"""Keys of agents: replaced without a gap, taken away at once; and the tokens of steps."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import update
from tests import factories
from tests.plain_sql import asked

from changes.base import clock, ids, process
from changes.base.db import Database
from changes.base.settings import Settings
from changes.builds import agent_keys, machines, nodes, offers, recipes, step_tokens
from changes.builds.models import Node
from changes.builds.rules import ReplaceLimits
from changes.protocol import Enrolled, Enrolment


@pytest.fixture
def enrolled(database: Database) -> Enrolled:
    with database.transaction() as session:
        return nodes.enrol(session, Enrolment(token=nodes.make_enrolment_token(session), name="n1"))


def is_known(database: Database, secret: str) -> bool:
    return asked(database, lambda connection: nodes.recognise(connection, secret)) is not None


def another_for(database: Database, enrolled: Enrolled) -> str:
    with database.transaction() as session:
        return agent_keys.next_for(session, UUID(enrolled.node_id))


def node_of(database: Database, enrolled: Enrolled) -> Node:
    with database.transaction() as session:
        return session.get_one(Node, UUID(enrolled.node_id))


def test_both_keys_are_good_while_the_new_one_is_taken_over(database: Database, enrolled: Enrolled) -> None:
    new = another_for(database, enrolled)

    good = [is_known(database, key) for key in (enrolled.token, new, enrolled.token, new)]

    assert good == [True] * 4


def test_the_old_key_ends_some_minutes_after_the_new_one_was_used(
    database: Database, enrolled: Enrolled
) -> None:
    new = another_for(database, enrolled)
    is_known(database, new)

    with database.transaction() as session:
        session.execute(update(Node).values(former_token_until=clock.now() - timedelta(seconds=1)))

    assert (is_known(database, enrolled.token), is_known(database, new)) == (False, True)


def test_a_new_key_that_never_arrived_changes_nothing(database: Database, enrolled: Enrolled) -> None:
    lost, arrived = another_for(database, enrolled), another_for(database, enrolled)

    assert is_known(database, enrolled.token)
    assert is_known(database, arrived)
    assert not is_known(database, lost)


def test_a_new_key_is_due_when_somebody_asks_for_it_and_then_no_more(
    database: Database, enrolled: Enrolled
) -> None:
    with database.transaction() as session:
        agent_keys.ask_for_another(session, session.get_one(Node, UUID(enrolled.node_id)))
    was_due = agent_keys.is_due(node_of(database, enrolled))

    is_known(database, another_for(database, enrolled))

    assert (was_due, agent_keys.is_due(node_of(database, enrolled))) == (True, False)


def test_a_new_key_is_due_after_some_months(
    settings: Settings, enrolled: Enrolled, database: Database
) -> None:
    process.settings.set(settings)
    node = node_of(database, enrolled)
    assert node.date_token is not None

    is_due_now = agent_keys.is_due(node)
    node.date_token -= timedelta(days=settings.agent_key_max_days + 1)

    assert (is_due_now, agent_keys.is_due(node)) == (False, True)


def test_revoking_takes_every_key_away_and_the_steps(database: Database, enrolled: Enrolled) -> None:
    new = another_for(database, enrolled)
    is_known(database, new)
    newest = another_for(database, enrolled)
    with database.transaction() as session:
        node = session.get_one(Node, UUID(enrolled.node_id))
        step = factories.give_to(session, factories.steps_of(session, factories.a_build(session))[0], node)

        taken = machines.revoke(session, node, ReplaceLimits(2, 2))

    assert taken == 1
    assert step.is_finished
    assert [is_known(database, key) for key in (enrolled.token, new, newest)] == [False] * 3


def test_a_revoked_agent_gets_no_new_key(database: Database, enrolled: Enrolled) -> None:
    with database.transaction() as session:
        agent_keys.revoke(session, session.get_one(Node, UUID(enrolled.node_id)))

    assert not is_known(database, another_for(database, enrolled))


def test_the_token_of_a_step_names_it(settings: Settings) -> None:
    process.settings.set(settings)
    step_id = ids.new()

    assert step_tokens.step_of(step_tokens.make(step_id)) == step_id


def test_a_token_of_a_step_cannot_be_made_up(settings: Settings) -> None:
    process.settings.set(settings)
    token, other = step_tokens.make(ids.new()), ids.new()
    _, _, proof = token.partition(".")

    made_up = [
        f"{step_tokens.PREFIX}{other.hex}.{proof}",
        f"{token}x",
        token[:-1],
        "chs_",
        "chs_x.y",
        "chs_ü",
    ]

    assert [step_tokens.step_of(each) for each in made_up] == [None] * len(made_up)


def test_commands_get_the_token_of_their_step_where_the_plan_says_so(settings: Settings) -> None:
    process.settings.set(settings)
    wanted = recipes.read(recipes.DEFAULT_IMPLEMENTATION, {"commands": ["true"], "step_token": True})

    given = offers.for_commands(dict(wanted.data), "the token")

    assert given == {"CHANGES_STEP_TOKEN": "the token", "CHANGES_SERVER": settings.base_url}


@pytest.mark.parametrize("data", [{}, {"step_token": False}])
def test_commands_get_no_token_where_the_plan_does_not_say_so(data: dict[str, Any]) -> None:
    assert offers.for_commands(data, "the token") == {}
