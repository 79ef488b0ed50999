"""Webhooks of repositories: somebody tells that there is something new, and it is looked at once.

Nothing of what is sent is believed or kept; a ring says only "look now". The address holds a key that
nobody can guess; GitHub, Gitea and Forgejo also sign what they send with a secret of its own.
"""

import hashlib
import hmac
from uuid import UUID

from sqlalchemy.orm import Session

from changes.base import secrets
from changes.base.errors import Forbidden, NotFound
from changes.base.process import settings
from changes.projects import tasks
from changes.projects.models import Repository

# Who signs at all must sign rightly; the first one that is there counts.
SIGNATURES = ("x-hub-signature-256", "x-gitea-signature", "x-forgejo-signature", "x-gogs-signature")
TOKEN_HEADER = "x-gitlab-token"  # noqa: S105 -- the name of a header


def key_of(repository: Repository) -> str:
    """Derived, not stored: a stolen database rings nothing."""
    return secrets.derive(f"hook:{repository.id.hex}:{repository.hook_number}")


def address_of(repository: Repository) -> str:
    """Where other systems ring."""
    return f"{settings.get().base_url}/hooks/repositories/{repository.id.hex}/{key_of(repository)}/"


def secret_of(repository: Repository) -> str:
    return secrets.derive(f"hook secret:{repository.id.hex}:{repository.hook_number}")


def change_key(repository: Repository) -> None:
    """The address and the secret that somebody has lost are worth nothing any more."""
    repository.hook_number += 1


def ring(session: Session, repository_id: UUID, key: str, body: bytes, headers: dict[str, str]) -> None:
    repository = session.get(Repository, repository_id)
    if repository is None or not hmac.compare_digest(key_of(repository).encode(), key.encode()):
        raise NotFound("There is no such webhook.")
    check_signature(secret_of(repository), body, headers)
    tasks.ask_for_sync(session, repository)


def check_signature(secret: str, body: bytes, headers: dict[str, str]) -> None:
    """The bare address is enough for those who sign nothing."""
    expected = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    given = next((headers[name] for name in SIGNATURES if name in headers), None)
    if given is not None and not same(given.removeprefix("sha256="), expected):
        raise Forbidden("The signature does not fit: is the secret of the webhook the one shown here?")
    token = headers.get(TOKEN_HEADER)
    if token is not None and not same(token, secret):
        raise Forbidden("The token does not fit: is it the secret of the webhook shown here?")


def same(given: str, expected: str) -> bool:
    return hmac.compare_digest(given.encode(), expected.encode())
