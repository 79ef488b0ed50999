"""What administrators do with users. There is always one administrator left who can sign in."""

from collections.abc import Sequence

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from changes.base import clock
from changes.base.errors import Conflict, Invalid
from changes.people import sessions
from changes.people.models import User

PATTERN_MAX = 64
PATTERNS_MAX = 50
THEMES = ("", "light", "dark")


def set_rights(session: Session, user: User, *, is_admin: bool, patterns: Sequence[str]) -> None:
    """`patterns` are of slugs: whose projects this person may administer."""
    if user.is_admin and not is_admin:
        require_another_administrator(session, user)
    user.project_permissions = checked_patterns(patterns)
    user.is_admin = is_admin
    session.flush()


def checked_patterns(patterns: Sequence[str]) -> list[str]:
    kept = list(dict.fromkeys(each.strip() for each in patterns if each.strip()))
    if len(kept) > PATTERNS_MAX:
        raise Invalid(f"There are at most {PATTERNS_MAX} patterns.", ["patterns"])
    for each in kept:
        if len(each) > PATTERN_MAX or any(c.isspace() or not c.isprintable() for c in each):
            raise Invalid(f"{each[:PATTERN_MAX]!r} is no pattern of a project's short name.", ["patterns"])
    return kept


def disable(session: Session, user: User) -> None:
    """Signs them out everywhere, at once; what they did stays theirs."""
    require_another_administrator(session, user)
    user.date_disabled = user.date_disabled or clock.now()
    sessions.end_all(session, user)
    session.flush()


def enable(session: Session, user: User) -> None:
    user.date_disabled = None
    session.flush()


def require_enabled(user: User) -> None:
    if user.date_disabled is not None:
        raise Conflict(f"The account of {user.email} is disabled, so a link would not let anybody in.")


def remove(session: Session, user: User) -> None:
    """With their sessions and tokens."""
    require_another_administrator(session, user)
    session.execute(delete(User).where(User.id == user.id))
    session.expunge(user)


def require_another_administrator(session: Session, user: User) -> None:
    """Locks them all, so that two cannot take each other's rights away at the same moment."""
    able = select(User.id).where(User.is_admin, User.date_disabled.is_(None))
    others = set(session.execute(able.order_by(User.id).with_for_update()).scalars()) - {user.id}
    if not others:
        raise Conflict(f"{user.email} is the only administrator. Make somebody else one before.")


def set_taste(user: User, *, theme: str, is_colorblind: bool) -> None:
    if theme not in THEMES:
        raise Invalid("The theme is light, dark, or that of the system.", ["theme"])
    user.theme, user.is_colorblind = theme, is_colorblind
