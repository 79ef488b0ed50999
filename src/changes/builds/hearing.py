"""Whether agents could have been heard: silence while no web server ran is not theirs.

Each web server keeps one connection open to listen (base/bell.py), and the database knows since
when. Web servers and workers therefore use the same account of the database.
"""

from sqlalchemy import text
from sqlalchemy.orm import Session

from changes.base import bell

LISTENED = text(
    "select coalesce(min(backend_start) < statement_timestamp() - make_interval(secs => :for_s), false)"
    " from pg_stat_activity where datname = current_database() and application_name = :name"
)


def could_hear(session: Session, *, for_s: int) -> bool:
    """True when a web server has been listening all this time."""
    found = session.execute(LISTENED, {"for_s": for_s, "name": bell.APPLICATION_NAME})
    return bool(found.scalar_one())
