"""One table turns what went wrong into a status code, and one shape tells it.

A browser that looks for a page gets a page, everybody else JSON. `message` is what old
clients of the original read from a 400; ours read `error`.
"""

from typing import Any

import structlog
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from psycopg import OperationalError as PsycopgOperationalError
from psycopg.errors import DiskFull
from psycopg_pool import PoolTimeout
from pydantic import ValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from changes.base import errors
from changes.base.db import Contradiction, DatabaseAway, DatabaseBusy
from changes.web import answers, paths
from changes.web.pages import drawing

HTTP_STATUS: dict[type[errors.ChangesError], int] = {
    errors.Invalid: 400,
    errors.NotSignedIn: 401,
    errors.Forbidden: 403,
    errors.NotFound: 404,
    errors.Conflict: 409,
    errors.Gone: 410,
    errors.TooLarge: 413,
    errors.OtherVersion: 426,
    errors.Full: 507,
    errors.TooOften: 429,
    errors.Unavailable: 503,
}
log = structlog.get_logger()


def shape(text: str, problems: list[str]) -> dict[str, Any]:
    return {"error": text, "problems": problems, "message": text}


def wants_page(request: Request) -> bool:
    is_api = request.url.path.startswith("/api/")
    return not is_api and "text/html" in request.headers.get("Accept", "")


def tell(
    request: Request, status: int, text: str, problems: list[str], headers: dict[str, str] | None = None
) -> Response:
    if not wants_page(request):
        return answers.json(shape(text, problems), status, headers)
    page = drawing.error_page(request, status, text)
    page.headers.update(headers or {})
    return page


HEADERS: dict[int, dict[str, str]] = {
    401: {"WWW-Authenticate": "Bearer"},
    503: {"Retry-After": "5"},
    507: {"Retry-After": "30"},
}


def answer_known(request: Request, error: errors.ChangesError) -> Response:
    status = next(code for kind, code in HTTP_STATUS.items() if isinstance(error, kind))
    headers = HEADERS.get(status)
    if isinstance(error, errors.TooOften):
        headers = {"Retry-After": str(error.retry_after_s)}
    return tell(request, status, error.message, error.problems, headers)


def answer_invalid(request: Request, error: RequestValidationError | ValidationError) -> Response:
    """One sentence per fault; `problems` are the parameters, however deep inside the fault is."""
    # FastAPI puts the place (query, path ...) before the name.
    first = 1 if isinstance(error, RequestValidationError) else 0
    faults = [(str(each["loc"][first]), each["msg"]) for each in error.errors()]
    text = "; ".join(f"{name}: {told.removeprefix('Value error, ')}" for name, told in faults)
    return tell(request, 400, text, sorted({name for name, _ in faults}))


def answer_http(request: Request, error: HTTPException) -> Response:
    return tell(request, error.status_code, str(error.detail), [], dict(error.headers or {}))


def first_line(error: Exception) -> str:
    return str(error).strip().split("\n", 1)[0]


def answer_database_away(request: Request, error: Exception) -> Response:
    if isinstance(getattr(error, "orig", error), DiskFull):
        return tell(request, 507, "The disk of the database is full.", [], {"Retry-After": "30"})
    log.warning("database away", path=paths.printable(request.url.path), error=first_line(error))
    return tell(request, 503, "The database is away; please ask again.", [], {"Retry-After": "1"})


def answer_contradiction(request: Request, error: Exception) -> Response:
    """The check before saw nothing: two asked for the same at the same moment, and one was first."""
    log.warning("contradiction", path=paths.printable(request.url.path), error=first_line(error))
    return tell(request, 409, "Somebody else changed the same just now; please look and ask again.", [])


def answer_nobody(request: Request, error: Exception) -> Response:
    """The asker hung up in the middle of his request; nobody reads this."""
    return answers.json(shape("The request broke off.", []), 400)


def answer_bug(request: Request, error: Exception) -> Response:
    """The log has the traceback; the asker gets the request id to quote."""
    request_id = getattr(request.state, "request_id", "")
    log.error("request failed", path=paths.printable(request.url.path), request_id=request_id, exc_info=error)
    # This answer is made outside of `access`, which gives all others their id.
    headers = {"X-Request-ID": request_id}
    return tell(request, 500, f"Internal Server Error (request {request_id}).", [], headers)


def install(app: FastAPI) -> None:
    app.add_exception_handler(errors.ChangesError, answer_known)  # type: ignore[arg-type]
    app.add_exception_handler(RequestValidationError, answer_invalid)  # type: ignore[arg-type]
    app.add_exception_handler(ValidationError, answer_invalid)  # type: ignore[arg-type]
    app.add_exception_handler(HTTPException, answer_http)  # type: ignore[arg-type]
    for away in (DatabaseAway, DatabaseBusy, PsycopgOperationalError, PoolTimeout):
        app.add_exception_handler(away, answer_database_away)
    app.add_exception_handler(Contradiction, answer_contradiction)
    app.add_exception_handler(ClientDisconnect, answer_nobody)
    app.add_exception_handler(Exception, answer_bug)
