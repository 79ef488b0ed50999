"""Visits to a provider: begun here, kept while somebody is away, and ended once."""

from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import delete
from sqlalchemy.orm import Session

from changes.base import clock
from changes.base.errors import Forbidden
from changes.people import secrets
from changes.people.models import ProviderVisit

VISIT_VALID = timedelta(minutes=10)
OVER = (
    "This sign-in was finished already, took too long, or was begun in another browser. Please start again."
)


@dataclass(frozen=True)
class Kept:
    nonce: str
    verifier: str
    landing: str


def begin(session: Session, state: str, kept: Kept) -> None:
    session.add(
        ProviderVisit(
            digest=secrets.digest(state),
            nonce=kept.nonce,
            verifier=kept.verifier,
            landing=kept.landing,
            date_expires=clock.now() + VISIT_VALID,
        )
    )
    session.flush()


def end(session: Session, state: str) -> Kept:
    """Whoever comes with the same state a second time is too late."""
    mine = delete(ProviderVisit).where(
        ProviderVisit.digest == secrets.digest(state), ProviderVisit.date_expires > clock.now()
    )
    row = session.execute(
        mine.returning(ProviderVisit.nonce, ProviderVisit.verifier, ProviderVisit.landing)
    ).one_or_none()
    if row is None:
        raise Forbidden(OVER)
    return Kept(row.nonce, row.verifier, row.landing)
