"""Which sums a page or a program asks for: the filters of statistics, all of them in the address."""

from datetime import date, timedelta
from typing import Annotated
from uuid import UUID

from pydantic import BeforeValidator, Field

from changes.builds.rules import Result
from changes.results.figures.counting import Days
from changes.results.figures.models import ALL_PROJECTS, Scope
from changes.results.figures.reading import Asked
from changes.web.params import Parameters, blank_is_none

DAYS_DEFAULT, DAYS_MAX = 30, 730
RESULTS = {
    "passed": Result.PASSED,
    "failed": Result.FAILED,
    "aborted": Result.ABORTED,
    "infra_failed": Result.INFRA_FAILED,
}
KINDS = {"commits": True, "patches": False}
NO_DAYS = BeforeValidator(lambda given: DAYS_DEFAULT if given in ("", None) else given)


class FiguresAsked(Parameters):
    days: Annotated[int, NO_DAYS, Field(ge=1, le=DAYS_MAX)] = DAYS_DEFAULT
    of: Annotated[str, Field(pattern="^(commits|patches|)$", description="builds of which")] = ""
    result: Annotated[str, Field(pattern="^(passed|failed|aborted|infra_failed|)$")] = ""
    plan: Annotated[UUID | None, BeforeValidator(blank_is_none)] = None

    @property
    def is_filtered(self) -> bool:
        return bool(self.of or self.result or self.plan or self.days != DAYS_DEFAULT)

    def of_period(self, today: date, project_id: UUID = ALL_PROJECTS, *, before: bool = False) -> Asked:
        """Builds, or the jobs of one plan; `before` is the same time right before it."""
        after = today + timedelta(days=1 - (self.days if before else 0))
        return Asked(
            Days(after - timedelta(days=self.days), after),
            project_id,
            Scope.BUILDS if self.plan is None else Scope.JOBS,
            self.plan,
            KINDS.get(self.of),
            frozenset({RESULTS[self.result]} if self.result else ()),
        )
