"""Parameters by query, form or JSON body, any of them, as the original took them."""

import json
from typing import Annotated, Any, Self, TypeVar
from urllib.parse import parse_qs

from fastapi import Depends, Request
from pydantic import BaseModel, BeforeValidator, ConfigDict, model_validator
from starlette.datastructures import UploadFile
from starlette.types import Message, Receive

from changes.base.errors import Invalid, TooLarge
from changes.web import auth, storable

BODY_MAX_BYTES = 32 * 1024 * 1024
STRANGERS_MAX_BYTES = 16 * 1024
# Where a form brings what tells this drawing of it from every other.
ONCE_FIELD = "once"
Model = TypeVar("Model", bound=BaseModel)


class Parameters(BaseModel):
    """Parent of every model of parameters. What nobody knows is ignored, as it always was."""

    model_config = ConfigDict(frozen=True, populate_by_name=True, extra="ignore")

    @model_validator(mode="after")
    def is_storable(self) -> Self:
        for name, field in type(self).model_fields.items():
            storable.refuse_others(getattr(self, name), field.alias or name)
        return self


def from_json(value: Any) -> Any:
    """A list or mapping that came through a form is JSON text there."""
    if not isinstance(value, (str, bytes)):
        return value
    try:
        return loads(value)
    except (ValueError, RecursionError):
        raise ValueError("this must be JSON") from None


def loads(text: str | bytes) -> Any:
    return json.loads(text, parse_constant=refuse_constant)


def refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def blank_is_none(value: Any) -> Any:
    return None if value == "" else value


def blank_is_false(value: Any) -> Any:
    return False if value == "" else value


def as_list(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


Json = BeforeValidator(from_json)
OptionalText = Annotated[str | None, BeforeValidator(blank_is_none)]
TextList = Annotated[list[str], BeforeValidator(as_list)]
Flag = Annotated[bool, BeforeValidator(blank_is_false)]


def parameters(model: type[Model]) -> Any:
    """A FastAPI dependency that reads `model` from wherever its values stand."""

    async def depend(request: Request) -> Model:
        return await read(request, model)

    return Depends(depend)


async def read(request: Request, model: type[Model]) -> Model:
    asked = model.model_validate(await merged(request))
    request.state.asked = asked
    return asked


def form_of_strangers(model: type[Model]) -> Any:
    """The same for the few forms that nobody has signed in for yet: a page of ours, and small."""

    async def read(request: Request) -> Model:
        auth.refuse_foreign_page(request)
        values = await from_body(request, STRANGERS_MAX_BYTES)
        values.pop(auth.PROOF_FIELD, None)
        return model.model_validate(dict(request.query_params) | values)

    return Depends(read)


async def merged(request: Request) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for name in request.query_params:
        given = request.query_params.getlist(name)
        values[name] = given if len(given) > 1 else given[0]
    if request.method not in ("GET", "HEAD", "DELETE"):
        # Nobody changes anything without key or cookie, so no memory is spent on strangers.
        auth.refuse_strangers(request)
        values |= await from_body(request)
        request.state.proof = values.pop(auth.PROOF_FIELD, None)
        request.state.once = values.pop(ONCE_FIELD, None)
    return values


async def body_of(request: Request, max_bytes: int = BODY_MAX_BYTES) -> bytes:
    """All of it, if it is not too much; whoever sends more is stopped before it fills the memory."""
    too_large = TooLarge(f"A request to this address has at most {max_bytes} bytes.")
    length = request.headers.get("Content-Length", "0")
    if length.isdecimal() and int(length) > max_bytes:
        raise too_large
    pieces, size_bytes = [], 0
    async for piece in request.stream():
        size_bytes += len(piece)
        if size_bytes > max_bytes:
            raise too_large
        pieces.append(piece)
    return b"".join(pieces)


async def from_body(request: Request, max_bytes: int = BODY_MAX_BYTES) -> dict[str, Any]:
    body = await body_of(request, max_bytes)
    kind = request.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if kind == "application/x-www-form-urlencoded":
        return from_fields(body)
    if kind == "multipart/form-data":
        return await from_form(Request(request.scope, replay(body)))
    return read_json(body) if body.strip() else {}


def replay(body: bytes) -> Receive:
    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    return receive


def from_fields(body: bytes) -> dict[str, Any]:
    values: dict[str, list[str]] = parse_qs(body.decode("latin-1"), keep_blank_values=True)
    return {name: given if len(given) > 1 else given[0] for name, given in values.items()}


async def from_form(request: Request) -> dict[str, Any]:
    """Starlette refuses what it cannot read with a 400 of its own."""
    values: dict[str, Any] = {}
    async with request.form(max_part_size=BODY_MAX_BYTES) as form:
        for name in form:
            given = [await content_of(value) for value in form.getlist(name)]
            values[name] = given if len(given) > 1 else given[0]
    return values


async def content_of(value: UploadFile | str) -> str | bytes:
    return value if isinstance(value, str) else await value.read()


def read_json(body: bytes) -> dict[str, Any]:
    try:
        data = loads(body)
    except (ValueError, RecursionError):
        raise Invalid("The body is neither a form nor JSON.") from None
    if not isinstance(data, dict):
        raise Invalid("The body must be a JSON object.")
    return data


def documented(model: type[BaseModel]) -> dict[str, Any]:
    """What OpenAPI shows of a model that is read by `parameters`."""
    schema = model.model_json_schema(by_alias=True)
    kinds = ("application/json", "application/x-www-form-urlencoded", "multipart/form-data")
    return {"requestBody": {"content": {kind: {"schema": schema} for kind in kinds}}}


PAGING = [
    {"name": "page", "in": "query", "required": False, "schema": {"type": "integer", "minimum": 1}},
    {
        "name": "per_page",
        "in": "query",
        "required": False,
        "description": "0 means as many as there are, but not more than 1,000",
        "schema": {"type": "integer", "minimum": 0, "maximum": 100},
    },
]


BY_ID = [
    {
        "name": name,
        "in": "query",
        "required": False,
        "description": f"instead of page: rows {than} than the one with this id; Link leads on",
        "schema": {"type": "string"},
    }
    for name, than in (("after", "older"), ("before", "newer"))
]


def documented_query(
    model: type[BaseModel] = Parameters, *, paged: bool = False, by_id: bool = False
) -> dict[str, Any]:
    schema = model.model_json_schema(by_alias=True)
    required = schema.get("required", [])
    own = [
        {"name": name, "in": "query", "required": name in required, "schema": each}
        for name, each in schema["properties"].items()
    ]
    return {"parameters": [*own, *(PAGING if paged else []), *(BY_ID if by_id else [])]}
