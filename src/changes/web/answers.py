"""JSON out. Everything is plain values by then; msgspec is the fastest way to bytes.

And the way on after a form, which a repeated form is led again.
"""

from typing import Any
from urllib.parse import quote

import msgspec
from fastapi import Response
from fastapi.responses import RedirectResponse

# Answers may hold secrets and other people's text: not for caches, and never a page.
HEADERS = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}


def json(data: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(
        msgspec.json.encode(data), status, {**HEADERS, **(headers or {})}, media_type="application/json"
    )


# Told by the next page, then forgotten.
TOAST_COOKIE = "changes_toast"
TOAST_VALID_S = 30
SEE_OTHER = 303


def go(where: str, toast: str = "") -> Response:
    """To the page that shows what a form has done, with a word about it. `where` is a path of ours."""
    answer = RedirectResponse(where, SEE_OTHER)
    if toast:
        answer.set_cookie(TOAST_COOKIE, quote(toast), max_age=TOAST_VALID_S, httponly=True, samesite="lax")
    return answer
