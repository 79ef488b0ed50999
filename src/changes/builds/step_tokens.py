"""A step's token opens that step only, for as long as the step is in somebody's hands.

It is computed, not stored: a proof of the step's id with a key that only the servers have. So handing
out a step costs nothing more, and a copy of the database opens no step.
"""

import functools
import hmac
from base64 import urlsafe_b64encode
from uuid import UUID

from changes.base import ids, process
from changes.base.errors import Invalid
from changes.base.settings import secret_key

PREFIX = "chs_"
PURPOSE = b"changes step tokens"


def make(step_id: UUID) -> str:
    return f"{PREFIX}{step_id.hex}.{_proof(step_id, secret_key(process.settings.get()))}"


def is_one(secret: str) -> bool:
    return secret.startswith(PREFIX)


def step_of(secret: str) -> UUID | None:
    """None for one that we did not make."""
    text, _, _ = secret.removeprefix(PREFIX).partition(".")
    try:
        step_id = ids.parse(text)
    except Invalid:
        return None
    is_ours = hmac.compare_digest(make(step_id).encode(), secret.encode(errors="replace"))
    return step_id if is_ours else None


@functools.lru_cache(maxsize=1024)
def _proof(step_id: UUID, secret: str) -> str:
    key = hmac.digest(secret.encode(), PURPOSE, "sha256")
    return urlsafe_b64encode(hmac.digest(key, step_id.bytes, "sha256")).decode().rstrip("=")
