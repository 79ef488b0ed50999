"""The page where administrators make the addresses for schedulers and agents of the original."""

import re

import httpx
from sqlalchemy.orm import Session
from starlette.testclient import TestClient
from tests.web.conftest import answered

from changes.base import ids
from changes.builds.original import keys
from changes.builds.original.models import KeyUse
from changes.web import auth
from changes.web.auth import COOKIE

HERE = "/nodes/original/"


def send(browser: TestClient, path: str = "", **values: str) -> httpx.Response:
    proof = auth.proof_for(browser.cookies[COOKIE])
    return answered(browser.post(f"{HERE}{path}", data={"proof": proof, **values}))


def test_without_any_the_page_says_who_needs_one(browser: TestClient) -> None:
    assert "No address yet" in browser.get(HERE).text


def test_an_address_is_shown_once(browser: TestClient, session: Session) -> None:
    answer = send(browser, name="mesos <1>", use="allocate")

    found = re.search(r"http://changes\.test/original/(chg_[\w-]+)", answer.text)
    assert answer.status_code == 201
    assert found is not None
    assert keys.open_with(session, found[1]).use == KeyUse.ALLOCATE
    page = browser.get(HERE).text
    assert "mesos &lt;1&gt;" in page
    assert found[1] not in page


def test_what_makes_no_sense_is_said_beside_the_field(browser: TestClient) -> None:
    unnamed, odd = send(browser, name=" "), send(browser, name="mesos", use="everything")

    assert (unnamed.status_code, odd.status_code) == (400, 400)
    assert "which scheduler it is for" in unnamed.text
    assert "who will use it" in odd.text


def test_an_address_is_revoked_after_a_question(browser: TestClient, session: Session) -> None:
    made = keys.make(session, "mesos", KeyUse.AGENT)
    where = f"{made.id.hex}/revoke/"

    question = browser.get(f"{HERE}{where}").text
    answer = send(browser, where)

    assert "Revoke the address of mesos?" in question
    assert answer.headers["Location"] == HERE
    assert keys.find(session, made.id).date_revoked is not None
    assert browser.get(f"{HERE}{ids.new().hex}/revoke/").status_code == 404
