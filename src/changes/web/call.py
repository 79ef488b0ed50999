"""One request: who asks, one transaction, one answer that a repeated request gets again.

with call.begin(request, Scope.WRITE) as ask:
    project = create.create_project(ask.session, ...)
    return ask.answer(shapes.project(project))
"""

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from threading import BoundedSemaphore
from typing import Any
from urllib.parse import urlencode

from fastapi import FastAPI, HTTPException, Request, Response

from changes.base import db, idempotency, questions
from changes.base.errors import NotSignedIn
from changes.base.questions import Question
from changes.people.rules import Scope
from changes.projects import looks
from changes.web import answers, auth, tables
from changes.web.auth import Caller

HEADER = "Idempotency-Key"
DOOR = "/auth/login/"
# For a repository that does not answer; most proxies wait a minute.
LOOK_MAX_S = 30.0
# Requests that look at once: as many others always find a thread.
LOOKING_MAX = 16
looking = BoundedSemaphore(LOOKING_MAX)


@dataclass(frozen=True)
class Call:
    session: db.Session
    caller: Caller
    once: idempotency.Request | None = None
    # Of the table that a GET asks for instead of JSON (tables.py).
    table: tables.Wanted | None = None

    def may_administer(self, slug: str) -> bool:
        return self.caller.may_administer(slug)

    def require_project(self, slug: str) -> None:
        """For what only those may do who administer this project."""
        auth.require_project(self.caller, slug)

    def answer(self, data: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
        self.remember(data, status)
        if self.table is not None:
            return tables.answer(data, self.table, headers or {})
        return answers.json(data, status, headers)

    def answer_secret(self, data: dict[str, Any], name: str) -> Response:
        """A secret is told once: who asks again with the same key learns all but that."""
        self.remember({**data, name: None}, 201)
        return answers.json(data, 201)

    def go(self, where: str, toast: str = "") -> Response:
        """After a form; whoever sent it twice is led to the same place, and it was done once."""
        self.remember({"where": where, "toast": toast}, answers.SEE_OTHER)
        return answers.go(where, toast)

    def answer_nothing(self) -> Response:
        if self.once is not None:
            idempotency.finish(self.session, self.once, 204, b"")
        return Response(status_code=204)

    def remember(self, data: Any, status: int) -> None:
        if self.once is not None:
            idempotency.finish(self.session, self.once, status, bytes(answers.json(data).body))


class Replayed(Exception):
    """The request was answered before; this is that answer."""

    def __init__(self, status: int, body: bytes) -> None:
        super().__init__(status)
        self.status = status
        self.body = body


@contextmanager
def begin(request: Request, needed: Scope, foreseen: Sequence[Question] = ()) -> Iterator[Call]:
    """Commits when the block ends well. A POST with a key that was used gets its first answer. What is
    foreseen to be asked is asked together with who asks.
    """
    prepared: looks.Looks | None = getattr(request.state, "looks", None)
    with db.transaction() as session, looks.used(session, prepared):
        questions.foresee(session, *foreseen)
        caller = recognise(session, request)
        auth.require(caller, needed)
        once = repeatable(request, caller)
        if once is not None:
            stored = idempotency.begin(session, once)
            if stored is not None:
                raise Replayed(stored.status or 200, stored.body or b"")
        yield Call(session, caller, once, tables.wanted(request))


def with_looks(request: Request, act: Callable[[], Response]) -> Response:
    """For what may have to ask a repository: no transaction is open meanwhile. It may run several times."""

    def prepared(found: looks.Looks) -> Response:
        request.state.looks = found
        return act()

    return looks.outside(prepared, LOOK_MAX_S, looking)


def recognise(session: db.Session, request: Request) -> Caller:
    """Kept beside the request, too, for the frame of whatever page answers it."""
    request.state.caller = auth.identify(session, request)
    caller: Caller = request.state.caller
    return caller


@contextmanager
def acting(request: Request, needed: Scope) -> Iterator[Call]:
    """For pages and their forms: a stranger is led to the one about signing in, and back."""
    try:
        with begin(request, needed) as this:
            yield this
    except NotSignedIn:
        raise HTTPException(303, headers={"Location": door_and_back(request)}) from None


@contextmanager
def reading(request: Request) -> Iterator[Call]:
    with acting(request, Scope.READ) as this:
        yield this


def door_and_back(request: Request) -> str:
    """A form that was sent is not sent again by a redirect, so only what was read is led back to."""
    if request.method not in auth.READING or request.url.path == "/":
        return DOOR
    here = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    return f"{DOOR}?{urlencode({'next': here})}"


@contextmanager
def open_to_all(request: Request) -> Iterator[Call]:
    """For the few addresses that anybody may ask, signed in or not."""
    with db.transaction() as session:
        yield Call(session, recognise(session, request))


def repeatable(request: Request, caller: Caller) -> idempotency.Request | None:
    key, once = request.headers.get(HEADER), getattr(request.state, "once", None)
    if request.method != "POST" or (key is None and not once):
        return None
    digest = digest_of(request)
    if key is None:
        # Somebody who goes back and types something else asks for something else.
        key = f"form {once} {digest}"
    return idempotency.Request(asker=caller.key, key=key, digest=digest)


def as_text(value: object) -> str:
    """What JSON has no word for: the bytes of a file, an id, a point in time."""
    return hashlib.sha256(value).hexdigest() if isinstance(value, bytes) else str(value)


def digest_of(request: Request) -> str:
    """Of what is asked, not of how it is written: a form sent again has another boundary."""
    asked = getattr(request.state, "asked", None)
    values = asked.model_dump() if asked is not None else {}
    text = json.dumps(values, sort_keys=True, default=as_text)
    return hashlib.sha256(f"{request.method} {request.url.path} {text}".encode()).hexdigest()


def answer_again(request: Request, error: Replayed) -> Response:
    if error.status == answers.SEE_OTHER:
        return answers.go(**json.loads(error.body))
    headers = {**answers.HEADERS, "Idempotent-Replayed": "true"}
    kind = "application/json" if error.body else None
    return Response(error.body, error.status, headers, media_type=kind)


def install(app: FastAPI) -> None:
    app.add_exception_handler(Replayed, answer_again)  # type: ignore[arg-type]
