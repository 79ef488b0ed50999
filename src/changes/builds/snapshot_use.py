"""Which image the jobs of a new build begin with: chosen once, for the whole build."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from changes.base import ids
from changes.base.errors import Invalid
from changes.builds import offers
from changes.builds.planned import PlannedJob
from changes.builds.snapshot_models import Snapshot, SnapshotImage
from changes.builds.snapshot_rules import SnapshotStatus
from changes.projects import queries
from changes.projects.models import Plan, Project
from changes.projects.options import SNAPSHOT_CURRENT
from changes.projects.plan_options import SNAPSHOT_ALLOW, SNAPSHOT_REQUIRE


@dataclass(frozen=True)
class SnapshotAsked:
    """Without anything, the one that is current when the build is made."""

    snapshot_id: UUID | None = None
    is_refused: bool = False


CURRENT = SnapshotAsked()


def with_images(session: Session, plans: Sequence[PlannedJob], asked: SnapshotAsked) -> list[PlannedJob]:
    """Those that need a snapshot and get none are left out."""
    if asked.is_refused or not plans:
        return list(plans)
    snapshot_id = asked.snapshot_id or current_id(plans[0].project_options)
    images = images_of(session, snapshot_id) if snapshot_id else {}
    found = [with_image(plan, images) for plan in plans] if snapshot_id else list(plans)
    return [plan for plan in found if plan.image_id or plan.options.get(SNAPSHOT_REQUIRE) != "1"]


def current_id(options: dict[str, str]) -> UUID | None:
    """What an older version stored may be anything."""
    text = options.get(SNAPSHOT_CURRENT, "")
    try:
        return ids.parse(text) if text else None
    except Invalid:
        return None


def images_of(session: Session, snapshot_id: UUID) -> dict[UUID, SnapshotImage]:
    """By plan; none of a snapshot that is not active."""
    mine = select(SnapshotImage).join(Snapshot, Snapshot.id == SnapshotImage.snapshot_id)
    mine = mine.where(Snapshot.id == snapshot_id, Snapshot.status == SnapshotStatus.ACTIVE)
    rows = session.execute(mine.where(SnapshotImage.status == SnapshotStatus.ACTIVE)).scalars()
    return {image.plan_id: image for image in rows}


def allows(plan: Plan, options: dict[str, str]) -> bool:
    """One that borrows images of another plan makes none, and uses those."""
    return plan.snapshot_plan_id is not None or options.get(SNAPSHOT_ALLOW) != "0"


def with_image(plan: PlannedJob, images: dict[UUID, SnapshotImage]) -> PlannedJob:
    image = images.get(plan.plan.snapshot_plan_id or plan.plan.id)
    if image is None or not allows(plan.plan, plan.options):
        return replace(plan, beside={**plan.beside, offers.BEGINS_WITH: ""})
    return replace(plan, image_id=image.id, beside={**plan.beside, **beside(image)})


def beside(image: SnapshotImage) -> dict[str, Any]:
    """What is kept beside each step; an image that has no bytes here is for agents of the original."""
    begins_with = {offers.BEGINS_WITH: image.snapshot_id.hex}
    if image.sha256 is None:
        return begins_with
    offer = {
        "image": image.id.hex,
        "sha256": image.sha256,
        "size_bytes": image.size_bytes or 0,
        "kind": image.kind,
    }
    return {**begins_with, offers.IMAGE: offer}


def check(session: Session, text: str, projects: Sequence[Project]) -> UUID:
    """Of what a request names. Raises Invalid in the original's words."""
    try:
        found = session.get(Snapshot, ids.parse(text))
    except Invalid:
        found = None
    if found is None:
        raise Invalid("Unable to find snapshot.", ["snapshot_id"])
    if found.status != SnapshotStatus.ACTIVE:
        raise Invalid(f"Snapshot is in an invalid state: {found.status.name.lower()}", ["snapshot_id"])
    images = images_of(session, found.id)
    for project in projects:
        plans = queries.active_plans(session, project)
        options = queries.options_of_items(session, [plan.id for plan in plans])
        for plan in plans:
            if allows(plan, options[plan.id]) and (plan.snapshot_plan_id or plan.id) not in images:
                raise Invalid(f"Snapshot cannot be applied to {project.slug}'s {plan.label}", ["snapshot_id"])
    return found.id
