"""Patches that failed and came again: the second try becomes a second version, one line better."""

import re
from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from changes.app.demo.catalogue import HOST
from changes.app.demo.dice import Dice
from changes.app.demo.lives import vars_of
from changes.app.demo.rows import Ids
from changes.builds.models import Build
from changes.builds.rules import Cause
from changes.projects import patches
from changes.projects.models import Change, Patch, Repository, Source

# The newest; of those before them each stays one version.
CHANGES_MAX = 40
BEFORE_BUILD = timedelta(minutes=2)
NUMBER = re.compile(rb"seconds=\d+")
BETTER = b"seconds=30"


def tell(session: Session, seed: int) -> None:
    made = Ids(Dice(seed))
    for build in second_tries(session):
        first = build.source
        change = session.get_one(Change, first.change_id)
        if first.patch is None or change.last_source_number != 1:
            continue
        at = build.date_created - BEFORE_BUILD
        diff = NUMBER.sub(BETTER, patches.content(session, first.patch))
        second = version(session, made, first, (at, diff))
        build.source, build.cause = second, Cause.UNKNOWN
        change.last_source_number, change.date_modified = 2, at
        session.flush()


def second_tries(session: Session) -> Sequence[Build]:
    found = select(Build).join(Source, Source.id == Build.source_id)
    found = found.join(Repository, Repository.id == Source.repository_id)
    of_patches = found.where(Build.cause == Cause.RETRY, Source.patch_id.is_not(None))
    mine = of_patches.where(Repository.url.startswith(HOST, autoescape=True), Source.change_id.is_not(None))
    return session.execute(mine.order_by(Build.id.desc()).limit(CHANGES_MAX)).unique().scalars().all()


def version(session: Session, made: Ids, first: Source, what: tuple[datetime, bytes]) -> Source:
    at, diff = what
    patch = Patch(
        id=made.at(at),
        date_created=at,
        repository_id=first.repository_id,
        parent_revision_sha=first.revision_sha,
        diff=diff,
        **vars_of(diff),
    )
    second = Source(
        id=made.at(at),
        date_created=at,
        repository_id=first.repository_id,
        revision_sha=first.revision_sha,
        patch=patch,
        data=first.data,
        change_id=first.change_id,
        number=2,
    )
    session.add_all([patch, second])
    session.flush()
    return second
