"""Caches between builds: found by key, kept once, never changed, the least used gone first.

What an untrusted build keeps lies in a realm of its own: only builds of the same source find it. It
may begin with what trusted builds kept; they never see what it has written.
"""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import Select, case, delete, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from changes.base import clock, ids
from changes.base.errors import Invalid, NotFound, TooLarge
from changes.builds import blobs
from changes.builds.blobs import Holder
from changes.builds.keeping_said import KEY_MAX
from changes.builds.models import Build, Job, JobStep
from changes.builds.snapshot_models import CacheEntry
from changes.projects import options, queries
from changes.projects.models import Project
from changes.projects.options import CACHE_LIMIT
from changes.protocol import CacheAsk, CacheFound, CacheSave

TRUSTED = ""
MEGABYTE = 2**20
# Of what a project may keep, all untrusted builds together get this part, and never displace the rest.
STRANGERS_SHARE = 4
RESTORE_KEYS_MAX = 20


def build_of(session: Session, step: JobStep) -> Build:
    return session.execute(
        select(Build).join(Job, Job.build_id == Build.id).where(Job.id == step.job_id)
    ).scalar_one()


def realm_of(build: Build) -> str:
    return TRUSTED if build.is_trusted else build.source_id.hex


def realms_read_by(build: Build) -> list[str]:
    """Its own first."""
    return list(dict.fromkeys([realm_of(build), TRUSTED]))


def find(session: Session, holder: Holder, ask: CacheAsk) -> CacheFound:
    build = build_of(session, blobs.held(session, holder))
    realms = realms_read_by(build)
    entry = exact(session, build.project_id, realms, ask.key)
    for beginning in ask.restore_keys[:RESTORE_KEYS_MAX]:
        entry = entry or newest(session, build.project_id, realms, beginning)
    if entry is None:
        return CacheFound()
    entry.date_used = clock.now()
    return CacheFound(key=entry.key, sha256=entry.sha256, size_bytes=entry.size_bytes)


def exact(session: Session, project_id: UUID, realms: Sequence[str], key: str) -> CacheEntry | None:
    mine = select(CacheEntry).where(CacheEntry.project_id == project_id, CacheEntry.key == key)
    return first_of(session, mine.where(CacheEntry.realm.in_(realms)), realms)


def newest(session: Session, project_id: UUID, realms: Sequence[str], beginning: str) -> CacheEntry | None:
    fits = func.starts_with(CacheEntry.key, beginning)
    mine = select(CacheEntry).where(CacheEntry.project_id == project_id, fits)
    return first_of(session, mine.where(CacheEntry.realm.in_(realms)), realms)


def first_of(session: Session, wanted: Select[CacheEntry], realms: Sequence[str]) -> CacheEntry | None:
    own_first = case((CacheEntry.realm == realms[0], 0), else_=1)
    return session.execute(wanted.order_by(own_first, CacheEntry.id.desc()).limit(1)).scalar_one_or_none()


def may_read(session: Session, build: Build, sha256: str) -> bool:
    mine = select(CacheEntry.id).where(
        CacheEntry.project_id == build.project_id,
        CacheEntry.realm.in_(realms_read_by(build)),
        CacheEntry.sha256 == sha256,
    )
    return session.execute(mine.limit(1)).first() is not None


def save(session: Session, holder: Holder, asked: CacheSave) -> None:
    """The first one stays, whatever others send under the same key."""
    build = build_of(session, blobs.held(session, holder))
    if not asked.key.strip() or len(asked.key) > KEY_MAX or not asked.key.isprintable():
        raise Invalid(f"key must be one line of at most {KEY_MAX} letters", ["key"])
    blob = blobs.sent_by(session, holder.step_id, asked.sha256)
    project = (
        session.execute(select(Project).where(Project.id == build.project_id).with_for_update(key_share=True))
        .unique()
        .scalar_one()
    )
    room_bytes = room_of(session, project, realm_of(build))
    if blob.size_bytes > room_bytes:
        raise TooLarge(f"A cache of {project.slug} has at most {room_bytes // MEGABYTE} MB ({CACHE_LIMIT}).")
    row = insert(CacheEntry).values(
        id=ids.new(),
        project_id=build.project_id,
        realm=realm_of(build),
        key=asked.key,
        sha256=blob.sha256,
        size_bytes=blob.size_bytes,
        date_created=clock.now(),
        date_used=clock.now(),
    )
    session.execute(row.on_conflict_do_nothing())
    make_room(session, project.id, realm_of(build), room_bytes)


def room_of(session: Session, project: Project, realm: str) -> int:
    limit_mb = int(options.with_defaults(queries.options(session, project))[CACHE_LIMIT])
    return limit_mb * MEGABYTE // (1 if realm == TRUSTED else STRANGERS_SHARE)


def make_room(session: Session, project_id: UUID, realm: str, room_bytes: int) -> None:
    """What was used longest ago goes; its bytes follow when nothing else needs them."""
    group = (CacheEntry.realm == TRUSTED) if realm == TRUSTED else (CacheEntry.realm != TRUSTED)
    newest_first = select(CacheEntry.id, CacheEntry.size_bytes).where(
        CacheEntry.project_id == project_id, group
    )
    kept_bytes, too_many = 0, []
    for entry_id, size_bytes in session.execute(
        newest_first.order_by(CacheEntry.date_used.desc(), CacheEntry.id.desc())
    ):
        kept_bytes += size_bytes
        if kept_bytes > room_bytes:
            too_many.append(entry_id)
    if too_many:
        session.execute(delete(CacheEntry).where(CacheEntry.id.in_(too_many)))


# --- for people ----------------------------------------------------------------------------------


def of(session: Session, project: Project) -> Sequence[CacheEntry]:
    mine = select(CacheEntry).where(CacheEntry.project_id == project.id)
    return session.execute(mine.order_by(CacheEntry.date_used.desc(), CacheEntry.id)).scalars().all()


def drop(session: Session, project: Project, entry_id: UUID) -> None:
    mine = delete(CacheEntry).where(CacheEntry.id == entry_id, CacheEntry.project_id == project.id)
    if not session.execute(mine.returning(CacheEntry.id)).all():
        raise NotFound("There is no such cache.")


def drop_all(session: Session, project: Project, beginning: str = "") -> int:
    mine = delete(CacheEntry).where(
        CacheEntry.project_id == project.id, func.starts_with(CacheEntry.key, beginning)
    )
    return len(session.execute(mine.returning(CacheEntry.id)).all())
