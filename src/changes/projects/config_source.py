"""A file that says how to build, as it is in a source: at its revision, with its patch on top."""

from sqlalchemy.orm import Session

from changes.projects import config_patch, patches
from changes.projects.models import Source


def with_patch(session: Session, text: str, source: Source, name: str) -> str:
    """Raises Invalid where the patch does not apply to it."""
    if source.patch is None:
        return text
    return config_patch.applied(text, patches.content(session, source.patch), name)
