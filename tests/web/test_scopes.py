"""Who may call what: a table of all routes, so that a new one without an entry is noticed."""

from typing import Any

import pytest
from sqlalchemy.orm import Session
from starlette.testclient import TestClient
from tests.factories import a_token, as_caller, olga
from tests.web.conftest import API, Live, answered, refused

from changes.base.ids import new
from changes.base.settings import Settings
from changes.people import tokens, users
from changes.people.rules import Scope
from changes.web.auth import COOKIE

LET_IN = "let in"
CALLERS = ("anonymous", "agent", "read", "write", "admin")
ANYBODY = dict(zip(CALLERS, (LET_IN, 401, LET_IN, LET_IN, LET_IN), strict=True))
ENROLS = dict(zip(CALLERS, (LET_IN, LET_IN, LET_IN, LET_IN, LET_IN), strict=True))
AGENT = dict(zip(CALLERS, (401, LET_IN, 401, 401, 401), strict=True))
READ = dict(zip(CALLERS, (401, 401, LET_IN, LET_IN, LET_IN), strict=True))
WRITE = dict(zip(CALLERS, (401, 401, 403, LET_IN, LET_IN), strict=True))
ADMIN = dict(zip(CALLERS, (401, 401, 403, 403, LET_IN), strict=True))
# A signature decides, whoever brings it.
NOBODY = dict(zip(CALLERS, (403, 403, 403, 403, 403), strict=True))

ROUTES: dict[str, dict[str, Any]] = {
    "POST /agents/tokens/": ADMIN,
    "POST /agents/enrol/": ENROLS,
    "POST /agents/hello/": AGENT,
    "POST /agents/key/": AGENT,
    "POST /agents/steps/next/": AGENT,
    "POST /agents/heartbeat/": AGENT,
    "POST /agents/steps/{step_id}/report/": AGENT,
    "POST /agents/steps/{step_id}/logs/{name}/": AGENT,
    "PUT /agents/steps/{step_id}/artifacts/{path}": AGENT,
    "GET /agents/steps/{step_id}/logins/": AGENT,
    "POST /agents/steps/{step_id}/artifacts/": AGENT,
    "PUT /agents/steps/{step_id}/uploads/{path}": AGENT,
    "PUT /agents/steps/{step_id}/blobs/{sha256}/": AGENT,
    "GET /agents/steps/{step_id}/blobs/{sha256}/": AGENT,
    "POST /agents/steps/{step_id}/caches/find/": AGENT,
    "POST /agents/steps/{step_id}/caches/": AGENT,
    "POST /agents/steps/{step_id}/snapshot/": AGENT,
    "GET /jobsteps/{step_id}/reproduce/": READ,
    "GET /projects/{project_id}/caches/": READ,
    "DELETE /projects/{project_id}/caches/": WRITE,
    "DELETE /projects/{project_id}/caches/{cache_id}/": WRITE,
    "GET /projects/{project_id}/snapshots/": READ,
    "POST /projects/{project_id}/snapshots/": WRITE,
    "GET /snapshots/": READ,
    "GET /snapshots/{snapshot_id}/": READ,
    "POST /snapshots/{snapshot_id}/": WRITE,
    "GET /snapshots/{snapshot_id}/jobs/": READ,
    "GET /snapshots/cache/clusters/{cluster}/": READ,
    "POST /snapshots/{snapshot_id}/cache/": WRITE,
    "GET /snapshotimages/{image_id}/": READ,
    "POST /snapshotimages/{image_id}/": WRITE,
    "GET /snapshotimages/{image_id}/content/": READ,
    "GET /agents/steps/{step_id}/patch/": AGENT,
    "GET /artifacts/{artifact_id}/": READ,
    "GET /artifacts/{artifact_id}/content/": READ,
    "GET /artifacts/{artifact_id}/entries/": READ,
    "GET /builds/{build_id}/artifacts/": READ,
    "GET /builds/{build_id}/artifacts/all/": READ,
    "GET /disk/": ADMIN,
    "GET /auth/": ANYBODY,
    "GET /builds/": READ,
    "POST /builds/": WRITE,
    "GET /builds/{build_id}/": READ,
    "GET /collections/{collection_id}/": READ,
    "POST /builds/{build_id}/cancel/": WRITE,
    "POST /builds/outside/": WRITE,
    "POST /builds/outside/steps/{step_id}/report/": WRITE,
    "POST /builds/outside/steps/{step_id}/logs/{name}/": WRITE,
    "PUT /builds/outside/steps/{step_id}/artifacts/{path}": WRITE,
    "POST /builds/{build_id}/retry/": WRITE,
    "POST /builds/{build_id}/restart/": WRITE,
    "POST /builds/{build_id}/pin/": WRITE,
    "POST /builds/{build_id}/unpin/": WRITE,
    "GET /retention/": ADMIN,
    "POST /retention/": ADMIN,
    "GET /builds/{build_id}/tests/": READ,
    "GET /builds/{build_id}/flaky_tests/": READ,
    "GET /tests/{run_id}/": READ,
    "GET /projects/{project_id}/tests/": READ,
    "GET /projects/{project_id}/tests/{sha}/": READ,
    "GET /projects/{project_id}/tests/{sha}/history/": READ,
    "GET /projects/{project_id}/tests/{sha}/runs/": READ,
    "GET /projects/{project_id}/testgroups/": READ,
    "GET /projects/{project_id}/flaky_tests/": READ,
    "GET /projects/{project_id}/teststats/": READ,
    "GET /builds/{build_id}/tests/counts": READ,
    "GET /builds/{build_id}/tests/news": READ,
    "GET /builds/{build_id}/tests/failures": READ,
    "GET /changes/": READ,
    "POST /changes/": WRITE,
    "GET /changes/{change_id}/": READ,
    "POST /changes/{change_id}/": WRITE,
    "GET /changes/{change_id}/builds/": READ,
    "POST /changes/{change_id}/builds/": WRITE,
    "GET /changes/{change_id}/diff/{earlier}/{later}/": READ,
    "GET /changes/{change_id}/comments/": READ,
    "POST /changes/{change_id}/comments/": WRITE,
    "GET /builds/{build_id}/comments/": READ,
    "POST /builds/{build_id}/comments/": WRITE,
    "GET /jobs/{job_id}/comments/": READ,
    "POST /jobs/{job_id}/comments/": WRITE,
    "GET /tests/{run_id}/comments/": READ,
    "GET /projects/{project_id}/origins/": READ,
    "POST /projects/{project_id}/origins/": WRITE,
    "GET /origins/{search_id}/": READ,
    "POST /origins/{search_id}/cancel/": WRITE,
    "POST /tests/{run_id}/comments/": WRITE,
    "DELETE /comments/{comment_id}/": WRITE,
    "GET /authors/": READ,
    "GET /authors/{author_id}/": READ,
    "GET /authors/{author_id}/builds/": READ,
    "GET /authors/{author_id}/commits/": READ,
    "POST /authors/{author_id}/addresses/": WRITE,
    "DELETE /authors/{author_id}/addresses/{email}/": WRITE,
    "GET /projects/{project_id}/commits/": READ,
    "GET /projects/{project_id}/commits/{sha}/": READ,
    "GET /projects/{project_id}/commits/{sha}/builds/": READ,
    "GET /projects/{project_id}/sources/{source_id}/": READ,
    "GET /projects/{project_id}/sources/{source_id}/builds/": READ,
    "GET /repositories/{repository_id}/projects/": READ,
    "GET /repositories/{repository_id}/files/{revision}/{path}": READ,
    "GET /sources_builds/": READ,
    "GET /sources/{source_id}/diff/": READ,
    "GET /sources/{source_id}/": READ,
    "GET /sources/{source_id}/builds/": READ,
    "GET /sources/{source_id}/comments/": READ,
    "POST /sources/{source_id}/comments/": WRITE,
    "POST /repositories/{repository_id}/sync/": WRITE,
    "GET /repositories/{repository_id}/branches/": READ,
    "GET /repositories/{repository_id}/hook/": ADMIN,
    "DELETE /repositories/{repository_id}/hook/": ADMIN,
    "GET /projects/{project_id}/latest_green_builds/": READ,
    "GET /projects/{project_id}/revision_results/{sha}/": READ,
    "GET /commands/{command_id}/": READ,
    "GET /jobs/{job_id}/": READ,
    "POST /jobs/{job_id}/cancel/": WRITE,
    "POST /jobsteps/{step_id}/cancel/": WRITE,
    "POST /jobs/{job_id}/retry/": WRITE,
    "GET /jobs/{job_id}/artifacts/": READ,
    "GET /jobs/{job_id}/logs/{source_id}/": READ,
    "GET /jobs/{job_id}/logs/{source_id}/search/": READ,
    "GET /jobs/{job_id}/phases/": READ,
    "GET /jobsteps/aggregate_by_status/": READ,
    "GET /jobsteps/{step_id}/": READ,
    "GET /jobsteps/{step_id}/artifacts/": READ,
    "GET /jobsteps/{step_id}/logs/": READ,
    "GET /jobsteps/{step_id}/logs/{name}/": READ,
    "GET /jobsteps/{step_id}/logs/{name}/search/": READ,
    "GET /artifacts/{artifact_id}/log/": READ,
    "GET /artifacts/{artifact_id}/log/search/": READ,
    "GET /messages/": READ,
    "POST /messages/": ADMIN,
    "GET /original-keys/": ADMIN,
    "POST /original-keys/": ADMIN,
    "DELETE /original-keys/{key_id}/": ADMIN,
    "GET /nodes/": READ,
    "GET /nodes/{node_id}/": READ,
    "GET /admin_dash/infra_fail_jobs/": READ,
    "GET /builds/{build_id}/waiting/": READ,
    "POST /builds/{build_id}/priority/": WRITE,
    "GET /clusters/": READ,
    "GET /clusters/{cluster_id}/": READ,
    "GET /clusters/{cluster_id}/nodes/": READ,
    "GET /jobsteps/{step_id}/waiting/": READ,
    "GET /nodes/hostname/{name}/": READ,
    "GET /nodes/{node_id}/jobs/": READ,
    "GET /nodes/{node_id}/status/": READ,
    "POST /nodes/{node_id}/status/": ADMIN,
    "POST /nodes/{node_id}/drain/": ADMIN,
    "POST /nodes/{node_id}/disable/": ADMIN,
    "POST /nodes/{node_id}/enable/": ADMIN,
    "GET /queue/": READ,
    "GET /queue/groups/": READ,
    "GET /queue/lanes/{lane_id}/steps/": READ,
    "POST /queue/groups/": ADMIN,
    "DELETE /queue/groups/{name}/": ADMIN,
    "POST /nodes/{node_id}/revoke/": ADMIN,
    "POST /nodes/{node_id}/replace_key/": ADMIN,
    "GET /patches/{patch_id}/": READ,
    "GET /plans/{plan_id}/": READ,
    "POST /plans/{plan_id}/": WRITE,
    "DELETE /plans/{plan_id}/": WRITE,
    "GET /implementations/": READ,
    "GET /plans/{plan_id}/options/": READ,
    "POST /plans/{plan_id}/options/": WRITE,
    "GET /steps/{step_id}/options/": READ,
    "POST /steps/{step_id}/options/": WRITE,
    "GET /plans/{plan_id}/steps/": READ,
    "POST /plans/{plan_id}/steps/": WRITE,
    "GET /projects/": READ,
    "POST /projects/": ADMIN,
    "GET /projects/{project_id}/": READ,
    "POST /projects/{project_id}/": WRITE,
    "POST /projects/{project_id}/options/": WRITE,
    "GET /projects/{project_id}/builds/": READ,
    "GET /projects/{project_id}/builds/{number}/": READ,
    "GET /projects/{project_id}/plans/": READ,
    "POST /projects/{project_id}/plans/": WRITE,
    "GET /config-schema.json": ENROLS,
    "POST /config/check/": READ,
    "GET /builds/{build_id}/plan-preview/": READ,
    "GET /builds/{build_id}/cards/": READ,
    "GET /jobsteps/{step_id}/cards/": READ,
    "POST /jobsteps/{step_id}/cards/": WRITE,
    "POST /agents/steps/{step_id}/cards/": AGENT,
    "GET /builds/{build_id}/errors/": READ,
    "GET /builds/{build_id}/messages/": READ,
    "GET /builds/{build_id}/targets/": READ,
    "GET /builds/{build_id}/targets/{target_id}/messages/": READ,
    "GET /jobs/{job_id}/errors/": READ,
    "GET /jobsteps/{step_id}/errors/": READ,
    "GET /projects/{project_id}/log_errors/": READ,
    "GET /projects/{project_id}/log_errors/{error_id}/": READ,
    "GET /projects/{project_id}/log_errors/{error_id}/builds/": READ,
    "POST /projects/{project_id}/log_errors/{error_id}/": WRITE,
    "GET /failures/": READ,
    "GET /builds/{build_id}/coverage/": READ,
    "GET /builds/{build_id}/coverage/summary/": READ,
    "GET /builds/{build_id}/stats/coverage/": READ,
    "GET /projects/{project_id}/coverage/": READ,
    "GET /projects/{project_id}/coveragegroups/": READ,
    "GET /projects/{project_id}/failures/": READ,
    "GET /projects/{project_id}/failures/{cause_id}/": READ,
    "GET /projects/{project_id}/failures/{cause_id}/builds/": READ,
    "POST /projects/{project_id}/failures/{cause_id}/": WRITE,
    "GET /projects/{project_id}/flaky/": READ,
    "GET /projects/{project_id}/quarantine/": READ,
    "POST /projects/{project_id}/quarantine/": WRITE,
    "DELETE /projects/{project_id}/quarantine/{quarantine_id}/": WRITE,
    "GET /projects/{project_id}/decisions/": READ,
    "GET /projects/{project_id}/why-built/{sha}/": READ,
    "GET /projects/{project_id}/schedules/": READ,
    "POST /projects/{project_id}/schedules/": WRITE,
    "POST /projects/{project_id}/schedules/{schedule_id}/": WRITE,
    "DELETE /projects/{project_id}/schedules/{schedule_id}/": WRITE,
    "GET /projects/{project_id}/hooks/": WRITE,
    "POST /projects/{project_id}/hooks/": WRITE,
    "DELETE /projects/{project_id}/hooks/{hook_id}/": WRITE,
    "POST /hooks/{hook_id}/": NOBODY,
    "GET /projects/{project_id}/secrets/": WRITE,
    "POST /projects/{project_id}/secrets/": WRITE,
    "DELETE /projects/{project_id}/secrets/{name}/": WRITE,
    "GET /repositories/": READ,
    "POST /repositories/": ADMIN,
    "GET /repositories/{repository_id}/": READ,
    "POST /repositories/{repository_id}/": ADMIN,
    "GET /repositories/{repository_id}/credentials/": ADMIN,
    "POST /repositories/{repository_id}/credentials/": ADMIN,
    "DELETE /repositories/{repository_id}/credentials/": ADMIN,
    "GET /steps/{step_id}/": READ,
    "POST /steps/{step_id}/": WRITE,
    "DELETE /steps/{step_id}/": WRITE,
    "GET /tasks/": READ,
    "GET /tasks/{task_id}/": READ,
    "DELETE /tasks/{task_id}/": ADMIN,
    "POST /tasks/{task_id}/again/": ADMIN,
    "GET /task_stats/": READ,
    "GET /infra_failures/": READ,
    "GET /systemstats/": READ,
    "GET /statistics/": READ,
    "GET /projects/{project_id}/statistics/": READ,
    "GET /projects/{project_id}/stats/": READ,
    "GET /tokens/": ADMIN,
    "POST /tokens/": ADMIN,
    "DELETE /tokens/{token_id}/": ADMIN,
    "GET /users/": ADMIN,
    "POST /users/": ADMIN,
    "GET /users/{user_id}/": ADMIN,
    "POST /users/{user_id}/": ADMIN,
    "POST /user_options/": READ,
}
# Enough to be understood; what is asked for need not exist.
BODY = {
    "test": "a.test",
    "sha": "a",
    "project": "p",
    "name": "n",
    "url": "u",
    "repository": "r",
    "slots": 1,
    "steps": [],
    "wait_s": 0,
} | {
    "status": "in_progress",
    "token": "t",
    "priority": "low",
    "limit": 1,
    "email": "kim@example.com",
    "message": "m",
    "label": "l",
    "text": "t",
    "state": "open",
}
# Nothing need be said there, and the status above is none of theirs.
WITH_A_STATUS_OF_THEIR_OWN = (
    "POST /snapshots/{snapshot_id}/",
    "POST /snapshotimages/{image_id}/",
    "POST /plans/{plan_id}/",
    "POST /projects/{project_id}/",
    "POST /repositories/{repository_id}/",
)


def routes_of(live: Live) -> list[str]:
    paths = live.app.openapi()["paths"]
    return [
        f"{method.upper()} {path.removeprefix(API)}" for path, methods in paths.items() for method in methods
    ]


def ask(live: Live, route: str, headers: dict[str, str]) -> int:
    method, _, path = route.partition(" ")
    for name in ("project_id", "name", "path"):
        path = path.replace(f"{{{name}}}", "nothing")
    for name in ("number", "earlier", "later"):
        path = path.replace(f"{{{name}}}", "1")
    while "{" in path:
        path = path[: path.index("{")] + new().hex + path[path.index("}") + 1 :]
    if route in WITH_A_STATUS_OF_THEIR_OWN:
        return answered(live.http.post(API + path, json={}, headers=headers)).status_code
    body = BODY if method == "POST" else None
    return answered(
        live.http.request(method, f"{API}{path}?offset=0", headers=headers, json=body)
    ).status_code


def test_every_route_is_in_the_table(live: Live) -> None:
    assert sorted(routes_of(live)) == sorted(ROUTES)


@pytest.mark.parametrize("caller", CALLERS)
def test_every_route_lets_in_whom_the_table_says(live: Live, caller: str) -> None:
    with live.database.transaction() as session:
        scopes = {scope.name.lower(): scope for scope in (Scope.READ, Scope.WRITE, Scope.ADMIN)}
        headers = as_caller(a_token(session, scopes[caller])) if caller in scopes else {}
    if caller == "agent":
        headers = live.agent().headers

    answers = {route: ask(live, route, headers) for route in ROUTES}

    met = {route: status if status in (401, 403) else LET_IN for route, status in answers.items()}
    # An agent's token that does not exist is refused with a 403 too, but it is no matter of scope.
    met["POST /agents/enrol/"] = LET_IN
    assert met == {route: allowed[caller] for route, allowed in ROUTES.items()}
    assert {route: status for route, status in answers.items() if status >= 500} == {}


def test_what_an_agent_may_do_is_not_for_a_token_of_that_scope_either(
    client: TestClient, session: Session
) -> None:
    secret = tokens.create(session, "odd", Scope.AGENT).secret

    answer = client.get(f"{API}/projects/", headers=as_caller(secret))

    assert "needs the scope read" in refused(answer, 403)["error"]


def test_a_stranger_is_told_how_to_sign_in(client: TestClient) -> None:
    answer = client.get(f"{API}/projects/")

    assert "Bearer" in refused(answer, 401)["error"]
    assert answer.headers["WWW-Authenticate"] == "Bearer"


@pytest.mark.parametrize("header", ["Bearer chg_wrong", "bearer \u00e9\u00ff", "Bearer " + "x" * 5000])
def test_a_wrong_token_is_refused(client: TestClient, header: str) -> None:
    answer = client.get(f"{API}/auth/", headers={"Authorization": header.encode("latin-1")})

    assert "unknown or was revoked" in refused(answer, 401)["error"]


def test_a_revoked_token_opens_nothing_even_where_everybody_may_read(
    client: TestClient, session: Session, settings: Settings
) -> None:
    object.__setattr__(settings, "anonymous_read", True)
    made = tokens.create(session, "old", Scope.ADMIN)
    tokens.revoke(session, made.id)
    session.flush()

    answer = client.get(f"{API}/projects/", headers=as_caller(made.secret))

    refused(answer, 401)


def test_anonymous_read_opens_what_needs_read_and_nothing_more(
    client: TestClient, settings: Settings
) -> None:
    object.__setattr__(settings, "anonymous_read", True)

    statuses = [
        client.get(f"{API}/projects/").status_code,
        client.get(f"{API}/tokens/").status_code,
        client.post(f"{API}/builds/", json=BODY).status_code,
    ]

    assert statuses == [200, 401, 401]


def test_a_cookie_alone_reads_and_never_writes(client: TestClient, session: Session) -> None:
    client.cookies.set(COOKIE, users.open_session(session, olga(session).id))

    reads, writes = client.get(f"{API}/tokens/"), client.post(f"{API}/tokens/", json={"name": "mine"})

    assert reads.status_code == 200
    refused(writes, 403)


@pytest.mark.parametrize("other", [{"Authorization": "Basic b2xnYTpi"}, {"Authorization": "Bearer "}])
def test_other_kinds_of_authorization_are_nobody(client: TestClient, other: dict[str, str]) -> None:
    assert client.get(f"{API}/auth/", headers=other).json()["authenticated"] is False


def test_auth_says_who_asks(reader: TestClient) -> None:
    told = reader.get(f"{API}/auth/").json()

    assert told["authenticated"] is True
    assert told["scope"] == "read"
    assert told["name"].startswith("token ")


def test_a_signed_in_person_is_shown_without_secrets(client: TestClient, session: Session) -> None:
    user = olga(session)
    client.cookies.set(COOKIE, users.open_session(session, user.id))

    told = client.get(f"{API}/auth/").json()["user"]

    assert set(told) == {"id", "email", "isAdmin", "avatar", "project_permissions", "dateCreated"}
    assert told["email"] == user.email
