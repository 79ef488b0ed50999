"""An agent is silent only if somebody could have heard it."""

import psycopg
from sqlalchemy.orm import Session
from tests import factories
from tests.builds import agents

from changes.base import bell
from changes.base.db import Database
from changes.builds import hearing, tasks
from changes.builds.rules import Status


def test_without_a_web_server_nobody_is_silent(session: Session) -> None:
    step = agents.a_taken_step(session, factories.a_build(session))
    agents.begin(session, step)
    agents.be_silent(session, step, 3600)

    tasks.sweep_steps()

    assert step.status == Status.IN_PROGRESS


def test_a_web_server_hears_from_its_first_moment_on(database: Database) -> None:
    with database.transaction() as session:
        assert not hearing.could_hear(session, for_s=0)

    web = psycopg.connect(database.conninfo, application_name=bell.APPLICATION_NAME)
    with web, database.transaction() as session:
        assert hearing.could_hear(session, for_s=0)
        assert not hearing.could_hear(session, for_s=60)
