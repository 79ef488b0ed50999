"""Snapshots: what becomes of them, which one is current, and which are kept."""

from collections.abc import Collection, Mapping
from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session, selectinload

from changes.base import clock
from changes.base.errors import Conflict, Invalid, NotFound
from changes.base.paging import Page, Part, newest_first
from changes.builds import blobs, snapshot_rules
from changes.builds.blobs import Holder
from changes.builds.models import Build, Job, JobStep
from changes.builds.offers import BEGINS_WITH, EXPECTED_SNAPSHOT
from changes.builds.rules import Result, Status
from changes.builds.snapshot_models import CachedSnapshotImage, JobSnapshot, Snapshot, SnapshotImage
from changes.builds.snapshot_rules import DEAD, SnapshotStatus
from changes.builds.snapshot_use import current_id
from changes.projects import options, queries
from changes.projects.models import Plan, Project, Step
from changes.projects.options import OF_PROJECTS, SNAPSHOT_AUTOMATIC, SNAPSHOT_CURRENT
from changes.projects.rules import PlanStatus
from changes.protocol import SnapshotMade

PROBLEM_MAX = 1000
KINDS = ("archive", "podman", "lxc")
CACHED_FOR = timedelta(hours=1)
# So many active ones of a project are kept at hand, to go back to.
ACTIVE_KEPT = 5
CLEANED_AT_ONCE = 100


def snapshot(session: Session, snapshot_id: UUID) -> Snapshot:
    found = session.get(Snapshot, snapshot_id)
    if found is None:
        raise NotFound("There is no such snapshot.")
    return found


def image(session: Session, image_id: UUID) -> SnapshotImage:
    found = session.get(SnapshotImage, image_id)
    if found is None:
        raise NotFound("There is no such snapshot image.")
    return found


def lock(session: Session, snapshot_id: UUID) -> Snapshot:
    """Its images may be told of at the same time by several agents."""
    mine = select(Snapshot).where(Snapshot.id == snapshot_id).with_for_update(of=Snapshot)
    return session.execute(mine.execution_options(populate_existing=True)).unique().scalar_one()


# --- what becomes of them ------------------------------------------------------------------------


def note_made(session: Session, holder: Holder, made: SnapshotMade) -> None:
    """An agent has made an image, or could not. Whether another attempt is made, its build decides."""
    step = blobs.held(session, holder)
    if not made.image or step.data.get(EXPECTED_SNAPSHOT) != made.image:
        raise Conflict("This step is to make another image, or none.", ["image"])
    found = image(session, UUID(made.image))
    if not made.sha256:
        found.problem = made.problem[:PROBLEM_MAX].replace("\0", "\N{REPLACEMENT CHARACTER}")
        return
    blob = blobs.sent_by(session, holder.step_id, made.sha256)
    if found.status in DEAD:
        raise Conflict("This snapshot has failed or is invalid; ask for a new one.")
    found.sha256, found.size_bytes, found.problem = blob.sha256, blob.size_bytes, ""
    found.kind = made.kind if made.kind in KINDS else "archive"
    change_image(session, found, SnapshotStatus.ACTIVE)


def change_image(session: Session, changed: SnapshotImage, status: SnapshotStatus) -> None:
    whole = lock(session, changed.snapshot_id)
    session.refresh(changed, ["status"])
    require_move(changed.status, status)
    changed.status = status
    session.flush()
    session.expire(whole, ["images"])
    become(
        session, whole, snapshot_rules.status_of_whole(whole.status, [each.status for each in whole.images])
    )


def change(session: Session, whole: Snapshot, status: SnapshotStatus) -> None:
    locked = lock(session, whole.id)
    require_move(locked.status, status)
    become(session, locked, status)


def require_move(now: SnapshotStatus, wanted: SnapshotStatus) -> None:
    if not snapshot_rules.may_become(now, wanted):
        raise Invalid(f"What is {now.name.lower()} cannot become {wanted.name.lower()}.", ["status"])


def become(session: Session, whole: Snapshot, status: SnapshotStatus) -> None:
    if status == whole.status:
        return
    whole.status = status
    project = whole.project
    of_project = queries.options(session, project)
    if status in DEAD:
        mine = update(SnapshotImage).where(SnapshotImage.snapshot_id == whole.id)
        session.execute(mine.where(SnapshotImage.status.not_in(DEAD)).values(status=status))
        if current_id(of_project) == whole.id:
            set_current(session, project, None)
    elif status == SnapshotStatus.ACTIVE and of_project.get(SNAPSHOT_AUTOMATIC) == "1":
        set_current(session, project, whole)
    session.flush()


def after_builds(session: Session, build_ids: Collection[UUID]) -> None:
    """Whoever made a snapshot and did not pass has not made one."""
    mine = select(Snapshot.id).join(Build, Build.id == Snapshot.build_id)
    is_over = (Build.status == Status.FINISHED) & (Build.result != Result.PASSED)
    found = session.execute(mine.where(Snapshot.build_id.in_(build_ids), is_over)).scalars().all()
    for snapshot_id in found:
        whole = lock(session, snapshot_id)
        become(session, whole, snapshot_rules.after_build(whole.status))


def set_current(session: Session, project: Project, whole: Snapshot | None) -> None:
    if whole is not None and (whole.project_id != project.id or whole.status != SnapshotStatus.ACTIVE):
        raise Invalid("Only an active snapshot of this project can be its current one.", ["snapshot.current"])
    options.store(session, project, OF_PROJECTS[SNAPSHOT_CURRENT], "" if whole is None else whole.id.hex)


def checked(session: Session, project: Project, values: Mapping[str, str]) -> dict[str, str]:
    """Options of a project as somebody typed them; projects themselves know nothing of snapshots."""
    if SNAPSHOT_CURRENT not in values:
        return dict(values)
    return {**values, SNAPSHOT_CURRENT: checked_current(session, project, values[SNAPSHOT_CURRENT])}


def checked_current(session: Session, project: Project, text: str) -> str:
    """Of what somebody typed as the option: an active snapshot, or nothing."""
    if not text.strip():
        return ""
    found = session.get(Snapshot, current_id({SNAPSHOT_CURRENT: text.strip()}) or UUID(int=0))
    if found is None or found.project_id != project.id or found.status != SnapshotStatus.ACTIVE:
        raise Invalid("This is no active snapshot of the project.", [SNAPSHOT_CURRENT])
    return found.id.hex


# --- to look at ------------------------------------------------------------------------------------


def of(session: Session, page: Page, *, project: Project | None = None, state: str = "") -> Part[Snapshot]:
    mine = select(Snapshot).options(selectinload(Snapshot.images))
    if project is not None:
        mine = mine.where(Snapshot.project_id == project.id)
    if state == "valid":
        mine = mine.where(Snapshot.status != SnapshotStatus.INVALIDATED)
    elif state == "invalid":
        mine = mine.where(Snapshot.status == SnapshotStatus.INVALIDATED)
    return newest_first(session, mine, Snapshot.id, page)


def current_of(session: Session, project: Project) -> UUID | None:
    return current_id(queries.options(session, project))


def jobs_with(session: Session, whole: Snapshot, page: Page) -> Part[Job]:
    """Jobs that began with one of its images."""
    mine = select(Job).join(JobSnapshot, JobSnapshot.job_id == Job.id)
    mine = mine.join(SnapshotImage, SnapshotImage.id == JobSnapshot.image_id)
    return newest_first(session, mine.where(SnapshotImage.snapshot_id == whole.id), Job.id, page)


def image_of_job(session: Session, job_id: UUID) -> SnapshotImage | None:
    mine = select(SnapshotImage).join(JobSnapshot, JobSnapshot.image_id == SnapshotImage.id)
    return session.execute(mine.where(JobSnapshot.job_id == job_id)).scalar_one_or_none()


def word_on(step: JobStep) -> str:
    """What a step begins with, in a sentence; empty where its project has no snapshot."""
    if step.data.get(EXPECTED_SNAPSHOT):
        return "It makes an image for a snapshot."
    begins_with = step.data.get(BEGINS_WITH)
    if begins_with is None:
        return ""
    if not begins_with:
        return "It begins without a snapshot: there is no image for its plan."
    return f"It begins with the snapshot {begins_with[:12]}."


# --- at hand on clusters ---------------------------------------------------------------------------


def cache(session: Session, whole: Snapshot) -> dict[str, list[str]]:
    """Its images stay at hand, those of earlier snapshots for another hour. By cluster: what to fetch."""
    now = clock.now()
    of_project = select(SnapshotImage.id).join(Snapshot).where(Snapshot.project_id == whole.project_id)
    earlier = update(CachedSnapshotImage).where(CachedSnapshotImage.id.in_(of_project))
    unexpired = or_(CachedSnapshotImage.expiration_date.is_(None), CachedSnapshotImage.expiration_date > now)
    session.execute(
        earlier.where(unexpired)
        .values(expiration_date=now + CACHED_FOR)
        .execution_options(synchronize_session=False)
    )
    for each in whole.images:
        row = insert(CachedSnapshotImage).values(id=each.id, expiration_date=None)
        session.execute(row.on_conflict_do_update(index_elements=["id"], set_={"expiration_date": None}))
    clusters = sorted({cluster for each in whole.images for cluster in clusters_of(session, each.plan_id)})
    return {cluster: cached_for(session, cluster) for cluster in clusters}


def clusters_of(session: Session, plan_id: UUID) -> list[str]:
    of_plan = select(Step.data["cluster"].astext).join(Plan, Plan.id == Step.plan_id)
    of_plan = of_plan.where(or_(Plan.id == plan_id, Plan.snapshot_plan_id == plan_id))
    return [cluster for cluster in session.execute(of_plan.distinct()).scalars() if cluster]


def cached_for(session: Session, cluster: str) -> list[str]:
    """Images of active plans that run there."""
    now = clock.now()
    mine = (
        select(CachedSnapshotImage.id)
        .join(SnapshotImage, SnapshotImage.id == CachedSnapshotImage.id)
        .join(Plan, or_(Plan.id == SnapshotImage.plan_id, Plan.snapshot_plan_id == SnapshotImage.plan_id))
        .join(Step, Step.plan_id == Plan.id)
        .where(Plan.status == PlanStatus.ACTIVE, Step.data["cluster"].astext == cluster)
        .where(or_(CachedSnapshotImage.expiration_date.is_(None), CachedSnapshotImage.expiration_date > now))
    )
    return [
        found.hex for found in session.execute(mine.distinct().order_by(CachedSnapshotImage.id)).scalars()
    ]


# --- cleaning --------------------------------------------------------------------------------------


def clean(session: Session) -> int:
    """Images of snapshots that nobody can ask for give their bytes back, once no job of theirs runs."""
    retire(session)
    unfinished = select(JobSnapshot.job_id).join(Job, Job.id == JobSnapshot.job_id)
    unfinished = unfinished.where(JobSnapshot.image_id == SnapshotImage.id, Job.status != Status.FINISHED)
    mine = select(SnapshotImage.id).join(Snapshot, Snapshot.id == SnapshotImage.snapshot_id)
    dead = mine.where(Snapshot.status.in_(DEAD), SnapshotImage.sha256.is_not(None), ~unfinished.exists())
    found = session.execute(dead.limit(CLEANED_AT_ONCE)).scalars().all()
    expired = CachedSnapshotImage.expiration_date < clock.now() - CACHED_FOR
    for each in session.execute(select(CachedSnapshotImage).where(expired)).scalars():
        session.delete(each)
    if found:
        session.execute(update(SnapshotImage).where(SnapshotImage.id.in_(found)).values(sha256=None))
    return len(found)


def retire(session: Session) -> None:
    """Of each project the newest ones stay to go back to, and the current one however old it is."""
    of_project: dict[UUID, list[UUID]] = {}
    active = select(Snapshot.project_id, Snapshot.id).where(Snapshot.status == SnapshotStatus.ACTIVE)
    for project_id, snapshot_id in session.execute(active.order_by(Snapshot.id.desc())):
        of_project.setdefault(project_id, []).append(snapshot_id)
    for project_id, snapshot_ids in of_project.items():
        for old in snapshot_ids[ACTIVE_KEPT:]:
            project = session.get_one(Project, project_id)
            if current_of(session, project) != old:
                become(session, lock(session, old), SnapshotStatus.INVALIDATED)


# --- for agents of the original ----------------------------------------------------------------------


def expected_by(session: Session, step: JobStep) -> dict[str, Any] | None:
    """The image that a step is to make."""
    text = step.data.get(EXPECTED_SNAPSHOT)
    found = session.get(SnapshotImage, UUID(text)) if text else None
    return None if found is None else {"id": found.id.hex}


def begun_with(session: Session, step: JobStep) -> dict[str, Any] | None:
    """The image that a step begins with, if such an agent made it: ours mean nothing to it."""
    found = image_of_job(session, step.job_id)
    return None if found is None or found.sha256 is not None else {"id": found.id.hex}


def maker_of(session: Session, image_id: UUID) -> UUID:
    """The newest attempt at making it."""
    mine = select(JobStep.id).where(JobStep.job_id == image(session, image_id).job_id)
    found = session.execute(mine.order_by(JobStep.id.desc()).limit(1)).scalar_one_or_none()
    if found is None:
        raise NotFound("Nobody makes this image.")
    return found


def note_told(session: Session, image_id: UUID, status: str) -> None:
    """It keeps the bytes itself, and says only what became of them."""
    if status not in ("active", "failed"):
        raise Invalid("status must be active or failed", ["status"])
    change_image(session, image(session, image_id), SnapshotStatus[status.upper()])
