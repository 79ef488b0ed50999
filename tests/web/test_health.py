"""For those who watch: healthz, readyz, metrics."""

from starlette.testclient import TestClient
from tests.web.conftest import Live, refused

from changes.base.settings import Settings


def test_healthz_is_open_to_all(live: Live) -> None:
    answer = live.http.get("/healthz")

    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})


def test_readyz_is_open_to_all(live: Live) -> None:
    answer = live.http.get("/readyz")

    assert (answer.status_code, answer.json()) == (200, {"status": "ready"})


def test_a_server_that_stops_is_not_ready(stopping: Live) -> None:
    stopping.app.state.bell.closed.set()

    answer = stopping.http.get("/readyz")

    assert (answer.status_code, answer.json()) == (503, {"status": "stopping"})


def test_metrics_need_a_token(client: TestClient) -> None:
    refused(client.get("/metrics"), 401)


def test_metrics_are_for_whoever_may_read(live: Live) -> None:
    live.build()

    answer = live.http.get("/metrics", headers=live.admin)

    assert answer.headers["Content-Type"].startswith("text/plain")
    assert 'changes_job_steps{status="pending_allocation"} 1.0' in answer.text
    assert "changes_nodes_live 0.0" in answer.text


def test_metrics_are_open_where_reading_is(client: TestClient, settings: Settings) -> None:
    object.__setattr__(settings, "anonymous_read", True)

    assert client.get("/metrics").status_code == 200


def test_held_requests_are_not_in_the_figures_of_speed(live: Live) -> None:
    agent = live.agent()
    before = timed(live, "/agents/steps/next/")

    agent.next()

    # The counters are those of the process, so other tests have counted too.
    assert timed(live, "/agents/steps/next/") == before
    assert timed(live, "/agents/enrol/") > 0


def timed(live: Live, route: str) -> float:
    text = live.http.get("/metrics", headers=live.admin).text
    start = f'changes_http_request_seconds_count{{route="{route}"}} '
    return sum(float(line.removeprefix(start)) for line in text.splitlines() if line.startswith(start))
