"""The administrators' word: said in the form, shown above every page, taken away again."""

import pytest
from sqlalchemy.orm import Session
from starlette.testclient import TestClient
from tests.factories import olga
from tests.web.conftest import Live, answered, wait_until
from tests.web.pages.conftest import PAGE
from tests.web.pages.filling import fill_in, forms, send

from changes.base.db import Database
from changes.people import messages, users
from changes.web.auth import COOKIE

FORM = "/admin/message/"
WORDS = "Agents pause at noon."


def signed_in(live: Live) -> TestClient:
    with live.database.transaction() as session:
        cookie = users.open_session(session, olga(session).id)
    live.http.headers.update(PAGE)
    live.http.cookies.set(COOKIE, cookie)
    return live.http


def banner(browser: TestClient) -> str:
    return answered(browser.get("/design")).text.partition('class="banner"')[2].partition("</div>")[0]


def say(database: Database, text: str) -> None:
    with database.transaction() as session:
        messages.say(session, text, None)


def test_what_is_said_stands_above_every_page_with_a_name(live: Live) -> None:
    browser = signed_in(live)

    fill_in(browser, FORM, message=WORDS)

    wait_until(lambda: WORDS in banner(browser))
    assert "@example.com" in banner(browser)


def test_what_is_taken_away_is_gone(live: Live) -> None:
    browser = signed_in(live)
    say(live.database, WORDS)
    wait_until(lambda: WORDS in banner(browser))

    (form,) = forms(answered(browser.get(FORM)).text, FORM)
    send(browser, form, clear="yes")

    wait_until(lambda: WORDS not in banner(browser))


def test_the_form_shows_what_is_said_now(browser: TestClient, session: Session) -> None:
    messages.say(session, WORDS, None)

    (form,) = forms(answered(browser.get(FORM)).text, FORM)

    assert form.values["message"] == WORDS


def test_a_message_that_is_too_long_is_refused_and_kept_in_the_form(
    browser: TestClient, session: Session
) -> None:
    answer = fill_in(browser, FORM, message="m" * 501)

    assert (answer.status_code, "at most 500 characters" in answer.text) == (400, True)
    assert "m" * 501 in answer.text
    assert messages.current(session) is None


@pytest.mark.parametrize("text", ["", " \n "])
def test_an_empty_message_is_none(session: Session, text: str) -> None:
    messages.say(session, WORDS, None)

    messages.say(session, text, None)

    assert messages.current(session) is None


def test_there_is_one_message(session: Session) -> None:
    for text in ("first", "second"):
        messages.say(session, text, None)

    said = messages.current(session)
    assert said is not None
    assert said.message == "second"


def test_a_message_is_only_text(live: Live) -> None:
    browser = signed_in(live)

    say(live.database, "<script>alert(1)</script>")

    wait_until(lambda: "&lt;script&gt;" in banner(browser))


def test_only_administrators_speak_to_everybody(browser: TestClient, session: Session) -> None:
    ravi = users.create(session, "ravi@example.com")
    browser.cookies.set(COOKIE, users.open_session(session, ravi.id))

    assert browser.get(FORM).status_code == 403
