"""What a browser sends in the name of who is signed in: only what a page of ours asked for."""

import pytest
from sqlalchemy.orm import Session
from starlette.testclient import TestClient
from tests.factories import olga
from tests.web.conftest import API

from changes.people import users
from changes.web import auth

TOKEN = {"name": "from a form", "scope": "read"}


@pytest.fixture
def cookie(client: TestClient, session: Session) -> str:
    cookie = users.open_session(session, olga(session).id)
    client.cookies.set(auth.COOKIE, cookie)
    return cookie


def test_a_form_with_its_proof_is_acted_on(client: TestClient, cookie: str) -> None:
    answer = client.post(f"{API}/tokens/", data=TOKEN | {"proof": auth.proof_for(cookie)})

    assert answer.status_code == 201


def test_a_script_of_ours_brings_the_proof_in_a_header(client: TestClient, cookie: str) -> None:
    headers = {auth.PROOF_HEADER: auth.proof_for(cookie)}

    assert client.post(f"{API}/tokens/", data=TOKEN, headers=headers).status_code == 201


@pytest.mark.parametrize("proof", ["", "wrong", "ä", auth.proof_for("another cookie")])
def test_a_form_without_the_right_proof_is_refused(client: TestClient, cookie: str, proof: str) -> None:
    answer = client.post(f"{API}/tokens/", data=TOKEN | {"proof": proof})

    assert answer.status_code == 403
    assert "reload the page" in answer.json()["error"]


def test_a_form_on_the_page_of_another_site_is_refused(client: TestClient, cookie: str) -> None:
    headers = {"Origin": "https://elsewhere.test"}
    answer = client.post(f"{API}/tokens/", data=TOKEN | {"proof": auth.proof_for(cookie)}, headers=headers)

    assert answer.status_code == 403
    assert "another site" in answer.json()["error"]


def test_a_proof_without_a_sign_in_opens_nothing(client: TestClient) -> None:
    answer = client.post(f"{API}/tokens/", data=TOKEN | {"proof": auth.proof_for("")})

    assert answer.status_code == 401
