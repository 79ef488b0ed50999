"""Seals what must not be readable in a copy of the database: tokens, keys, secrets of projects.

The key is derived from the server's secret key, which lives outside the database. A sealed value
is bound to the purpose it was sealed for: moved into another row, it does not open.
"""

import base64
import functools
import hmac
import os

from changes.base import process
from changes.base.errors import ChangesError
from changes.base.settings import secret_key

VERSION = b"\x01"
NONCE_BYTES = 12
KEY_BYTES = 32


class Unreadable(ChangesError):
    """Sealed with another key, for another purpose, or damaged."""


def seal(text: str, purpose: str) -> bytes:
    """`purpose` names the owner, for instance `repository:<id>`."""
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    nonce = os.urandom(NONCE_BYTES)
    return VERSION + nonce + AESGCM(_key()).encrypt(nonce, text.encode(), _bound_to(purpose, VERSION))


def unseal(sealed: bytes, purpose: str) -> str:
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    nonce, rest = sealed[1 : 1 + NONCE_BYTES], sealed[1 + NONCE_BYTES :]
    try:
        return AESGCM(_key()).decrypt(nonce, rest, _bound_to(purpose, sealed[:1])).decode()
    except (InvalidTag, ValueError):
        raise Unreadable(
            "A stored secret cannot be opened: SECRET_KEY is not the one it was sealed with. Enter it anew."
        ) from None


def derive(purpose: str) -> str:
    """A secret that nobody stores: the same for the same purpose, as long as the server's key is."""
    digest = hmac.digest(_key(), b"derived:" + purpose.encode(), "sha256")
    return base64.urlsafe_b64encode(digest).decode().rstrip("=")


def _bound_to(purpose: str, version: bytes) -> bytes:
    return version + purpose.encode()


def _key() -> bytes:
    return _derived(secret_key(process.settings.get()))


@functools.lru_cache(maxsize=4)
def _derived(secret: str) -> bytes:
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF

    return HKDF(hashes.SHA256(), KEY_BYTES, salt=None, info=b"changes sealed values").derive(secret.encode())
