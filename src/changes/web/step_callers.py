"""Who may speak about a step: the agent that holds it, and whoever brings the step's own token."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

from fastapi import Request
from psycopg import AsyncConnection

from changes.base.errors import Forbidden, NotSignedIn
from changes.builds import nodes, step_tokens
from changes.web import asking, auth


def agent_key(request: Request) -> str | None:
    """None for a step's own token, and for nothing."""
    secret = auth.bearer(request)
    return None if secret is None or step_tokens.is_one(secret) else secret


@asynccontextmanager
async def holding(request: Request, step_id: UUID) -> AsyncIterator[tuple[AsyncConnection[Any], UUID]]:
    """A connection, and the machine in whose name is spoken; whether it holds the step is asked later."""
    async with request.app.state.pool.connection() as connection:
        secret = auth.bearer(request)
        if secret is None or not step_tokens.is_one(secret):
            yield connection, (await asking.recognised(request, connection)).id
            return
        opened = step_tokens.step_of(secret)
        if opened is not None and opened != step_id:
            raise Forbidden("This token opens another step.")
        node_id = await nodes.holder_of(connection, step_id) if opened else None
        if node_id is None:
            raise NotSignedIn("This token opens no step, or the machine that ran it was sent away.")
        yield connection, node_id
