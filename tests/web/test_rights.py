"""What the owner of a token or a session may do: by the scope, and by the patterns of their projects."""

from collections.abc import Callable

import pytest
from sqlalchemy.orm import Session
from starlette.testclient import TestClient
from tests.factories import a_plan, a_project, as_caller, olga
from tests.web.conftest import API, refused

from changes.people import accounts, tokens, users
from changes.people.models import User
from changes.people.rules import Scope
from changes.projects.models import Plan
from changes.web import auth
from changes.web.auth import COOKIE

As = Callable[..., dict[str, str]]


@pytest.fixture
def ravi(session: Session) -> User:
    """Not an administrator, but of all projects that begin with web-."""
    olga(session)
    user = users.create(session, "ravi@example.com")
    accounts.set_rights(session, user, is_admin=False, patterns=["web-*"])
    return user


@pytest.fixture
def as_ravi(session: Session, ravi: User) -> As:
    def headers(scope: Scope = Scope.WRITE) -> dict[str, str]:
        return as_caller(tokens.create(session, "of ravi", scope, user=ravi).secret)

    return headers


@pytest.fixture
def plan(session: Session) -> Plan:
    return a_plan(session, a_project(session, "web-shop"), {"commands": ["true"]})


def test_who_administers_a_project_changes_its_plans(client: TestClient, plan: Plan, as_ravi: As) -> None:
    headers = as_ravi()

    made = client.post(f"{API}/projects/web-shop/plans/", json={"name": "lint"}, headers=headers)
    where = f"{API}/plans/{made.json()['id']}/"
    step = client.post(f"{where}steps/", json={"data": {"commands": ["true"]}}, headers=headers)
    steps = [
        client.post(f"{API}/steps/{step.json()['id']}/", json={"order": 3}, headers=headers),
        client.post(where, json={"status": "active"}, headers=headers),
        client.delete(f"{API}/steps/{step.json()['id']}/", headers=headers),
    ]

    assert [made.status_code, step.status_code] == [200, 201]
    assert [each.status_code for each in steps] == [200, 200, 200]


def test_other_projects_are_not_theirs(client: TestClient, session: Session, as_ravi: As) -> None:
    plan = a_plan(session, a_project(session, "api"), {"commands": ["true"]})
    step = plan.steps[0].id.hex
    headers = as_ravi()
    answers = [
        client.post(f"{API}/projects/api/plans/", json={"name": "lint"}, headers=headers),
        client.post(f"{API}/plans/{plan.id.hex}/", json={"name": "mine"}, headers=headers),
        client.post(f"{API}/plans/{plan.id.hex}/steps/", json={}, headers=headers),
        client.post(f"{API}/steps/{step}/", json={"order": 3}, headers=headers),
        client.delete(f"{API}/steps/{step}/", headers=headers),
    ]

    for answer in answers:
        assert "project api" in refused(answer, 403)["error"]


def test_a_token_that_reads_only_changes_nothing(client: TestClient, plan: Plan, as_ravi: As) -> None:
    answer = client.post(f"{API}/plans/{plan.id.hex}/", json={"name": "x"}, headers=as_ravi(Scope.READ))

    assert "needs the scope write" in refused(answer, 403)["error"]


def test_a_token_of_nobody_administers_by_its_scope_alone(
    writer: TestClient, admin: TestClient, plan: Plan
) -> None:
    refused(writer.post(f"{API}/plans/{plan.id.hex}/", json={"name": "x"}), 403)
    assert admin.post(f"{API}/plans/{plan.id.hex}/", json={"name": "x"}).status_code == 200


def test_a_browser_has_the_same_rights(client: TestClient, session: Session, ravi: User, plan: Plan) -> None:
    cookie = users.open_session(session, ravi.id)
    client.cookies.set(COOKIE, cookie)
    headers = {auth.PROOF_HEADER: auth.proof_for(cookie)}

    answer = client.post(f"{API}/plans/{plan.id.hex}/", json={"name": "x"}, headers=headers)

    assert answer.status_code == 200


def test_who_is_no_administrator_any_more_has_no_token_that_is(
    client: TestClient, session: Session, ravi: User, as_ravi: As
) -> None:
    accounts.set_rights(session, ravi, is_admin=True, patterns=[])
    headers = as_ravi(Scope.ADMIN)
    before = client.get(f"{API}/users/", headers=headers)

    accounts.set_rights(session, ravi, is_admin=False, patterns=[])

    assert before.status_code == 200
    refused(client.get(f"{API}/users/", headers=headers), 403)
    assert client.get(f"{API}/auth/", headers=headers).json()["scope"] == "write"


def test_users_are_made_changed_and_found(admin: TestClient, session: Session) -> None:
    olga(session)

    made = admin.post(f"{API}/users/", json={"email": "Kim@Example.com", "project_permissions": ["a", "b-*"]})
    where = f"{API}/users/{made.json()['id']}/"
    changed = admin.post(where, data={"is_admin": "1"})

    assert (made.status_code, made.json()["project_permissions"]) == (201, ["a", "b-*"])
    assert changed.json() == admin.get(where).json()
    assert (changed.json()["isAdmin"], changed.json()["project_permissions"]) == (True, ["a", "b-*"])
    found = admin.get(f"{API}/users/?query=kim&is_admin=1&sort=date").json()
    assert [each["email"] for each in found] == ["kim@example.com"]
    assert admin.get(f"{API}/users/?query=kim&is_admin=0").json() == []


def test_the_last_administrator_stays_one(admin: TestClient, session: Session) -> None:
    user = olga(session)

    refused(admin.post(f"{API}/users/{user.id.hex}/", data={"is_admin": "0"}), 409)


@pytest.mark.parametrize("email", ["", "kim", "@"])
def test_what_is_no_address_makes_no_user(admin: TestClient, email: str) -> None:
    refused(admin.post(f"{API}/users/", json={"email": email}), 400)


def test_options_are_those_of_who_asks(client: TestClient, session: Session, ravi: User, as_ravi: As) -> None:
    headers = as_ravi(Scope.READ)

    answers = [
        client.post(f"{API}/user_options/", data={"user.colorblind": "1"}, headers=headers),
        client.post(f"{API}/user_options/", data={"user.theme": "dark"}, headers=headers),
    ]

    assert [each.json() for each in answers] == [{}, {}]
    assert (ravi.is_colorblind, ravi.theme) == (True, "dark")
    refused(client.post(f"{API}/user_options/", data={"user.theme": "pink"}, headers=headers), 400)


def test_a_token_of_nobody_has_no_options(admin: TestClient) -> None:
    refused(admin.post(f"{API}/user_options/", data={"user.colorblind": "1"}), 400)
