"""Credentials of repositories by the API: given, used, taken away, never told."""

import httpx
import msgspec
import pytest
from sqlalchemy.orm import Session
from starlette.testclient import TestClient
from tests import factories
from tests.factories import a_token, as_caller
from tests.web.conftest import API, Agent, Live, answered, refused

from changes.base import ids
from changes.builds import step_tokens
from changes.builds.models import Build
from changes.projects import credentials
from changes.projects.models import Repository
from changes.projects.rules import RepositoryStatus
from changes.protocol import ArtifactBatch, SmallArtifact

HTTPS, SSH = "https://example.com/a.git", "ssh://git@example.com/a.git"


@pytest.fixture
def administrator(session: Session) -> dict[str, str]:
    return as_caller(a_token(session))


def address(repository: Repository) -> str:
    return f"{API}/repositories/{repository.id.hex}/credentials/"


def test_a_password_is_stored_and_never_told(
    client: TestClient, session: Session, administrator: dict[str, str]
) -> None:
    repository = factories.a_repository(session, HTTPS)

    kept = answered(
        client.post(
            address(repository), data={"username": "zoe", "password": "hunter2"}, headers=administrator
        )
    )
    shown = answered(client.get(address(repository), headers=administrator))

    assert (kept.status_code, shown.status_code) == (200, 200)
    assert shown.json() == kept.json()
    assert {"kind": "password", "username": "zoe", "server": "https://example.com"}.items() <= (
        shown.json().items()
    )
    assert "hunter2" not in kept.text + shown.text
    assert repository.status == RepositoryStatus.IMPORTING


def test_a_key_is_made_here_and_its_public_half_told(
    client: TestClient, session: Session, administrator: dict[str, str]
) -> None:
    repository = factories.a_repository(session, SSH)

    kept = answered(client.post(address(repository), data={"make_key": "true"}, headers=administrator)).json()

    assert (kept["kind"], kept["publicKey"][:12]) == ("ssh-key", "ssh-ed25519 ")


def test_what_is_taken_away_is_gone(
    client: TestClient, session: Session, administrator: dict[str, str]
) -> None:
    repository = factories.a_repository(session, HTTPS)
    client.post(address(repository), data={"password": "hunter2"}, headers=administrator)

    assert answered(client.delete(address(repository), headers=administrator)).status_code == 204

    refused(answered(client.get(address(repository), headers=administrator)), 404)


def test_a_refused_password_is_not_in_the_answer(
    client: TestClient, session: Session, administrator: dict[str, str]
) -> None:
    repository = factories.a_repository(session, SSH)

    answer = answered(client.post(address(repository), data={"password": "hunter2"}, headers=administrator))

    assert refused(answer, 400)["problems"] == ["password"]
    assert "hunter2" not in answer.text


# --- for agents --------------------------------------------------------------------------


def a_private_build(live: Live) -> None:
    build_id = live.build()
    with live.database.transaction() as session:
        repository = session.get_one(Build, build_id).project.repository
        credentials.keep(session, repository, credentials.Given(password="hunter2"))


def test_an_agent_gets_the_password_for_a_step_it_holds(live: Live, agent: Agent) -> None:
    a_private_build(live)
    step = agent.next()[0]

    (login,) = answered(
        live.http.get(f"{API}/agents/steps/{step['id']}/logins/", headers=agent.headers)
    ).json()

    assert (login["url"], login["password"]) == (step["checkout"]["url"], "hunter2")
    assert "hunter2" not in str(step)


def test_the_token_of_a_step_does_not_open_its_repository(live: Live, agent: Agent) -> None:
    a_private_build(live)
    step = agent.next()[0]
    headers = as_caller(step_tokens.make(ids.parse(step["id"])))

    answer = answered(live.http.get(f"{API}/agents/steps/{step['id']}/logins/", headers=headers))

    assert answer.status_code in (401, 403)
    assert "hunter2" not in answer.text


def test_another_agent_gets_nothing(live: Live, agent: Agent) -> None:
    a_private_build(live)
    step = agent.next()[0]
    other = live.agent("other")

    refused(answered(live.http.get(f"{API}/agents/steps/{step['id']}/logins/", headers=other.headers)), 404)


# --- artifacts of agents -----------------------------------------------------------------


def put_part(live: Live, agent: Agent, step: dict[str, object], offset: int, data: bytes) -> httpx.Response:
    digest = "9834876dcfb05cb167a5c24953eba58c4ac89b1adf57f28f2f9d09af107ee8f0"
    where = f"{API}/agents/steps/{step['id']}/uploads/d/big.bin?offset={offset}&size=3"
    headers = {**agent.headers, "Changes-SHA256": digest}
    return answered(live.http.put(where, content=data, headers=headers))


def test_a_large_artifact_arrives_in_parts(live: Live, agent: Agent) -> None:
    live.build()
    step = agent.next()[0]

    first, wrong = put_part(live, agent, step, 0, b"a"), put_part(live, agent, step, 2, b"a")
    last = put_part(live, agent, step, 1, b"aa")

    assert (first.json()["offset"], last.json()["offset"]) == (1, 3)
    assert (wrong.status_code, wrong.json()["offset"]) == (409, 1)
    (artifact,) = live.get(f"/jobsteps/{step['id']}/artifacts/").json()["artifacts"]
    assert artifact["name"] == "d/big.bin"


def test_small_artifacts_arrive_together_and_the_refused_are_named(live: Live, agent: Agent) -> None:
    live.build()
    step = agent.next()[0]
    digest = "ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb"
    paths = ["a%20b.txt", "bad%FF.txt", "../out"]
    batch = ArtifactBatch(files=[SmallArtifact(path=path, sha256=digest, content=b"a") for path in paths])

    answer = answered(
        live.http.post(
            f"{API}/agents/steps/{step['id']}/artifacts/",
            content=msgspec.json.encode(batch),
            headers={**agent.headers, "Content-Type": "application/json"},
        )
    )

    assert list(answer.json()["refused"]) == ["../out"]
    names = [each["name"] for each in live.get(f"/jobsteps/{step['id']}/artifacts/").json()["artifacts"]]
    assert names == ["a b.txt", "bad\N{REPLACEMENT CHARACTER}.txt"]
