"""JSON out. Everything is plain values by then; msgspec is the fastest way to bytes."""

from typing import Any

import msgspec
from fastapi import Response

# Answers may hold secrets and other people's text: not for caches, and never a page.
HEADERS = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}


def json(data: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(
        msgspec.json.encode(data), status, {**HEADERS, **(headers or {})}, media_type="application/json"
    )
