from datetime import timedelta

import pytest
import time_machine
from sqlalchemy.orm import Session
from tests import factories

from changes.base import clock, ids
from changes.base.errors import NotFound
from changes.base.paging import Page
from changes.people import queries, secrets, tokens
from changes.people.models import Token
from changes.people.rules import Scope


def used_at(session: Session, token: Token) -> object:
    session.refresh(token)
    return token.date_last_used


def test_a_token_is_recognised_by_its_secret_alone(session: Session) -> None:
    made = tokens.create(session, "ci", Scope.WRITE)

    found = tokens.recognise(session, made.secret)

    assert found is not None
    assert (found.id, found.name, found.scope) == (made.id, "ci", Scope.WRITE)
    assert tokens.recognise(session, made.secret + "x") is None
    assert tokens.recognise(session, "") is None


def test_the_secret_is_stored_nowhere(session: Session) -> None:
    made = tokens.create(session, "ci", Scope.READ)

    token = session.get_one(Token, made.id)
    kept = [str(getattr(token, column.key)) for column in Token.__table__.columns]
    assert not any(made.secret in value for value in kept)
    assert token.digest == secrets.digest(made.secret)


def test_two_tokens_are_never_the_same(session: Session) -> None:
    made = {tokens.create(session, "ci", Scope.READ).secret for _ in range(20)}

    assert len(made) == 20
    assert all(secret.startswith("chg_") and len(secret) > 40 for secret in made)


def test_a_revoked_token_opens_nothing(session: Session) -> None:
    made = tokens.create(session, "ci", Scope.ADMIN)

    tokens.revoke(session, made.id)

    assert tokens.recognise(session, made.secret) is None


def test_revoking_again_keeps_the_first_date(session: Session) -> None:
    made = tokens.create(session, "ci", Scope.ADMIN)
    tokens.revoke(session, made.id)
    first = session.get_one(Token, made.id).date_revoked

    tokens.revoke(session, made.id)

    assert session.get_one(Token, made.id).date_revoked == first


def test_a_token_that_is_not_there_cannot_be_revoked(session: Session) -> None:
    with pytest.raises(NotFound):
        tokens.revoke(session, ids.new())


def test_use_is_noted_at_most_once_a_minute(session: Session) -> None:
    """Or every read would be a write."""
    made = tokens.create(session, "ci", Scope.READ)
    token = session.get_one(Token, made.id)
    now = clock.now()
    seen = []
    for seconds in (0, 30, 90):
        with time_machine.travel(now + timedelta(seconds=seconds), tick=False):
            tokens.recognise(session, made.secret)
        seen.append(used_at(session, token))

    assert seen == [now, now, now + timedelta(seconds=90)]


def test_a_token_may_belong_to_a_user(session: Session) -> None:
    olga = factories.olga(session)

    made = tokens.create(session, "mine", Scope.WRITE, user=olga)

    assert session.get_one(Token, made.id).user_id == olga.id


def test_tokens_are_listed_newest_first(session: Session) -> None:
    made = [tokens.create(session, name, Scope.READ).id for name in "abc"]

    assert [token.id for token in queries.tokens(session, Page()).rows] == made[::-1]
