"""Local passwords, for those without a provider to sign them in. Kept as argon2 hashes."""

import threading
from functools import cache

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerifyMismatchError
from sqlalchemy import select
from sqlalchemy.orm import Session

from changes.base.errors import Forbidden, Invalid
from changes.people.models import User

LENGTH_MIN = 10
LENGTH_MAX = 1000
DIFFERENT_MIN = 5
WRONG = "E-mail address or password is wrong."
NOT_YOURS = "This is not your present password."

# What OWASP asks for: 19 MiB and two rounds. A web process hashes for two at a time,
# so that a crowd before the door cannot take its memory.
hasher = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)
hashing = threading.Semaphore(2)


def set_password(user: User, password: str) -> None:
    refuse_weak(user.email, password)
    with hashing:
        user.password_hash = hasher.hash(password)


def refuse_weak(email: str, password: str) -> None:
    if len(password) < LENGTH_MIN:
        raise Invalid(f"A password has at least {LENGTH_MIN} characters.", ["password"])
    if len(password) > LENGTH_MAX:
        raise Invalid(f"A password has at most {LENGTH_MAX} characters.", ["password"])
    if password.strip().lower() == email or len(set(password)) < DIFFERENT_MIN:
        raise Invalid("This password is too easy to guess.", ["password"])


def check(session: Session, email: str, password: str) -> User:
    """The user, or Forbidden with the same words and the same delay whatever was wrong."""
    user = session.execute(select(User).where(User.email == email.strip().lower())).scalar_one_or_none()
    known_hash = user.password_hash if user is not None and user.date_disabled is None else None
    matches = is_match(known_hash or nobodys_hash(), password)
    if user is None or known_hash is None or not matches:
        raise Forbidden(WRONG)
    if hasher.check_needs_rehash(known_hash):
        with hashing:
            user.password_hash = hasher.hash(password)
    return user


def require_own(user: User, password: str) -> None:
    """Before it is changed. Who has none yet was let in by other means, and may set one."""
    if user.password_hash is not None and not is_match(user.password_hash, password):
        raise Invalid(NOT_YOURS, ["current"])


def is_match(password_hash: str, password: str) -> bool:
    try:
        with hashing:
            return hasher.verify(password_hash, password[:LENGTH_MAX])
    except (VerifyMismatchError, InvalidHashError):
        return False


@cache
def nobodys_hash() -> str:
    """Checked when there is no such user, so that the answer takes as long as for one who exists."""
    return hasher.hash("nobody has this password")
