"""For those who watch: is it up, can it work, how is it doing."""

from fastapi import APIRouter, Request, Response
from fastapi.concurrency import run_in_threadpool
from prometheus_client import CONTENT_TYPE_LATEST, Counter, Gauge, Histogram, generate_latest

from changes.base import db
from changes.builds import load
from changes.people.rules import Scope
from changes.web import answers, call

pages = APIRouter(tags=["health"])
REQUESTS = Counter("changes_http_requests_total", "Requests answered", ["method", "route", "status"])
SECONDS = Histogram(
    "changes_http_request_seconds",
    "Time to answer, held requests left out",
    ["route"],
    buckets=(0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10),
)
STEPS = Gauge("changes_job_steps", "Steps that are not finished, by status", ["status"])
NODES = Gauge("changes_nodes_live", "Agents heard of within the last minute")


@pages.get("/healthz")
async def healthz(request: Request) -> Response:
    """200 as soon as builds can be asked for."""
    async with request.app.state.pool.connection() as connection:
        await connection.execute("select 1")
    return answers.json({"status": "ok"})


@pages.get("/readyz")
def readyz(request: Request) -> Response:
    """200 while this process should get requests: the database answers and nobody asked it to stop."""
    if request.app.state.bell.closed.is_set():
        return answers.json({"status": "stopping"}, 503)
    with db.transaction() as session:
        load.count(session)
    return answers.json({"status": "ready"})


@pages.get("/metrics")
async def metrics(request: Request) -> Response:
    """Prometheus text. Needs a token with the scope read, unless reading is open to all."""
    await run_in_threadpool(measure, request)
    return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)


def measure(request: Request) -> None:
    with call.begin(request, Scope.READ) as this:
        counted = load.count(this.session)
    NODES.set(counted.live_nodes)
    for status, count in counted.steps.items():
        STEPS.labels(status).set(count)
