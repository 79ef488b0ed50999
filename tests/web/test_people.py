"""Tokens, users, machines and background work: what administrators look at."""

import pytest
from sqlalchemy.orm import Session
from starlette.testclient import TestClient
from tests.factories import a_build, a_node, a_project, a_source, as_caller, olga
from tests.web.conftest import API, first_step, refused

from changes.base import ids
from changes.people.models import Token


def test_a_token_works_until_it_is_revoked(admin: TestClient, client: TestClient) -> None:
    made = admin.post(f"{API}/tokens/", json={"name": "robot", "scope": "write"}).json()
    before = client.get(f"{API}/auth/", headers=as_caller(made["token"])).json()

    admin.delete(f"{API}/tokens/{made['id']}/")

    assert (before["scope"], before["name"]) == ("write", "token robot")
    refused(client.get(f"{API}/auth/", headers=as_caller(made["token"])), 401)


def test_listed_tokens_tell_no_secret(admin: TestClient, session: Session) -> None:
    made = admin.post(f"{API}/tokens/", json={"name": "robot"}).json()

    answer = admin.get(f"{API}/tokens/")

    told = next(each for each in answer.json() if each["id"] == made["id"])
    digest = session.get_one(Token, ids.parse(made["id"])).digest
    assert set(told) == {"id", "name", "scope", "dateCreated", "dateLastUsed", "dateRevoked"}
    assert made["token"] not in answer.text
    assert digest not in answer.text


def test_use_of_a_token_is_noted(admin: TestClient) -> None:
    [told] = admin.get(f"{API}/tokens/").json()

    assert told["dateLastUsed"] is not None


@pytest.mark.parametrize(
    "values", [{"name": ""}, {"name": "a", "scope": "agent"}, {"name": "a", "scope": "x"}]
)
def test_a_token_that_makes_no_sense_is_refused(admin: TestClient, values: dict[str, str]) -> None:
    refused(admin.post(f"{API}/tokens/", json=values), 400)


def test_revoking_what_does_not_exist_is_not_found(admin: TestClient) -> None:
    refused(admin.delete(f"{API}/tokens/{ids.new().hex}/"), 404)


def test_users_are_listed_without_their_passwords(admin: TestClient, session: Session) -> None:
    user = olga(session)
    user.password_hash = "argon"
    session.flush()

    answer = admin.get(f"{API}/users/")

    assert user.email in [each["email"] for each in answer.json()]
    assert "argon" not in answer.text


def test_machines_are_listed_without_their_keys(reader: TestClient, session: Session) -> None:
    node = a_node(session, "builder")

    answer = reader.get(f"{API}/nodes/")

    assert [each["name"] for each in answer.json()] == ["builder"]
    assert str(node.token_digest) not in answer.text
    assert reader.get(f"{API}/nodes/{node.id.hex}/").json().items() >= answer.json()[0].items()


def test_background_work_is_listed_newest_first(admin: TestClient) -> None:
    for number in range(2):
        admin.post(f"{API}/repositories/", json={"url": f"https://example.com/{number}"})

    told = admin.get(f"{API}/tasks/").json()

    assert [each["name"] for each in told] == ["projects.import_repository"] * 2
    assert told[0]["id"] > told[1]["id"]
    assert told[0]["state"] == "waiting"


def test_a_patch_is_shown_as_json_and_as_it_is(reader: TestClient, session: Session) -> None:
    patch = a_source(session, a_project(session), patch=b"+caf\xe9\r\n").patch
    assert patch is not None

    told = reader.get(f"{API}/patches/{patch.id.hex}/")
    raw = reader.get(f"{API}/patches/{patch.id.hex}/?raw=1")

    assert told.json()["diff"] == "+caf\N{REPLACEMENT CHARACTER}\r\n"
    assert raw.content == b"+caf\xe9\r\n"
    assert raw.headers["Content-Type"].startswith("text/plain")
    assert raw.headers["X-Content-Type-Options"] == "nosniff"
    assert "sandbox" in raw.headers["Content-Security-Policy"]


def test_a_command_is_shown(reader: TestClient, session: Session) -> None:
    build = a_build(session, commands=("make test",))
    step = reader.get(f"{API}/jobsteps/{first_step(session, build).id.hex}/").json()

    told = reader.get(f"{API}/commands/{step['commands'][0]['id']}/").json()

    assert told == step["commands"][0]
    assert (told["script"], told["captureOutput"], told["returnCode"]) == ("make test", False, None)
    assert told["type"] == {"id": "default", "name": "CommandType.default"}
