"""A reader in front of the pages, and the counting of questions that a page asks."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy import event
from sqlalchemy.orm import Session
from starlette.testclient import TestClient
from tests.factories import olga

from changes.people import users
from changes.web.auth import COOKIE

PAGE = {"Accept": "text/html,application/xhtml+xml"}


@pytest.fixture
def browser(client: TestClient, session: Session) -> TestClient:
    """Signed in by the cookie, and looks for pages."""
    client.headers.update(PAGE)
    client.cookies.set(COOKIE, users.open_session(session, olga(session).id))
    return client


@contextmanager
def counting(session: Session) -> Iterator[list[str]]:
    """The statements that the block sends to the database."""
    told: list[str] = []

    def note(*about: object) -> None:
        told.append(str(about[2]))

    connection = session.connection()
    event.listen(connection, "before_cursor_execute", note)
    try:
        yield told
    finally:
        event.remove(connection, "before_cursor_execute", note)


@pytest.fixture
def questions(browser: TestClient, session: Session) -> Callable[[str], int]:
    """How many a page asks; nothing is known from before."""

    def ask(path: str) -> int:
        session.flush()
        session.expunge_all()
        with counting(session) as told:
            assert browser.get(path).status_code == 200
        return len([each for each in told if each.lstrip().lower().startswith(("select", "with"))])

    return ask
