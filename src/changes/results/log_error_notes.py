"""What people know of a line that tells what went wrong: told wherever it is seen from now on."""

from sqlalchemy.orm import Session

from changes.base import clock
from changes.base.errors import Invalid
from changes.results import causes
from changes.results.log_error_models import LogError

NOTE_MAX_CHARS = 4000


def say(session: Session, found: LogError, note: str, tracker_url: str, *, by: str) -> None:
    if len(note) > NOTE_MAX_CHARS:
        raise Invalid(f"A note has at most {NOTE_MAX_CHARS} characters.", ["note"])
    found.note, found.tracker_url = note.strip(), causes.link_of(tracker_url)
    found.noted_by, found.date_noted = by, clock.now()
    session.flush()
