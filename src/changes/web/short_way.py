"""A short way in for what is asked for each build: found before all other routes, and called at once.

These calls read their own bodies and need nothing of what FastAPI does around a call, which costs more
than most of them do. They stay declared as operations like all others, so the API is described whole.
"""

from collections.abc import Awaitable, Callable
from typing import Any

from fastapi import Request, Response
from starlette.routing import Match, Route
from starlette.types import Scope

Endpoint = Callable[..., Awaitable[Response]]


class ShortWay(Route):
    def __init__(self, path: str, endpoint: Endpoint) -> None:
        async def call(request: Request) -> Response:
            return await endpoint(request, **request.path_params)

        super().__init__(path, call, methods=["POST"])

    def matches(self, scope: Scope) -> tuple[Match, dict[str, Any]]:
        """Any other method is for the route that is declared."""
        match, found = super().matches(scope)
        if match != Match.FULL:
            return Match.NONE, {}
        # By its path the time it takes is counted.
        return match, {**found, "route": self}
