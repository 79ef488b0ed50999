"""Who cancelled the builds of the filling that somebody cancelled: mostly whoever had asked for them."""

from sqlalchemy import select
from sqlalchemy.orm import Session

from changes.app.demo.dice import Dice
from changes.app.demo.people import PEOPLE
from changes.app.demo.rows import Ids
from changes.base import db
from changes.builds import reasons
from changes.builds.models import Build, FailureReason
from changes.builds.rules import Result

WHO = [person for person in PEOPLE if person.signs_in]


def tell(session: Session, seed: int) -> None:
    made = Ids(Dice(seed))
    untold = ~select(FailureReason.id).where(FailureReason.build_id == Build.id).exists()
    aborted = select(Build).where(Build.result == Result.ABORTED, untold)
    rows = [
        {
            "id": made.at(build.date_finished),
            "date_created": build.date_finished,
            "build_id": build.id,
            "reason": reasons.CANCELLED,
            "data": {"by": whom(build), "what": "the build"},
        }
        for build in session.execute(aborted.order_by(Build.id)).unique().scalars()
        if build.date_finished is not None
    ]
    db.insert_rows(session, FailureReason, rows)


def whom(build: Build) -> str:
    """Programs cancel nothing."""
    usual = build.author.email if build.author and not build.tags else ""
    return build.asked_by or usual or WHO[build.number % len(WHO)].email
