"""Who may sign in: found, added, given rights, kept out."""

import re
from collections.abc import Callable

import pytest
from sqlalchemy.orm import Session
from starlette.testclient import TestClient
from tests.web.conftest import answered

from changes.people import accounts, tokens, users
from changes.people.models import User
from changes.people.rules import Scope
from changes.web import auth
from changes.web.auth import COOKIE


@pytest.fixture
def ravi(browser: TestClient, session: Session) -> User:
    return users.create(session, "ravi@example.com")


def send(browser: TestClient, path: str, **values: str) -> tuple[int, str]:
    proof = auth.proof_for(browser.cookies[COOKIE])
    answer = answered(browser.post(f"/users/{path}", data={"proof": proof, **values}))
    return answer.status_code, answer.headers.get("Location", answer.text)


def link_on(page: str) -> str:
    [link] = re.findall(r'<code id="link"[^>]*>http://changes.test(/auth/link/[^<]+)</code>', page)
    return str(link)


def address_of(user: User) -> str:
    return f"{user.id.hex}/"


def test_only_administrators_look_and_are_led_here(browser: TestClient, ravi: User, session: Session) -> None:
    as_admin = browser.get("/users/")
    browser.cookies.set(COOKIE, users.open_session(session, ravi.id))
    as_other = [
        browser.get(path) for path in ("/users/", "/users/new/", f"/users/{ravi.id.hex}/", "/tokens/")
    ]

    assert as_admin.status_code == 200
    assert 'href="/users/"' in as_admin.text
    assert {each.status_code for each in as_other} == {403}
    assert 'href="/users/"' not in browser.get("/account/").text


def test_people_are_found(browser: TestClient, ravi: User, session: Session) -> None:
    users.create(session, "kim@example.com")
    accounts.set_rights(session, ravi, is_admin=False, patterns=["web-*"])

    page = browser.get("/users/?query=RAVI").text
    nobody = browser.get("/users/?query=zz").text

    assert "web-*" in page
    assert "kim@example.com" not in page
    assert "Nobody is like that" in nobody


def test_a_long_list_has_pages(browser: TestClient, session: Session) -> None:
    for number in range(60):
        users.create(session, f"person{number:02}@example.com")

    first = browser.get("/users/?query=person").text
    [onward] = re.findall(r'href="(\?query=person&amp;after=\w+)"', first)
    second = browser.get("/users/" + onward.replace("&amp;", "&")).text

    assert "person49@" in first
    assert "person50@" not in first
    assert "person50@" in second
    assert "before=" in second


def test_the_list_asks_a_fixed_number_of_questions(
    browser: TestClient, session: Session, questions: Callable[[str], int]
) -> None:
    for number in range(40):
        users.create(session, f"person{number:02}@example.com")

    assert questions("/users/") <= 3


def test_somebody_new_gets_a_link_that_signs_in(browser: TestClient, session: Session) -> None:
    status, page = send(browser, "", email="Kim@Example.com", patterns="web-*\r\napi\r\n")
    link = link_on(page)
    browser.cookies.clear()
    browser.post(link)

    made = users.by_email(session, "kim@example.com")
    assert status == 201
    assert (made.is_admin, made.project_permissions) == (False, ["web-*", "api"])
    assert users.signed_in(session, browser.cookies[COOKIE]) is made


@pytest.mark.parametrize(
    ("values", "beside"),
    [
        ({"email": "kim"}, "email"),
        ({"email": "ravi@example.com"}, "email"),
        ({"email": "kim@example.com", "patterns": "x" * 65}, "patterns"),
    ],
)
def test_what_is_wrong_is_told_beside_its_field_with_what_was_typed(
    browser: TestClient, ravi: User, session: Session, values: dict[str, str], beside: str
) -> None:
    status, page = send(browser, "", admin="yes", **values)

    assert status == 400
    assert f'id="{beside}-error"' in page
    assert f'value="{values["email"]}"' in page
    assert re.search(r'name="admin"[^>]* checked', page)
    assert session.query(User).filter(User.email == "kim@example.com").count() == 0


def test_rights_are_given_and_taken(browser: TestClient, ravi: User) -> None:
    given = send(browser, address_of(ravi), admin="yes", patterns="a b")
    was_admin = ravi.is_admin
    send(browser, address_of(ravi), patterns="a")

    assert given == (303, f"/users/{ravi.id.hex}/")
    assert was_admin
    assert (ravi.is_admin, ravi.project_permissions) == (False, ["a"])


def test_the_only_administrator_cannot_leave(browser: TestClient, session: Session) -> None:
    me = users.signed_in(session, browser.cookies[COOKIE])
    assert me is not None

    told = [
        send(browser, address_of(me)),
        send(browser, f"{address_of(me)}disable/"),
        send(browser, f"{address_of(me)}remove/"),
    ]

    assert [status for status, _ in told] == [400, 400, 400]
    assert all("is the only administrator" in page for _, page in told)
    assert me.is_admin


def test_a_link_is_made_for_somebody(browser: TestClient, ravi: User) -> None:
    status, page = send(browser, f"{address_of(ravi)}link/")

    assert status == 201
    assert link_on(page) not in browser.get(f"/users/{ravi.id.hex}/").text


def test_disabling_asks_first_and_can_be_undone(browser: TestClient, ravi: User, session: Session) -> None:
    made = tokens.create(session, "mine", Scope.READ, user=ravi)
    where = f"{address_of(ravi)}disable/"

    question = browser.get(f"/users/{where}").text
    asked_only = ravi.date_disabled
    send(browser, where)
    page = browser.get(f"/users/{ravi.id.hex}/").text
    no_link = send(browser, f"{address_of(ravi)}link/")
    shut_out = tokens.recognise(session, made.secret)
    send(browser, f"{address_of(ravi)}enable/")

    assert "Disable ravi@example.com?" in question
    assert asked_only is None
    assert "Enable again" in page
    assert no_link[0] == 400
    assert shut_out is None
    assert tokens.recognise(session, made.secret) is not None


def test_removing_asks_first_and_is_for_good(browser: TestClient, ravi: User, session: Session) -> None:
    where = f"{address_of(ravi)}remove/"
    tokens.create(session, "mine", Scope.READ, user=ravi)

    question = browser.get(f"/users/{where}").text
    told = send(browser, where)

    assert "its 1 token" in question
    assert told == (303, "/users/")
    assert browser.get(f"/users/{ravi.id.hex}/").status_code == 404


def test_one_person_is_shown_in_a_fixed_number_of_questions(
    browser: TestClient, ravi: User, session: Session, questions: Callable[[str], int]
) -> None:
    for number in range(20):
        users.open_session(session, ravi.id)
        tokens.create(session, f"token {number}", Scope.READ, user=ravi)

    assert questions(f"/users/{ravi.id.hex}/") <= 5
