"""What the source of a build changes of the plans in its repository."""

from sqlalchemy.orm import Session

from changes.base.errors import Invalid
from changes.builds import config_reading
from changes.builds.config_reading import Preview
from changes.builds.models import Build
from changes.projects import config, config_source
from changes.projects.models import Revision, Source


def of_build(session: Session, build: Build) -> Preview | None:
    """None where it changes nothing of them, or where nobody knows what was there before."""
    before = text_before(session, build.source)
    if before is None:
        return None
    try:
        after = text_of(session, build.source)
    except Invalid as error:
        return Preview(problem=error.message)
    if before == after:
        return None
    found = config_reading.preview(before, after)
    return None if found.is_empty else found


def text_of(session: Session, source: Source) -> str:
    return config_source.with_patch(session, source.revision.config or "", source, config.FILE_NAME)


def text_before(session: Session, source: Source) -> str | None:
    """A patch is compared with its commit, a commit with its first parent."""
    if source.patch_id is not None:
        return source.revision.config or ""
    if not source.revision.parents:
        return None
    parent = session.get(Revision, (source.repository_id, source.revision.parents[0]))
    return parent.config if parent is not None else None
