import pytest
from sqlalchemy.orm import Session
from tests import factories

from changes.base.errors import Conflict, Invalid
from changes.projects import create, plans, queries
from changes.projects.models import ItemOption, Plan
from changes.projects.rules import PlanStatus


@pytest.fixture
def plan(session: Session) -> Plan:
    """With two steps, active."""
    project = factories.a_project(session)
    return factories.a_plan(session, project, {"commands": ["a"]}, {"commands": ["b"]}, label="mine")


def test_a_plan_is_renamed_and_put_to_rest(session: Session, plan: Plan) -> None:
    plans.change(session, plan, label="other", status=PlanStatus.INACTIVE)

    assert (plan.label, plan.status) == ("other", PlanStatus.INACTIVE)


def test_what_is_not_said_stays(session: Session, plan: Plan) -> None:
    plans.change(session, plan, label=None, status=None)

    assert (plan.label, plan.status) == ("mine", PlanStatus.ACTIVE)


def test_a_plan_may_keep_its_own_name_and_not_take_anothers(session: Session, plan: Plan) -> None:
    factories.a_plan(session, plan.project, label="taken")

    plans.change(session, plan, label="mine", status=None)

    with pytest.raises(Conflict):
        plans.change(session, plan, label="taken", status=None)


def test_a_plan_in_the_repository_is_named_there(session: Session, plan: Plan) -> None:
    theirs = create.plan_in_repository(session, plan.project, "theirs")

    with pytest.raises(Invalid):
        plans.change(session, theirs, label="ours", status=None)


def test_a_step_is_changed_and_moved(session: Session, plan: Plan) -> None:
    step = plan.steps[0]

    plans.change_step(session, step, implementation="x", data={"commands": []}, order=5)

    assert (step.implementation, step.data, step.order) == ("x", {"commands": []}, 5)


def test_a_step_cannot_take_the_place_of_another(session: Session, plan: Plan) -> None:
    with pytest.raises(Conflict):
        plans.change_step(session, plan.steps[0], implementation="x", data={}, order=1)


def test_a_step_may_stay_where_it_is(session: Session, plan: Plan) -> None:
    plans.change_step(session, plan.steps[1], implementation="x", data={}, order=1)

    assert plan.steps[1].order == 1


@pytest.mark.parametrize("order", [-1, 2**40])
def test_an_order_is_a_small_number(session: Session, plan: Plan, order: int) -> None:
    with pytest.raises(Invalid):
        plans.change_step(session, plan.steps[0], implementation="x", data={}, order=order)


def test_a_deleted_step_takes_its_options_along(session: Session, plan: Plan) -> None:
    step = plan.steps[0]
    session.add(ItemOption(item_id=step.id, name="build.timeout", value="5"))
    session.flush()

    plans.delete_step(session, step)

    session.refresh(plan)
    assert len(plan.steps) == 1
    assert session.query(ItemOption).filter_by(item_id=step.id).count() == 0


def test_changing_a_plan_does_not_reach_a_build_that_exists(session: Session, plan: Plan) -> None:
    build = factories.a_build(session, plan.project, plans=0)

    plans.delete_step(session, plan.steps[0])

    assert len(factories.steps_of(session, build)) == 2
    assert queries.plan(session, plan.id) is plan
