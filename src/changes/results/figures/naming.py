"""What plans and machines of the sums are called now."""

from collections.abc import Collection
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from changes.builds.models import Node
from changes.projects.models import Plan

PLANS_MAX = 1000


def plans(session: Session, project_id: UUID) -> dict[UUID, str]:
    found = select(Plan.id, Plan.label).where(Plan.project_id == project_id).order_by(Plan.label)
    return {row.id: row.label for row in session.execute(found.limit(PLANS_MAX))}


def nodes(session: Session, node_ids: Collection[UUID]) -> dict[UUID, str]:
    found = select(Node.id, Node.label).where(Node.id.in_(node_ids))
    return {row.id: row.label for row in session.execute(found)}
