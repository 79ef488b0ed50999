"""Secrets we hand out: made here, kept as digests only."""

import hashlib
import secrets

PREFIX = "chg_"


def make() -> str:
    return PREFIX + secrets.token_urlsafe(32)


def digest(secret: str) -> str:
    """256 random bits need no slow hash, and a plain one can be looked up by index."""
    return hashlib.sha256(secret.encode()).hexdigest()
