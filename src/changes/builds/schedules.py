"""Builds by the clock: a line of cron in the time of a place, a little later by chance, perhaps only
where something has changed. What was missed while nobody worked is made up for once.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from changes.base import clock, ids
from changes.base.errors import ChangesError, Conflict, Invalid, NotFound
from changes.builds import schedules_cron, triggers, triggers_wishes
from changes.builds.models import Build
from changes.builds.triggers import Moment
from changes.builds.triggers_models import BuildSchedule
from changes.builds.triggers_rules import TAG_OF, Kind, Occasion, Verdict
from changes.projects import revisions
from changes.projects.models import Project
from changes.projects.rules import ProjectStatus
from changes.vcs.errors import VcsError

TAG = TAG_OF[Kind.SCHEDULE]
HEAD = "HEAD"
NAME_MAX, BRANCH_MAX, JITTER_MAX_S, SCHEDULES_MAX = 80, 255, 6 * 3600, 50
DUE_AT_ONCE, ERROR_MAX = 20, 1000
# Somebody who builds every minute means something else.
PAUSE_MIN_S = 300


@dataclass(frozen=True)
class Wanted:
    """What a schedule is to be, as somebody typed it."""

    name: str
    cron: str
    zone: str = "UTC"
    branch: str = ""
    jitter_min: int = 0
    only_if_changed: bool = False
    parameters: dict[str, str] = field(default_factory=dict)
    is_on: bool = True


def of(session: Session, project: Project) -> Sequence[BuildSchedule]:
    mine = select(BuildSchedule).where(BuildSchedule.project_id == project.id)
    return session.execute(mine.order_by(BuildSchedule.name)).scalars().all()


def find(session: Session, project: Project, schedule_id: UUID) -> BuildSchedule:
    found = session.get(BuildSchedule, schedule_id)
    if found is None or found.project_id != project.id:
        raise NotFound("The project has no such schedule.")
    return found


def create(session: Session, project: Project, wanted: Wanted) -> BuildSchedule:
    known = of(session, project)
    if len(known) >= SCHEDULES_MAX:
        raise Conflict(f"A project has at most {SCHEDULES_MAX} schedules.")
    made = BuildSchedule(id=ids.new(), project_id=project.id, date_created=clock.now())
    fill(made, wanted, [each.name for each in known])
    session.add(made)
    session.flush()
    return made


def change(session: Session, project: Project, schedule: BuildSchedule, wanted: Wanted) -> None:
    fill(schedule, wanted, [each.name for each in of(session, project) if each.id != schedule.id])
    session.flush()


def changed(schedule: BuildSchedule, named: Mapping[str, Any]) -> Wanted:
    """As it is, but for what is named."""
    now = Wanted(
        schedule.name,
        schedule.cron,
        schedule.zone,
        schedule.branch,
        schedule.jitter_s // 60,
        schedule.only_if_changed,
        schedule.parameters,
        schedule.is_on,
    )
    return replace(now, **named)


def fill(schedule: BuildSchedule, wanted: Wanted, taken: Sequence[str]) -> None:
    name = wanted.name.strip()
    if not name or len(name) > NAME_MAX:
        raise Invalid(f"A schedule needs a name of at most {NAME_MAX} characters.", ["name"])
    if name in taken:
        raise Conflict(f"The project has a schedule {name} already.", ["name"])
    if len(wanted.branch) > BRANCH_MAX:
        raise Invalid(f"A branch has at most {BRANCH_MAX} characters.", ["branch"])
    if not 0 <= wanted.jitter_min * 60 <= JITTER_MAX_S:
        raise Invalid(f"The spread is a number of minutes up to {JITTER_MAX_S // 60}.", ["jitter_min"])
    refuse_too_often(wanted)
    schedule.name, schedule.cron, schedule.zone = name, wanted.cron.strip(), wanted.zone.strip()
    schedule.branch, schedule.jitter_s = wanted.branch.strip(), wanted.jitter_min * 60
    schedule.only_if_changed, schedule.parameters = wanted.only_if_changed, dict(wanted.parameters)
    schedule.is_on = wanted.is_on
    plan_next(schedule, clock.now())


def refuse_too_often(wanted: Wanted) -> None:
    cron, place = schedules_cron.parse(wanted.cron), schedules_cron.zone(wanted.zone.strip())
    first = schedules_cron.next_due(cron, place, clock.now())
    second = schedules_cron.next_due(cron, place, first)
    if (second - first).total_seconds() < PAUSE_MIN_S:
        raise Invalid(f"A schedule is due at most every {PAUSE_MIN_S // 60} minutes.", ["cron"])


def plan_next(schedule: BuildSchedule, after: datetime) -> None:
    cron, place = schedules_cron.parse(schedule.cron), schedules_cron.zone(schedule.zone)
    schedule.tick = schedules_cron.next_due(cron, place, after)
    later_s = jitter_s(schedule.id, schedule.tick, schedule.jitter_s)
    schedule.date_due = schedule.tick + timedelta(seconds=later_s)


def jitter_s(schedule_id: UUID, tick: datetime, most_s: int) -> int:
    """By chance, but the same for whoever computes it."""
    digest = hashlib.sha256(f"{schedule_id.hex} {tick.isoformat()}".encode()).digest()
    return int.from_bytes(digest[:8]) % (most_s + 1)


# --- what is due -----------------------------------------------------------------------------


def find_due(session: Session) -> Sequence[UUID]:
    due = select(BuildSchedule.id).where(BuildSchedule.is_on, BuildSchedule.date_due <= clock.now())
    return session.execute(due.order_by(BuildSchedule.date_due).limit(DUE_AT_ONCE)).scalars().all()


def run(session: Session, schedule_id: UUID, *, timeout_min: int) -> Build | None:
    """Whatever comes of it, it is due again at its next moment."""
    mine = select(BuildSchedule).where(BuildSchedule.id == schedule_id).with_for_update(skip_locked=True)
    schedule = session.execute(mine).scalar_one_or_none()
    if schedule is None or not schedule.is_on or schedule.date_due > clock.now():
        return None
    tick, schedule.date_last = schedule.tick, clock.now()
    try:
        plan_next(schedule, clock.now())
    except Invalid as error:
        # Names of zones come and go with versions of the system.
        schedule.is_on, schedule.last_error = False, f"Switched off: {error}"[:ERROR_MAX]
        return None
    project = session.get_one(Project, schedule.project_id)
    if project.status != ProjectStatus.ACTIVE:
        return None
    schedule.last_error = ""
    try:
        with session.begin_nested():
            return begin(session, project, schedule, tick, timeout_min=timeout_min)
    except (ChangesError, VcsError) as error:
        schedule.last_error = str(error)[:ERROR_MAX]
        return None


def begin(
    session: Session, project: Project, schedule: BuildSchedule, tick: datetime, *, timeout_min: int
) -> Build | None:
    revision = revisions.find(session, project.repository, schedule.branch or HEAD)
    branch = schedule.branch or "the default branch"
    key = f"{schedule.id.hex} {tick.isoformat()}"
    if schedule.only_if_changed and revision.sha == schedule.last_sha:
        facts: dict[str, Any] = {"branch": branch, "sha": revision.sha[:12]}
        same = Verdict(is_wanted=False, why="nothing_new", facts=facts)
        triggers.keep_rows(session, [triggers.row_of(project.id, revision.sha, Kind.SCHEDULE, key, same)])
        return None
    source = revisions.source_of(session, revision)
    session.refresh(source)
    moment = Moment(
        what=Occasion(Kind.SCHEDULE, tuple(revision.branches), facts={"name": schedule.name}),
        source=source,
        key=key,
        tags=(TAG,),
        parameters=schedule.parameters,
        timeout_min=timeout_min,
    )
    decided = triggers.consider(session, project, triggers_wishes.of_source(session, project, source), moment)
    if decided is None or decided.build is None:
        # No plan wants it so far, or it is built already: another time it may be.
        return None
    schedule.last_sha = revision.sha
    return decided.build


def drop(session: Session, schedule: BuildSchedule) -> None:
    session.delete(schedule)
    session.flush()
