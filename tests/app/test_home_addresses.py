"""One home, started on one port today and on another tomorrow."""

import json
from pathlib import Path

from sqlalchemy.orm import Session
from tests.factories import a_node

from changes.app import bootstrap, starting
from changes.base.settings import Settings


def an_agent_enrolled_with(address: str, home: Path, session: Session) -> None:
    a_node(session, bootstrap.LOCAL_AGENT)
    (home / "agent").mkdir(parents=True)
    (home / "agent" / "identity.json").write_text(json.dumps({"server": address}))


def test_the_local_agent_is_let_in_once(session: Session, tmp_path: Path) -> None:
    an_agent_enrolled_with("http://127.0.0.1:5000", tmp_path, session)

    assert bootstrap.prepare(session, Settings(home=tmp_path)) == {}


def test_on_another_port_the_local_agent_is_let_in_anew(session: Session, tmp_path: Path) -> None:
    an_agent_enrolled_with("http://127.0.0.1:5000", tmp_path, session)

    assert list(bootstrap.prepare(session, Settings(home=tmp_path, port=5001))) == ["CHANGES_ENROL_TOKEN"]


def test_a_link_leads_to_the_system_that_runs_on_the_home(session: Session, tmp_path: Path) -> None:
    bootstrap.prepare(session, Settings(home=tmp_path, port=5001))

    assert starting.running_address(Settings(home=tmp_path)) == "http://127.0.0.1:5001"


def test_a_link_leads_to_the_address_that_was_set(session: Session, tmp_path: Path) -> None:
    bootstrap.prepare(session, Settings(home=tmp_path, port=5001))
    current = Settings(home=tmp_path, base_url="https://changes.example.com")

    assert starting.running_address(current) == "https://changes.example.com"
