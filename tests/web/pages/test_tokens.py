"""All tokens, for administrators."""

import re
from collections.abc import Callable

import pytest
from sqlalchemy.orm import Session
from starlette.testclient import TestClient
from tests.web.conftest import answered

from changes.people import tokens, users
from changes.people.models import Token
from changes.people.rules import Scope
from changes.web import auth
from changes.web.auth import COOKIE


def send(browser: TestClient, path: str, **values: str) -> tuple[int, str]:
    proof = auth.proof_for(browser.cookies[COOKIE])
    answer = answered(browser.post(f"/tokens/{path}", data={"proof": proof, **values}))
    return answer.status_code, answer.headers.get("Location", answer.text)


@pytest.fixture
def three(browser: TestClient, session: Session) -> None:
    owner = users.create(session, "ravi@example.com")
    tokens.create(session, "laptop", Scope.WRITE, user=owner)
    tokens.create(session, "nightly", Scope.READ)
    tokens.revoke(session, tokens.create(session, "forgotten", Scope.ADMIN).id)
    session.flush()


def test_without_any_it_says_what_they_are_for(browser: TestClient) -> None:
    assert "No token yet" in browser.get("/tokens/").text


@pytest.mark.usefixtures("three")
def test_those_that_open_something_are_shown_with_their_owners(browser: TestClient) -> None:
    page = browser.get("/tokens/").text

    assert all(word in page for word in ("laptop", "ravi@example.com", "nightly", "nobody", "never"))
    assert "forgotten" not in page


@pytest.mark.usefixtures("three")
def test_they_are_found_by_words_and_state(browser: TestClient) -> None:
    by_owner = browser.get("/tokens/?query=ravi@").text
    revoked = browser.get("/tokens/?state=revoked").text
    nothing = browser.get("/tokens/?query=zz").text

    assert ("laptop" in by_owner, "<b>nightly" in by_owner) == (True, False)
    assert ("forgotten" in revoked, "laptop" in revoked) == (True, False)
    assert "No token is like that" in nothing


def test_the_list_asks_a_fixed_number_of_questions(
    browser: TestClient, session: Session, questions: Callable[[str], int]
) -> None:
    for number in range(30):
        owner = users.create(session, f"owner{number}@example.com")
        tokens.create(session, f"token {number}", Scope.READ, user=owner)

    assert questions("/tokens/") <= 3


def test_a_long_list_has_pages(browser: TestClient, session: Session) -> None:
    for number in range(51):
        tokens.create(session, f"token {number:02}", Scope.READ)

    first = browser.get("/tokens/").text
    [older] = re.findall(r'href="(\?&amp;after=\w+)"', first)

    assert "token 01" in first
    assert "token 00" not in first
    assert "token 00" in browser.get(f"/tokens/{older.replace('&amp;', '&')}").text


def test_one_is_made_for_a_program_and_shown_once(browser: TestClient, session: Session) -> None:
    status, page = send(browser, "", name="chat bot", scope="admin")
    [secret] = re.findall(r'<code id="new-token"[^>]*>(chg_[\w-]+)</code>', page)

    assert status == 201
    assert secret not in browser.get("/tokens/").text
    made = tokens.recognise(session, secret)
    assert made is not None
    assert (made.name, made.scope, made.user_id) == ("chat bot", Scope.ADMIN, None)


@pytest.mark.parametrize(("name", "scope", "beside"), [("", "read", "name"), ("x", "agent", "scope")])
def test_what_is_wrong_is_told_beside_its_field(
    browser: TestClient, session: Session, name: str, scope: str, beside: str
) -> None:
    status, page = send(browser, "", name=name, scope=scope)

    assert status == 400
    assert f'id="{beside}-error"' in page
    assert session.query(Token).count() == 0


def test_revoking_asks_first(browser: TestClient, session: Session) -> None:
    made = tokens.create(session, "nightly", Scope.READ)
    where = f"{made.id.hex}/revoke/"

    question = browser.get(f"/tokens/{where}").text
    told = send(browser, where)

    assert "Revoke the token nightly?" in question
    assert "it was never used" in question
    assert told == (303, "/tokens/")
    assert tokens.recognise(session, made.secret) is None
