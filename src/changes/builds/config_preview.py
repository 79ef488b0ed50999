"""What the source of a build changes of the plans in its repository."""

from sqlalchemy.orm import Session

from changes.base.errors import Invalid
from changes.builds import config_reading
from changes.builds.anatomy import Opened
from changes.builds.config_reading import Preview
from changes.builds.models import Build
from changes.projects import config, config_patch, patches
from changes.projects.models import Revision, Source


def of_build(session: Session, build: Build) -> Preview | None:
    """None where it changes nothing of them, or where nobody knows what was there before."""
    source = build.source
    if source.patch is None:
        return between(text_of_parent(session, source), source.revision.config)
    return patched(source.revision.config, patches.content(session, source.patch))


def shown(opened: Opened) -> Preview | None:
    """As far as a page may look: not into patches that are too large for a row."""
    source = opened.build.source
    if source.patch_id is None:
        return between(opened.config_of_parent, source.revision.config)
    return patched(source.revision.config, opened.patch_of_config) if opened.patch_of_config else None


def patched(before: str | None, diff: bytes) -> Preview | None:
    try:
        return between(before or "", config_patch.applied(before or "", diff, config.FILE_NAME))
    except Invalid as error:
        return Preview(problem=error.message)


def between(before: str | None, after: str | None) -> Preview | None:
    if before is None or before == (after or ""):
        return None
    found = config_reading.preview(before, after or "")
    return None if found.is_empty else found


def text_of_parent(session: Session, source: Source) -> str | None:
    if not source.revision.parents:
        return None
    parent = session.get(Revision, (source.repository_id, source.revision.parents[0]))
    return parent.config if parent is not None else None
