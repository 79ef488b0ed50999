from datetime import timedelta

import pytest
import time_machine
from sqlalchemy.orm import Session
from tests import factories

from changes.base import clock, ids
from changes.base.errors import Conflict, Forbidden, Invalid, NotFound
from changes.base.paging import Page
from changes.people import queries, users


def test_a_user_is_known_by_a_lower_case_address(session: Session) -> None:
    olga = users.create(session, " Olga@Example.com ", is_admin=True)

    assert (olga.email, olga.is_admin) == ("olga@example.com", True)
    assert users.by_email(session, "OLGA@example.com") is olga


def test_an_address_belongs_to_one_user(session: Session) -> None:
    users.create(session, "olga@example.com")

    with pytest.raises(Conflict):
        users.create(session, "Olga@example.com")


@pytest.mark.parametrize(
    "email",
    [
        "",
        "olga",
        "@",
        "olga@",
        "@example.com",
        "a@b@c",
        "ol ga@example.com",
        "o\x07@b.c",
        "o" * 250 + "@example.com",
    ],
)
def test_what_is_no_address_makes_no_user(session: Session, email: str) -> None:
    with pytest.raises(Invalid):
        users.create(session, email)


def test_an_unknown_user_is_not_found(session: Session) -> None:
    with pytest.raises(NotFound):
        users.by_email(session, "nobody@example.com")
    with pytest.raises(NotFound):
        queries.user(session, ids.new())


def test_users_are_listed_by_address(session: Session) -> None:
    for email in ("b@example.com", "a@example.com"):
        users.create(session, email)

    assert [user.email[0] for user in queries.users(session, Page()).rows] == ["a", "b"]


def test_an_author_is_made_once_and_keeps_the_first_name(session: Session) -> None:
    first = users.author(session, "Ann", "ann@example.com")
    again = users.author(session, "Anna", "ann@example.com")

    assert first is again
    assert again.name == "Ann"


def test_a_link_signs_its_user_in(session: Session) -> None:
    olga = factories.olga(session)

    cookie = users.use_link(session, users.make_link(session, olga))

    assert users.signed_in(session, cookie) is olga


def test_a_link_works_once(session: Session) -> None:
    link = users.make_link(session, factories.olga(session))
    users.use_link(session, link)

    with pytest.raises(Forbidden):
        users.use_link(session, link)


def test_a_link_works_for_an_hour(session: Session) -> None:
    link = users.make_link(session, factories.olga(session))

    with time_machine.travel(clock.now() + users.LINK_VALID), pytest.raises(Forbidden):
        users.use_link(session, link)


@pytest.mark.parametrize("secret", ["", "chg_nonsense"])
def test_a_made_up_secret_signs_nobody_in(session: Session, secret: str) -> None:
    with pytest.raises(Forbidden):
        users.use_link(session, secret)
    assert users.signed_in(session, secret) is None


def test_the_secret_of_a_link_is_not_that_of_the_session(session: Session) -> None:
    link = users.make_link(session, factories.olga(session))

    cookie = users.use_link(session, link)

    assert cookie != link
    assert users.signed_in(session, link) is None


def test_a_session_ends_four_weeks_after_its_last_use(session: Session) -> None:
    cookie = users.open_session(session, factories.olga(session).id)
    last_use = clock.now() + users.SESSION_VALID - timedelta(minutes=1)

    with time_machine.travel(last_use):
        assert users.signed_in(session, cookie) is not None
    session.flush()
    with time_machine.travel(last_use + users.SESSION_VALID - timedelta(minutes=1)):
        assert users.signed_in(session, cookie) is not None
    session.flush()
    with time_machine.travel(last_use + 2 * users.SESSION_VALID + timedelta(minutes=1)):
        assert users.signed_in(session, cookie) is None


def test_use_of_a_session_is_written_seldom(session: Session) -> None:
    """Or every read would be a write."""
    cookie = users.open_session(session, factories.olga(session).id)
    session.flush()

    with time_machine.travel(clock.now() + users.SESSION_USED_EXACT_TO - timedelta(minutes=1)):
        users.signed_in(session, cookie)

    assert not session.dirty


def test_signing_out_ends_one_session(session: Session) -> None:
    olga = factories.olga(session)
    here, there = users.open_session(session, olga.id), users.open_session(session, olga.id)

    users.close_session(session, here)

    assert users.signed_in(session, here) is None
    assert users.signed_in(session, there) is olga
