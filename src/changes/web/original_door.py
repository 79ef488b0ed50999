"""The door for programs of the original: their key stands in the address. Nobody else is listened to."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from fastapi import Request
from fastapi.concurrency import run_in_threadpool
from pydantic import BaseModel

from changes.base import db
from changes.builds.original import keys
from changes.builds.original.keys import Access
from changes.web import params, storable

PREFIX = "/original/{capability}"
QUESTION_MAX_BYTES = 1024 * 1024
Model = TypeVar("Model", bound=BaseModel)


@contextmanager
def opened(request: Request) -> Iterator[tuple[db.Session, Access]]:
    with db.transaction() as session:
        yield session, keys.open_with(session, request.path_params["capability"])


def let_in(request: Request) -> Access:
    with opened(request) as (_, access):
        return access


async def told(request: Request, kind: type[Model], max_bytes: int = QUESTION_MAX_BYTES) -> Model:
    """As JSON, as a form or in parts; the names of the original's fields may be written in any case."""
    await run_in_threadpool(let_in, request)
    values = storable.without_nul(await params.from_body(request, max_bytes))
    named = {name.lower(): name for each in kind.model_fields.items() for name in names_of(*each)}
    return kind.model_validate({named.get(name.lower(), name): value for name, value in values.items()})


def names_of(name: str, field: Any) -> tuple[str, ...]:
    return (name, field.alias) if field.alias else (name,)


async def no_body(request: Request) -> None:
    """What is in it says nothing."""
    await run_in_threadpool(let_in, request)
    await params.body_of(request, QUESTION_MAX_BYTES)


def masked(request: Request, data: bytes) -> bytes:
    """An agent may print the address of its server into its log; who has that address may speak for it."""
    secret = request.path_params["capability"].encode()
    return data.replace(secret, b"*" * len(secret))
