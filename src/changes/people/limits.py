"""How often something may be tried: counted in the database, so that all processes count together."""

import math
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import case, delete, func
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from changes.base.errors import TooOften
from changes.people.models import Tries

# The longest window below, and some room.
FORGOTTEN_AFTER = timedelta(days=1)


@dataclass(frozen=True)
class Limit:
    """At most so many tries of one key within one window."""

    name: str
    tries: int
    window: timedelta

    def key(self, whose: str) -> str:
        return f"{self.name} {whose}"


PASSWORD_OF_ACCOUNT = Limit("password of", 10, timedelta(minutes=15))
# Many people may sit behind one address.
PASSWORD_FROM_ADDRESS = Limit("password from", 100, timedelta(minutes=15))
PROVIDER_FROM_ADDRESS = Limit("provider from", 300, timedelta(minutes=15))


def count_try(session: Session, limit: Limit, whose: str) -> None:
    """Raises TooOften when the key had its tries for this window. Commit it even if the try fails."""
    now = func.now()
    is_over = Tries.date_window_began < now - limit.window
    row = insert(Tries).values(key=limit.key(whose), count=1, date_window_began=now)
    counted, began, asked_at = session.execute(
        row.on_conflict_do_update(
            index_elements=[Tries.key],
            set_={
                "count": case((is_over, 1), else_=Tries.count + 1),
                "date_window_began": case((is_over, now), else_=Tries.date_window_began),
            },
        ).returning(Tries.count, Tries.date_window_began, now)
    ).one()
    if counted > limit.tries:
        wait = began + limit.window - asked_at
        raise TooOften(f"Too many tries. Please wait {in_words(wait)}.", math.ceil(wait.total_seconds()))


def in_words(wait: timedelta) -> str:
    minutes = max(1, math.ceil(wait.total_seconds() / 60))
    return "a minute" if minutes == 1 else f"{minutes} minutes"


def forget(session: Session, limit: Limit, whose: str) -> None:
    session.execute(delete(Tries).where(Tries.key == limit.key(whose)))


def clean(session: Session) -> int:
    old = delete(Tries).where(Tries.date_window_began < func.now() - FORGOTTEN_AFTER)
    return len(session.execute(old.returning(Tries.key)).all())
