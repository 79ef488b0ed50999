"""What becomes of a build: mostly well, as in a healthy team, and every other way now and then."""

from datetime import datetime, timedelta

from changes.app.demo.catalogue import PlanShape
from changes.app.demo.dice import Dice
from changes.app.demo.ground import PlacedProject
from changes.app.demo.month import Request
from changes.app.demo.play import Cut, Fate
from changes.builds.rules import Cause, Result

RESULTS = (Result.PASSED, Result.FAILED, Result.INFRA_FAILED, Result.ABORTED)
USUALLY, SECOND_TRY, WHILE_BROKEN = (82, 11, 4, 3), (78, 16, 4, 2), (38, 57, 3, 2)
LOST_SHARE = 0.03


def draw(dice: Dice, placed: PlacedProject, request: Request, now: datetime) -> tuple[list[Fate], Cut]:
    """One fate per plan, and until when the story is told."""
    result = dice.pick(RESULTS, weights(placed, request))
    plans = placed.shape.plans
    unlucky = dice.choices(range(len(plans)), [weight(plan) for plan in plans])[0]
    fates = [
        unlucky_fate(dice, plan, result) if order == unlucky else usual_fate(dice, plan)
        for order, plan in enumerate(plans)
    ]
    aborted_at = request.at + timedelta(seconds=dice.uniform(8, 90))
    if result == Result.ABORTED and aborted_at < now:
        return fates, Cut(aborted_at, is_abort=True)
    return fates, Cut(now)


def weights(placed: PlacedProject, request: Request) -> tuple[int, ...]:
    if any(suite.is_broken(request.at) for suite in placed.suites.values()):
        return WHILE_BROKEN
    return SECOND_TRY if request.cause == Cause.RETRY else USUALLY


def weight(plan: PlanShape) -> int:
    """Tests fail more often than the rest."""
    return 3 if any(step.suite for step in plan.steps) else 1


def unlucky_fate(dice: Dice, plan: PlanShape, result: Result) -> Fate:
    if result not in {Result.FAILED, Result.INFRA_FAILED}:
        return usual_fate(dice, plan)
    return Fate(result, last_with_tests(plan))


def usual_fate(dice: Dice, plan: PlanShape) -> Fate:
    lost = dice.choice((1, 1, 1, 2)) if dice.chance(LOST_SHARE) else 0
    return Fate(Result.PASSED, dice.randrange(len(plan.steps)), lost)


def last_with_tests(plan: PlanShape) -> int:
    found = [order for order, step in enumerate(plan.steps) if step.suite]
    return found[-1] if found else len(plan.steps) - 1
