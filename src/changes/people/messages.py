"""A word of the administrators to everybody, shown above every page until it is taken away."""

from typing import Any
from uuid import UUID

from psycopg import AsyncConnection
from sqlalchemy import delete, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from changes.base import bell, clock
from changes.base.errors import Invalid
from changes.people.models import AdminMessage

# The id of the only row.
THE_ONE = UUID("a35ed88b-3c0a-4a53-9c5c-0d0c2a4a5b6e")
CHANNEL = "message"
LENGTH_MAX = 500


def current(session: Session) -> AdminMessage | None:
    return session.execute(select(AdminMessage)).scalar_one_or_none()


def say(session: Session, text: str, user_id: UUID | None) -> AdminMessage | None:
    """In place of what was said before; an empty text takes it away."""
    text = " ".join(text.split())
    if len(text) > LENGTH_MAX:
        raise Invalid(f"A message above every page has at most {LENGTH_MAX} characters.", ["message"])
    bell.tell(session, CHANNEL)
    if not text:
        session.execute(delete(AdminMessage))
        return None
    values = {"message": text, "user_id": user_id, "date_created": clock.now()}
    row = insert(AdminMessage).values(id=THE_ONE, **values)
    session.execute(row.on_conflict_do_update(index_elements=[AdminMessage.id], set_=values))
    return session.get_one(AdminMessage, THE_ONE, populate_existing=True)


async def in_words(connection: AsyncConnection[Any]) -> str:
    """As every page shows it, with the name of who says it; empty without one."""
    found = await connection.execute(
        'select message, email from admin_message left join "user" on "user".id = user_id'
    )
    row = await found.fetchone()
    return "" if row is None else " \N{EN DASH} ".join(filter(None, row))
