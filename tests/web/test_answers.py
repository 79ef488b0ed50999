"""What all answers have in common: ids, headers, errors, redirects, and the description of the API."""

import asyncio
import re
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

import pytest
import structlog
from fastapi import FastAPI
from prometheus_client import REGISTRY
from sqlalchemy.exc import TimeoutError as NoFreeConnection
from sqlalchemy.orm import Session
from starlette.testclient import TestClient
from tests.factories import a_project
from tests.web.conftest import API, Live, open_client, refused, wait_until

from changes.app import server
from changes.base import db, ids
from changes.base.errors import Unavailable
from changes.base.settings import Settings

NOWHERE = "postgresql+psycopg://nobody@127.0.0.1:1/nothing"
UNKNOWN = "01900000" * 4


@pytest.mark.parametrize(
    "path",
    [
        "/nothing",
        "/api/0/nothing/",
        "/api/1/builds/",
        "/api/0/builds/xyz/",
        "/api/0/builds/123/cancel/",
        "/api/0/projects/a/builds/12345678901/",
        "/api/0/projects/a/builds/-1/",
        "/api/0/projects/%00/",
    ],
)
def test_an_unknown_address_is_not_found(reader: TestClient, path: str) -> None:
    answer = reader.get(path)

    assert refused(answer, 404)["error"] == "Not Found"


@pytest.mark.parametrize(
    "path",
    ["projects/nothing", f"projects/{UNKNOWN}", "projects/nothing/builds", "projects/nothing/plans"]
    + [f"{kind}/{UNKNOWN}" for kind in ("repositories", "plans", "steps", "jobs", "jobsteps", "nodes")]
    + [f"{kind}/{UNKNOWN}" for kind in ("commands", "patches")]
    + [f"plans/{UNKNOWN}/steps", f"jobs/{UNKNOWN}/phases", f"jobs/{UNKNOWN}/artifacts"]
    + [f"jobs/{UNKNOWN}/logs/{UNKNOWN}", f"jobsteps/{UNKNOWN}/logs/console", f"jobsteps/{UNKNOWN}/artifacts"]
    + [f"artifacts/{UNKNOWN}/content", f"artifacts/{UNKNOWN}/log", f"jobsteps/{UNKNOWN}/logs"],
)
def test_what_does_not_exist_is_not_found(reader: TestClient, path: str) -> None:
    refused(reader.get(f"{API}/{path}/"), 404)


@pytest.mark.parametrize("path", ["tests/counts", "tests/failures"])
def test_tests_of_a_build_that_does_not_exist_are_not_found(reader: TestClient, path: str) -> None:
    refused(reader.get(f"{API}/builds/{UNKNOWN}/{path}"), 404)


@pytest.mark.parametrize("write", [str, str.upper, lambda text: str(ids.parse(text))])
def test_ids_are_read_with_and_without_dashes(
    reader: TestClient, session: Session, write: Callable[[str], str]
) -> None:
    repository_id = a_project(session).repository_id.hex

    told = reader.get(f"{API}/repositories/{write(repository_id)}/").json()

    assert told["id"] == repository_id


def test_a_wrong_method_says_which_are_right(admin: TestClient) -> None:
    answer = admin.put(f"{API}/tokens/")

    refused(answer, 405)
    assert answer.headers["Allow"]


def test_a_missing_slash_is_redirected_with_the_query(reader: TestClient) -> None:
    answer = reader.get(f"{API}/builds?tag=a%26b&per_page=1")

    assert answer.status_code == 307
    assert answer.headers["Location"] == f"http://testserver{API}/builds/?tag=a%26b&per_page=1"


@pytest.mark.parametrize("path", ["//evil.example/", "/%5Cevil.example", "//evil.example/api/0/builds"])
def test_no_redirect_leads_elsewhere(reader: TestClient, path: str) -> None:
    answer = reader.get(f"http://testserver{path}")

    assert answer.status_code == 404


@pytest.mark.parametrize(
    "path",
    [
        "/api/0/builds/",
        "/healthz",
        "/auth/login/",
        pytest.param("/static/style.css", marks=pytest.mark.front_end),
    ],
)
def test_head_is_answered_like_get(live: Live, path: str) -> None:
    got = live.http.get(path, headers=live.admin)

    head = live.http.head(path, headers=live.admin)

    assert head.status_code == got.status_code == 200
    assert head.headers["Content-Type"] == got.headers["Content-Type"]
    assert head.headers["Content-Length"] == got.headers["Content-Length"]


def test_answers_are_not_for_caches_and_no_pages(reader: TestClient) -> None:
    answer = reader.get(f"{API}/builds/")

    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


# --- request ids and log -----------------------------------------------------------------


def test_every_request_gets_an_id(client: TestClient) -> None:
    first, second = (client.get("/nothing").headers["X-Request-ID"] for _ in range(2))

    assert re.fullmatch("[0-9a-f]{32}", first)
    assert first != second


def test_the_askers_own_id_is_kept(client: TestClient) -> None:
    answer = client.get("/nothing", headers={"X-Request-ID": "their-own_1.2"})

    assert answer.headers["X-Request-ID"] == "their-own_1.2"


@pytest.mark.parametrize("odd", ["", "a b", "x" * 65, "<b>", "a\tb"])
def test_an_id_that_is_no_word_is_replaced(client: TestClient, odd: str) -> None:
    answer = client.get("/nothing", headers={"X-Request-ID": odd})

    assert re.fullmatch("[0-9a-f]{32}", answer.headers["X-Request-ID"])


def test_each_request_is_a_line_of_log(reader: TestClient) -> None:
    with structlog.testing.capture_logs([structlog.contextvars.merge_contextvars]) as lines:
        reader.get(f"{API}/builds/", headers={"X-Request-ID": "mine"})

    assert [(each["method"], each["path"], each["status"], each["request_id"]) for each in lines] == [
        ("GET", "/api/0/builds/", 200, "mine")
    ]


def test_a_sign_in_link_is_not_in_the_log(client: TestClient) -> None:
    with structlog.testing.capture_logs() as lines:
        client.get("/auth/link/chg_secret/")

    assert "chg_secret" not in str(lines)


def test_requests_are_counted_by_route_so_that_ids_make_no_new_figures(reader: TestClient) -> None:
    labels = {"method": "GET", "route": "/jobs/{job_id:uuid}/", "status": "404"}
    before = REGISTRY.get_sample_value("changes_http_requests_total", labels) or 0

    reader.get(f"{API}/jobs/{UNKNOWN}/")

    assert REGISTRY.get_sample_value("changes_http_requests_total", labels) == before + 1


# --- when something breaks ---------------------------------------------------------------


@pytest.fixture
def breaking(app: FastAPI, session: Session, monkeypatch: pytest.MonkeyPatch) -> Callable[[Exception], Any]:
    """A client whose next list of users breaks in the given way."""

    def breaking(error: Exception) -> Any:
        def fail(*_: object) -> None:
            raise error

        monkeypatch.setattr("changes.web.auth.identify", fail)
        return open_client(app)

    return breaking


def test_a_bug_tells_the_request_id_and_no_traceback(breaking: Callable[[Exception], TestClient]) -> None:
    answer = breaking(ZeroDivisionError("a secret detail")).get(
        f"{API}/users/", headers={"X-Request-ID": "quote-me"}
    )

    told = refused(answer, 500)
    assert told["error"] == "Internal Server Error (request quote-me)."
    assert answer.headers["X-Request-ID"] == "quote-me"
    assert "secret" not in answer.text
    assert "Traceback" not in answer.text


def test_what_somebody_else_needs_time_for_is_unavailable(
    breaking: Callable[[Exception], TestClient],
) -> None:
    answer = breaking(Unavailable("The repository is away.")).get(f"{API}/users/")

    refused(answer, 503)
    assert int(answer.headers["Retry-After"]) > 0


def test_too_many_at_once_are_asked_to_come_again(breaking: Callable[[Exception], TestClient]) -> None:
    answer = breaking(NoFreeConnection("QueuePool limit")).get(f"{API}/users/")

    refused(answer, 503)
    assert answer.headers["Retry-After"] == "1"


def test_a_database_that_is_away_is_said_in_words(app: FastAPI, settings: Settings) -> None:
    db.database.set(db.Database(NOWHERE))

    answer = open_client(app).get(f"{API}/users/", headers={"Authorization": "Bearer chg_x"})

    assert refused(answer, 503)["error"] == "The database is away; please ask again."
    assert answer.headers["Retry-After"] == "1"


def test_two_who_make_the_same_at_once_get_one_and_a_conflict(
    live: Live, together: Callable[..., Future[Any]]
) -> None:
    with live.database.transaction() as session:
        url = a_project(session).repository.url
    with live.database.transaction() as session:
        # Holds back the unique index, so that both are past their own check when it opens.
        a_project(session, slug="twin")
        both = [together(live.post, "/projects/", name="Twin", slug="twin", repository=url) for _ in range(2)]
        wait_until(lambda: waiting_for_locks(live) == 2)
        session.rollback()

    assert sorted(answer.result().status_code for answer in both) == [200, 409]


def waiting_for_locks(live: Live) -> int:
    with live.database.engine.connect() as connection:
        found = connection.exec_driver_sql(
            "select count(*) from pg_stat_activity"
            " where datname = current_database() and wait_event_type = 'Lock'"
        )
        return int(found.scalar_one())


def test_an_asker_who_hangs_up_is_no_bug(app: FastAPI, settings: Settings) -> None:
    scope = {
        "type": "http",
        "method": "POST",
        "path": f"{API}/builds/",
        "query_string": b"",
        "headers": [(b"authorization", b"Bearer x")],
    }
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        sent.append(message)

    asyncio.run(app(scope, receive, send))

    assert sent[0]["status"] == 400


# --- the description ---------------------------------------------------------------------


def operations(app: FastAPI) -> list[tuple[str, dict[str, Any]]]:
    return [
        (f"{method} {path}", operation)
        for path, methods in app.openapi()["paths"].items()
        for method, operation in methods.items()
    ]


def test_the_description_is_public_and_loads(client: TestClient) -> None:
    told = client.get(f"{API}/openapi.json").json()

    assert told["openapi"].startswith("3.1")
    assert told["info"]["title"] == "Changes"


def test_every_operation_has_a_place_and_words(app: FastAPI) -> None:
    without = [name for name, each in operations(app) if not each["tags"] or not each["summary"]]

    assert without == []


def test_every_operation_says_how_it_refuses(app: FastAPI) -> None:
    assert [name for name, each in operations(app) if set(each["responses"]) != {"200", "4XX"}] == []


def test_every_name_in_an_address_is_described(app: FastAPI) -> None:
    missing = [
        name
        for name, each in operations(app)
        if set(re.findall(r"\{(\w+)\}", name))
        != {parameter["name"] for parameter in each.get("parameters", []) if parameter["in"] == "path"}
    ]

    assert missing == []


def test_every_list_describes_its_pages(app: FastAPI) -> None:
    lists = ["/builds/", "/projects/", "/repositories/", "/nodes/", "/tasks/", "/users/", "/tokens/"]
    lists += ["/projects/{project_id}/builds/", "/projects/{project_id}/plans/", "/jobs/{job_id}/artifacts/"]
    lists += ["/builds/{build_id}/artifacts/"]
    lists += ["/nodes/{node_id}/jobs/", "/changes/", "/changes/{change_id}/builds/", "/snapshots/"]
    lists += ["/sources/{source_id}/builds/", "/snapshots/{snapshot_id}/jobs/"]
    lists += [
        f"/projects/{{project_id}}/{each}/" for each in ("decisions", "snapshots", "latest_green_builds")
    ]
    of_tests = ("tests", "tests/{sha}/history", "tests/{sha}/runs", "teststats")
    lists += ["/builds/{build_id}/tests/", *(f"/projects/{{project_id}}/{each}/" for each in of_tests)]
    lists += [f"/builds/{{build_id}}/{each}/" for each in ("cards", "targets", "messages")]
    lists += ["/builds/{build_id}/errors/", "/jobs/{job_id}/errors/", "/jobsteps/{step_id}/errors/"]
    lists += ["/failures/", "/sources_builds/", "/repositories/{repository_id}/projects/"]
    lists += ["/authors/", *(f"/authors/{{author_id}}/{each}/" for each in ("builds", "commits"))]
    of_projects = ["commits", "commits/{sha}/builds", "failures", "failures/{cause_id}/builds", "flaky"]
    of_projects += ["log_errors", "log_errors/{error_id}/builds"]
    of_projects += ["coverage"]
    of_projects += ["origins", "quarantine", "sources/{source_id}/builds"]
    lists += [f"/projects/{{project_id}}/{each}/" for each in of_projects]
    described = {
        name
        for name, each in operations(app)
        if {"page", "per_page"} <= {parameter["name"] for parameter in each.get("parameters", [])}
    }

    assert described == {f"get {API}{path}" for path in lists}


def test_every_creating_operation_describes_its_key(app: FastAPI) -> None:
    described = {
        name
        for name, each in operations(app)
        if "Idempotency-Key" in {parameter["name"] for parameter in each.get("parameters", [])}
    }

    assert {name for name in described if not name.startswith("post ")} == set()
    assert {f"post {API}/builds/", f"post {API}/projects/", f"post {API}/tokens/"} <= described


def test_parts_that_are_referred_to_exist(app: FastAPI) -> None:
    schema = server.create_app().openapi()

    names = set(re.findall(r"#/components/schemas/(\w+)", str(schema["paths"])))
    assert names <= set(schema["components"]["schemas"])
