from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from sqlalchemy.orm import Session
from tests import factories

from changes.base import clock, db
from changes.base.errors import Conflict, Forbidden, Invalid, NotFound
from changes.base.paging import Page, Position
from changes.people import accounts, expiry, queries, secrets, sessions, tokens, users, visits
from changes.people.models import ProviderVisit, SignInLink, Token, User, WebSession
from changes.people.queries import Standing, TokenFilter, UserFilter
from changes.people.rules import Scope
from changes.people.visits import Kept


def ravi(session: Session) -> User:
    return users.create(session, f"ravi{next(factories.numbers)}@example.com")


def addresses(session: Session, page: Page, wanted: UserFilter) -> list[str]:
    return [each.email.partition("@")[0] for each in queries.users(session, page, wanted).rows]


def test_rights_are_given_and_taken(session: Session) -> None:
    factories.olga(session)
    user = ravi(session)

    accounts.set_rights(session, user, is_admin=True, patterns=[" web-* ", "", "api", "api"])
    accounts.set_rights(session, user, is_admin=False, patterns=user.project_permissions)

    assert (user.is_admin, user.project_permissions) == (False, ["web-*", "api"])


@pytest.mark.parametrize(
    "patterns", [["two words"], ["x" * 65], ["a\tb"], ["x"] * 0 + [str(n) for n in range(51)]]
)
def test_patterns_that_fit_no_project_are_refused(session: Session, patterns: list[str]) -> None:
    with pytest.raises(Invalid) as refused:
        accounts.set_rights(session, ravi(session), is_admin=False, patterns=patterns)

    assert refused.value.problems == ["patterns"]


def test_the_last_administrator_stays_one(session: Session) -> None:
    olga, disabled = factories.olga(session), factories.olga(session)
    accounts.disable(session, disabled)

    with pytest.raises(Conflict):
        accounts.set_rights(session, olga, is_admin=False, patterns=[])
    with pytest.raises(Conflict):
        accounts.disable(session, olga)
    with pytest.raises(Conflict):
        accounts.remove(session, olga)

    assert olga.is_admin


def test_two_administrators_cannot_take_each_others_rights_at_once(database: db.Database) -> None:
    with database.transaction() as session:
        both = [factories.olga(session).id for _ in range(2)]

    def demote(number: int) -> bool:
        try:
            with database.transaction() as session:
                user = session.get_one(User, both[number])
                accounts.set_rights(session, user, is_admin=False, patterns=[])
        except Conflict:
            return False
        return True

    with ThreadPoolExecutor(2) as threads:
        assert sorted(threads.map(demote, range(2))) == [False, True]


def test_a_disabled_user_is_out_at_once_and_back_when_enabled(session: Session) -> None:
    factories.olga(session)
    user = ravi(session)
    cookie = users.open_session(session, user.id)
    token = tokens.create(session, "mine", Scope.WRITE, user=user)
    link = users.make_link(session, user)

    accounts.disable(session, user)

    assert users.signed_in(session, cookie) is None
    assert tokens.recognise(session, token.secret) is None
    with pytest.raises(Forbidden, match="disabled"), session.begin_nested():
        users.use_link(session, link)
    with pytest.raises(Forbidden, match="disabled"):
        users.at_first_sight(session, user.email)
    accounts.enable(session, user)
    assert tokens.recognise(session, token.secret) is not None
    assert users.signed_in(session, users.use_link(session, link)) is user


def test_a_removed_user_leaves_no_key_behind(session: Session) -> None:
    factories.olga(session)
    user = ravi(session)
    tokens.create(session, "mine", Scope.WRITE, user=user)
    users.open_session(session, user.id)

    accounts.remove(session, user)

    assert session.query(Token).count() == 0
    assert session.query(WebSession).count() == 0
    assert session.query(User).filter(User.email == user.email).count() == 0


def test_somebody_vouched_for_is_made_once(session: Session) -> None:
    first = users.at_first_sight(session, "New@Example.com")
    again = users.at_first_sight(session, "new@example.com")

    assert first is again
    assert (first.is_admin, first.password_hash, first.project_permissions) == (False, None, [])


def test_a_theme_that_does_not_exist_is_refused(session: Session) -> None:
    with pytest.raises(Invalid):
        accounts.set_taste(factories.olga(session), theme="pink", is_colorblind=False)


# --- sessions -----------------------------------------------------------------------------


def test_live_sessions_are_listed_the_one_used_last_first(session: Session) -> None:
    olga = factories.olga(session)
    cookies = [users.open_session(session, olga.id) for _ in range(3)]
    users.open_session(session, factories.olga(session).id)
    session.query(WebSession).filter(WebSession.digest == secrets.digest(cookies[2])).update(
        {WebSession.date_expires: clock.now()}
    )

    listed = sessions.of_user(session, olga)

    assert [sessions.is_of(each, cookies[1]) for each in listed] == [True, False]


def test_nobody_ends_a_session_of_somebody_else(session: Session) -> None:
    olga, other = factories.olga(session), factories.olga(session)
    cookie = users.open_session(session, other.id)
    [foreign] = sessions.of_user(session, other)

    with pytest.raises(NotFound):
        sessions.end(session, olga, foreign.id)

    assert users.signed_in(session, cookie) is other


def test_all_others_are_ended_and_counted(session: Session) -> None:
    olga = factories.olga(session)
    here, *others = [users.open_session(session, olga.id) for _ in range(3)]

    assert sessions.end_others(session, olga, here) == 2

    assert users.signed_in(session, here) is olga
    assert [users.signed_in(session, each) for each in others] == [None, None]


def test_what_is_over_goes_away(session: Session) -> None:
    olga = factories.olga(session)
    users.make_link(session, olga)
    users.open_session(session, olga.id)
    visits.begin(session, "state", Kept("nonce", "verifier", "/"))
    session.flush()
    assert expiry.clean(session) == 0
    for kind in (SignInLink, WebSession, ProviderVisit):
        session.query(kind).update({kind.date_expires: clock.now() - timedelta(seconds=1)})

    assert expiry.clean(session) == 3


# --- lists --------------------------------------------------------------------------------


@pytest.fixture
def abcd(session: Session) -> None:
    for name in "dbca":
        users.create(session, f"{name}@example.com", is_admin=name in "ab")


@pytest.mark.usefixtures("abcd")
def test_users_are_walked_through_by_address_both_ways(session: Session) -> None:
    first = queries.users(session, Page(size=2, position=Position()))
    second = queries.users(session, Page(size=2, position=Position(after=first.rows[-1].id)))
    back = queries.users(session, Page(size=2, position=Position(before=second.rows[0].id)))

    assert [each.email[0] for each in (*first.rows, *second.rows)] == ["a", "b", "c", "d"]
    assert (first.has_previous, first.has_next) == (False, True)
    assert (second.has_previous, second.has_next) == (True, False)
    assert [each.email[0] for each in back.rows] == ["a", "b"]
    assert (back.has_previous, back.has_next) == (False, True)


@pytest.mark.usefixtures("abcd")
def test_users_are_found_by_words_and_standing(session: Session) -> None:
    accounts.disable(session, users.by_email(session, "c@example.com"))

    assert addresses(session, Page(), UserFilter("B@EX")) == ["b"]
    assert addresses(session, Page(), UserFilter("%")) == []
    assert addresses(session, Page(), UserFilter(standing=Standing.ADMIN)) == ["a", "b"]
    assert addresses(session, Page(), UserFilter(standing=Standing.OTHER)) == ["c", "d"]
    assert addresses(session, Page(), UserFilter(standing=Standing.DISABLED)) == ["c"]
    assert addresses(session, Page(), UserFilter(newest_first=True)) == ["a", "c", "b", "d"]


def test_tokens_are_found_by_name_owner_and_state(session: Session) -> None:
    user = users.create(session, "owner@example.com")
    tokens.create(session, "Laptop", Scope.READ, user=user)
    old = tokens.create(session, "robot", Scope.READ)
    tokens.revoke(session, old.id)
    session.flush()

    def names(wanted: TokenFilter) -> list[str]:
        return [each.name for each in queries.tokens(session, Page(), wanted).rows]

    assert names(TokenFilter(text="lap")) == ["Laptop"]
    assert names(TokenFilter(text="OWNER@")) == ["Laptop"]
    assert names(TokenFilter(is_live=False)) == ["robot"]
    assert names(TokenFilter(is_live=True)) == ["Laptop"]
    assert [each.name for each in queries.tokens_of(session, user)] == ["Laptop"]
