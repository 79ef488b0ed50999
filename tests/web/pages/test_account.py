"""Oneself: taste, password, browsers and tokens."""

import re
from collections.abc import Callable

import pytest
from sqlalchemy.orm import Session
from starlette.testclient import TestClient
from tests.factories import a_token, as_caller, olga
from tests.web.conftest import API, answered

from changes.base import ids
from changes.people import limits, passwords, queries, sessions, tokens, users
from changes.people.models import Token, User
from changes.people.rules import Scope
from changes.web import auth
from changes.web.auth import COOKIE

PASSWORD, NEW = "correct horse battery", "another long password"


@pytest.fixture
def me(browser: TestClient, session: Session) -> User:
    user = users.signed_in(session, browser.cookies[COOKIE])
    assert user is not None
    return user


@pytest.fixture
def ravi(browser: TestClient, session: Session) -> User:
    """Signed in instead of Olga, and no administrator."""
    user = users.create(session, "ravi@example.com")
    browser.cookies.set(COOKIE, users.open_session(session, user.id))
    return user


def send(browser: TestClient, path: str, **values: str) -> tuple[int, str]:
    """A form of the account page; status, and the page it leads to or is drawn again as."""
    proof = auth.proof_for(browser.cookies[COOKIE])
    answer = answered(browser.post(f"/account/{path}", data={"proof": proof, **values}))
    return answer.status_code, answer.headers.get("Location", answer.text)


def error_beside(page: str, name: str) -> str:
    found = re.search(rf'id="{name}-error">.*?</svg>(.*?)</span>', page, re.DOTALL)
    return found[1] if found else ""


def test_it_says_who_one_is_and_may_do(browser: TestClient, me: User, session: Session) -> None:
    as_admin = browser.get("/account/").text
    me.is_admin, me.project_permissions = False, ["web-*"]
    session.flush()
    as_other = browser.get("/account/").text

    assert me.email in as_admin
    assert "You may do everything." in as_admin
    assert "administer the projects called web-*" in as_other


def test_it_asks_a_fixed_number_of_questions(
    browser: TestClient, me: User, session: Session, questions: Callable[[str], int]
) -> None:
    for number in range(20):
        users.open_session(session, me.id)
        tokens.create(session, f"token {number}", Scope.READ, user=me)

    assert questions("/account/") <= 5


def test_a_token_of_nobody_has_no_account(client: TestClient, session: Session) -> None:
    headers = {"Accept": "text/html", **as_caller(a_token(session))}

    assert client.get("/account/", headers=headers).status_code == 403


def test_a_stranger_is_led_to_the_door_and_back(client: TestClient) -> None:
    assert client.get("/account/").headers["Location"] == "/auth/login/?next=%2Faccount%2F"


# --- taste --------------------------------------------------------------------------------


def test_taste_is_kept_with_the_user_and_seen_at_once(browser: TestClient, me: User) -> None:
    told = send(browser, "appearance/", theme="dark", palette="safe", next="/nodes/")

    assert told == (303, "/nodes/")
    assert (me.theme, me.is_colorblind) == ("dark", True)
    assert '<html lang="en" data-theme="dark" data-palette="safe">' in browser.get("/nodes/").text


def test_what_is_left_out_stays_and_nothing_chosen_is_the_systems(browser: TestClient, me: User) -> None:
    send(browser, "appearance/", theme="dark", palette="safe")

    send(browser, "appearance/", theme="")

    assert (me.theme, me.is_colorblind) == ("", True)
    assert '<html lang="en" data-palette="safe">' in browser.get("/account/").text


def test_a_taste_leads_nowhere_else(browser: TestClient, me: User) -> None:
    assert send(browser, "appearance/", theme="dark", next="//evil.example") == (303, "/")


# --- password -----------------------------------------------------------------------------


def test_a_first_password_is_set_and_lets_in(browser: TestClient, me: User, session: Session) -> None:
    status, where = send(browser, "password/", password=NEW, again=NEW)

    assert (status, where) == (303, "/account/")
    assert passwords.check(session, me.email, NEW) is me


def test_changing_it_ends_all_other_sessions(browser: TestClient, me: User, session: Session) -> None:
    passwords.set_password(me, PASSWORD)
    other = users.open_session(session, me.id)

    send(browser, "password/", current=PASSWORD, password=NEW, again=NEW)

    assert users.signed_in(session, other) is None
    assert users.signed_in(session, browser.cookies[COOKIE]) is me
    assert "All other browsers were signed out" in browser.get("/account/").text


@pytest.mark.parametrize(
    ("values", "field", "words"),
    [
        ({"current": "wrong", "password": NEW, "again": NEW}, "current", "not your present password"),
        ({"current": PASSWORD, "password": "short", "again": "short"}, "password", "at least 10"),
        ({"current": PASSWORD, "password": NEW, "again": "else"}, "again", "not the same"),
        ({}, "current", "not your present password"),
    ],
)
def test_what_is_wrong_is_told_beside_its_field(
    browser: TestClient, me: User, values: dict[str, str], field: str, words: str
) -> None:
    passwords.set_password(me, PASSWORD)

    status, page = send(browser, "password/", **values)

    assert status == 400
    assert words in error_beside(page, field)
    assert NEW not in page
    assert passwords.is_match(str(me.password_hash), PASSWORD)


def test_whoever_found_an_open_screen_cannot_guess_for_long(browser: TestClient, me: User) -> None:
    passwords.set_password(me, PASSWORD)
    wrong = {"current": "wrong", "password": NEW, "again": NEW}
    statuses = [send(browser, "password/", **wrong)[0] for _ in range(limits.PASSWORD_OF_ACCOUNT.tries)]

    status, page = send(browser, "password/", current=PASSWORD, password=NEW, again=NEW)

    assert set(statuses) == {400}
    assert status == 429
    assert "Too many tries" in page


# --- sessions -----------------------------------------------------------------------------


def test_browsers_are_listed_and_this_one_is_marked(browser: TestClient, me: User, session: Session) -> None:
    agent = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
    users.open_session(session, me.id, users.Browser(agent, "192.0.2.7"))

    page = browser.get("/account/").text

    assert "Firefox on Linux" in page
    assert "192.0.2.7" in page
    assert page.count("this browser") == 1


def test_one_is_ended_and_then_all_others(browser: TestClient, me: User, session: Session) -> None:
    first, second, third = (users.open_session(session, me.id) for _ in range(3))
    listed = {
        each: row
        for row in sessions.of_user(session, me)
        for each in (first, second, third)
        if sessions.is_of(row, each)
    }

    one = send(browser, f"sessions/{listed[first].id.hex}/end/")
    after_one = [users.signed_in(session, each) for each in (first, second)]
    send(browser, "sessions/others/end/")

    assert one == (303, "/account/")
    assert after_one == [None, me]
    assert [users.signed_in(session, each) for each in (second, third)] == [None, None]
    assert users.signed_in(session, browser.cookies[COOKIE]) is me


def test_those_of_others_are_not_there(browser: TestClient, me: User, session: Session) -> None:
    other = olga(session)
    cookie = users.open_session(session, other.id)
    [row] = sessions.of_user(session, other)

    assert send(browser, f"sessions/{row.id.hex}/end/")[0] == 404
    assert users.signed_in(session, cookie) is other


# --- tokens -------------------------------------------------------------------------------


def secret_on(page: str) -> str:
    [secret] = re.findall(r'<code id="new-token"[^>]*>(chg_[\w-]+)</code>', page)
    return str(secret)


def test_a_token_is_shown_once_and_acts_in_ones_name(
    browser: TestClient, me: User, client: TestClient, session: Session
) -> None:
    status, page = send(browser, "tokens/", name="laptop", scope="write")
    secret = secret_on(page)

    assert status == 201
    assert secret not in browser.get("/account/").text
    told = client.get(f"{API}/auth/", headers={**as_caller(secret), "Accept": "*/*"}).json()
    assert (told["scope"], told["user"]["email"]) == ("write", me.email)


def test_nobody_gives_away_more_than_they_have(browser: TestClient, ravi: User, session: Session) -> None:
    offered = browser.get("/account/").text
    status, page = send(browser, "tokens/", name="mighty", scope="admin")

    assert 'value="admin"' not in offered
    assert (status, error_beside(page, "scope")) == (400, "Choose one of these.")
    assert session.query(Token).count() == 0


@pytest.mark.parametrize("name", ["", "  ", "x" * 129])
def test_a_token_without_a_purpose_is_asked_for_one(browser: TestClient, me: User, name: str) -> None:
    status, page = send(browser, "tokens/", name=name, scope="write")

    assert status == 400
    assert "what it is for" in error_beside(page, "name")
    assert re.search(r'value="write" checked', page)


def test_revoking_asks_first_and_is_for_good(browser: TestClient, me: User, session: Session) -> None:
    made = tokens.create(session, "laptop", Scope.READ, user=me)
    where = f"tokens/{made.id.hex}/revoke/"

    question = browser.get(f"/account/{where}").text
    before = tokens.recognise(session, made.secret)
    told = send(browser, where)

    assert "Revoke the token laptop?" in question
    assert before is not None
    assert told == (303, "/account/")
    assert tokens.recognise(session, made.secret) is None
    assert queries.tokens_of(session, me) == []


@pytest.mark.parametrize("of_nobody", [True, False])
def test_tokens_of_others_are_not_there(
    browser: TestClient, ravi: User, session: Session, *, of_nobody: bool
) -> None:
    owner = None if of_nobody else olga(session)
    made = tokens.create(session, "foreign", Scope.READ, user=owner)

    statuses = [
        browser.get(f"/account/tokens/{each}/revoke/").status_code for each in (made.id.hex, ids.new().hex)
    ]

    assert statuses == [404, 404]
    assert send(browser, f"tokens/{made.id.hex}/revoke/")[0] == 404
    assert tokens.recognise(session, made.secret) is not None


def test_no_form_acts_without_its_proof(browser: TestClient, me: User) -> None:
    paths = ["appearance/", "password/", "sessions/others/end/", "tokens/", f"sessions/{ids.new().hex}/end/"]

    assert {browser.post(f"/account/{each}").status_code for each in paths} == {403}
