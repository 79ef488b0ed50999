"""What time it is for what cannot be taken back: the clock of this machine and that of the database must
agree that something is old. One that runs ahead of the other removes nothing.
"""

from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from changes.base import clock
from changes.base.task import NOW


def earlier(session: Session) -> datetime:
    return min(clock.now(), session.execute(select(NOW)).scalar_one())
