"""A POST repeated with the same `Idempotency-Key` gets the first answer again and does nothing.

The answer is stored in the transaction of the effect, so there is never one without the other.
A second request that comes while the first still works waits for it, by the unique index.
"""

from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import UniqueConstraint, delete, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Mapped, Session

from changes.base import clock, ids
from changes.base.db import Base, Identified
from changes.base.errors import Conflict, Invalid

KEY_MAX = 255
KEEP = timedelta(days=2)


class StoredAnswer(Identified, Base):
    __tablename__ = "stored_answer"

    asker: Mapped[str]
    key: Mapped[str]
    # Of method, address and body: a key may not be used for another request.
    request_digest: Mapped[str]
    status: Mapped[int | None]
    body: Mapped[bytes | None]

    __table_args__ = (UniqueConstraint("asker", "key"),)


@dataclass(frozen=True)
class Request:
    asker: str
    key: str
    digest: str


def begin(session: Session, request: Request) -> StoredAnswer | None:
    """None for the first; the stored answer for everybody after."""
    if not request.key or len(request.key) > KEY_MAX:
        raise Invalid(f"An Idempotency-Key has 1 to {KEY_MAX} characters.", ["Idempotency-Key"])
    row = insert(StoredAnswer).values(
        id=ids.new(),
        asker=request.asker,
        key=request.key,
        request_digest=request.digest,
        date_created=clock.now(),
    )
    if session.execute(row.on_conflict_do_nothing().returning(StoredAnswer.id)).first() is not None:
        return None
    mine = (StoredAnswer.asker == request.asker, StoredAnswer.key == request.key)
    stored = session.execute(select(StoredAnswer).where(*mine)).scalar_one()
    if stored.request_digest != request.digest:
        raise Conflict("This Idempotency-Key was used for another request.", ["Idempotency-Key"])
    return stored


def finish(session: Session, request: Request, status: int, body: bytes) -> None:
    mine = (StoredAnswer.asker == request.asker, StoredAnswer.key == request.key)
    session.execute(update(StoredAnswer).where(*mine).values(status=status, body=body))


def clean(session: Session) -> int:
    old = delete(StoredAnswer).where(StoredAnswer.date_created < clock.now() - KEEP)
    return len(session.execute(old.returning(StoredAnswer.id)).all())
