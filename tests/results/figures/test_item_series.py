from datetime import UTC, datetime

import pytest
from sqlalchemy.orm import Session
from tests import factories, finished

from changes.base import clock
from changes.projects.models import Project
from changes.results.figures import item_series
from changes.results.figures.item_series import Resolution, Wanted
from changes.results.models import ItemStat

AT = datetime(2026, 3, 31, 15, 40, tzinfo=UTC)


@pytest.mark.parametrize(
    ("resolution", "first", "last"),
    [
        (Resolution.HOUR, datetime(2026, 3, 31, 13, tzinfo=UTC), datetime(2026, 3, 31, 15, tzinfo=UTC)),
        (Resolution.DAY, datetime(2026, 3, 29, tzinfo=UTC), datetime(2026, 3, 31, tzinfo=UTC)),
        (Resolution.WEEK, datetime(2026, 3, 16, tzinfo=UTC), datetime(2026, 3, 30, tzinfo=UTC)),
        (Resolution.MONTH, datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 3, 1, tzinfo=UTC)),
    ],
)
def test_points_begin_where_hours_days_weeks_and_months_do(
    resolution: Resolution, first: datetime, last: datetime
) -> None:
    points = item_series.points_of(Wanted("test_count", resolution, 3, is_sum=True, until=AT))

    assert (points[0], points[-1], len(points)) == (first, last, 3)


@pytest.fixture
def counted(session: Session) -> Project:
    """Two builds of commits with 10 and 15 tests, and one of a patch."""
    project = factories.a_project(session)
    patched = finished.an_ended_build(session, project, source=finished.a_patch(session, project))
    builds = [finished.an_ended_build(session, project) for _ in range(2)]
    for build, count in zip([*builds, patched], (10, 15, 100), strict=True):
        session.add(ItemStat(item_id=build.id, name="test_count", value=count))
    session.flush()
    return project


@pytest.mark.parametrize(("is_sum", "value"), [(True, 25), (False, 12)])
def test_only_builds_of_commits_are_summed_up(
    session: Session, counted: Project, *, is_sum: bool, value: int
) -> None:
    wanted = Wanted("test_count", Resolution.DAY, 5, is_sum=is_sum, until=clock.now())

    found = item_series.series(session, counted.id, wanted)

    assert [each for _, each in found] == [0, 0, 0, 0, value]


def test_another_number_is_another_series(session: Session, counted: Project) -> None:
    wanted = Wanted("lines_covered", Resolution.MONTH, 2, is_sum=True, until=clock.now())

    assert [value for _, value in item_series.series(session, counted.id, wanted)] == [0, 0]
