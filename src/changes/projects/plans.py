"""Changing plans and their steps. Running jobs work on frozen copies and notice nothing."""

from typing import Any

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from changes.base.errors import Conflict, Invalid
from changes.projects import create
from changes.projects.models import ItemOption, Plan, Step
from changes.projects.rules import ORDER_MAX, PlanStatus


def change(session: Session, plan: Plan, *, label: str | None, status: PlanStatus | None) -> None:
    if plan.in_repository and label is not None:
        raise Invalid("This plan is named by the file in its repository.", ["name"])
    label = None if label is None else create.checked_label(label)
    if label is not None and label != plan.label:
        same = select(Plan.id).where(
            Plan.project_id == plan.project_id, Plan.label == label, Plan.id != plan.id
        )
        if session.execute(same.where(Plan.in_repository.is_(False))).first() is not None:
            raise Conflict(f"The project has a plan {label} already.", ["name"])
        plan.label = label
    if status is not None:
        plan.status = status
    session.flush()


def borrow_snapshots(session: Session, plan: Plan, of: Plan | None) -> None:
    """From now on builds of the one begin with images of the other."""
    if of is not None and (of.project_id != plan.project_id or of.id == plan.id):
        raise Invalid("Only images of another plan of the same project can be shared.", ["snapshot_plan_id"])
    if of is not None and of.snapshot_plan_id is not None:
        raise Invalid(f"{of.label} makes no images itself.", ["snapshot_plan_id"])
    plan.snapshot_plan_id = None if of is None else of.id
    session.flush()


def change_step(
    session: Session, step: Step, *, implementation: str, data: dict[str, Any], order: int | None
) -> None:
    if order is not None and not 0 <= order <= ORDER_MAX:
        raise Invalid(f"order must be a number from 0 to {ORDER_MAX}", ["order"])
    if order is not None and order != step.order:
        taken = select(Step.id).where(Step.plan_id == step.plan_id, Step.order == order)
        if session.execute(taken).first() is not None:
            raise Conflict(f"order {order} is not free", ["order"])
        step.order = order
    step.implementation = implementation
    step.data = data
    session.flush()


def delete_step(session: Session, step: Step) -> None:
    session.execute(delete(ItemOption).where(ItemOption.item_id == step.id))
    session.delete(step)
    session.flush()


def move_step(session: Session, step: Step, *, up: bool) -> bool:
    """Changes places with its neighbour; False at the end of the row."""
    mine = select(Step).where(Step.plan_id == step.plan_id).order_by(Step.order).with_for_update()
    steps = list(session.execute(mine.execution_options(populate_existing=True)).scalars())
    place = steps.index(step)
    other = place - 1 if up else place + 1
    if not 0 <= other < len(steps):
        return False
    swap(session, steps[place], steps[other], free=steps[-1].order + 1)
    return True


def swap(session: Session, one: Step, other: Step, *, free: int) -> None:
    """By way of an order that nobody has: no two steps may share one even for a moment."""
    first, second = one.order, other.order
    for step, order in ((one, free), (other, first), (one, second)):
        step.order = order
        session.flush()


def next_order(plan: Plan) -> int:
    return max((step.order for step in plan.steps), default=-1) + 1
