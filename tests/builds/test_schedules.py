"""Builds by the clock, on a real repository."""

from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy.orm import Session
from tests import factories

from changes.base import clock
from changes.base.errors import Conflict, Invalid
from changes.builds import schedules
from changes.builds.models import Build
from changes.builds.schedules import Wanted
from changes.builds.triggers_models import BuildSchedule
from changes.projects.models import Project

CONFIG = """
plans:
  - name: tests
    parameters: [{name: LEVEL, choices: [quick, full]}]
    commands: [make test]
"""


@pytest.fixture
def project(session: Session, tmp_path: Path) -> Project:
    folder = tmp_path / "source"
    factories.a_git_repository(folder, {"a": "1", ".changes.yml": CONFIG})
    return factories.a_project(session, repository=factories.a_repository(session, str(folder)))


def planned(session: Session, project: Project, **said: object) -> BuildSchedule:
    values = {"name": "nightly", "cron": "0 2 * * *", **said}
    return schedules.create(session, project, Wanted(**values))  # type: ignore[arg-type]


def run_when_due(session: Session, schedule: BuildSchedule) -> Build | None:
    schedule.date_due = clock.now() - timedelta(days=3)
    session.flush()
    return schedules.run(session, schedule.id, timeout_min=60)


def test_it_builds_the_newest_commit_once_and_is_due_later_again(session: Session, project: Project) -> None:
    schedule = planned(session, project)

    first = run_when_due(session, schedule)
    again = schedules.run(session, schedule.id, timeout_min=60)

    assert first is not None
    assert (first.tags, first.is_automatic) == (["scheduled"], True)
    assert again is None
    assert schedule.date_due > clock.now()


def test_one_that_asks_for_changes_builds_only_what_is_new(
    session: Session, project: Project, tmp_path: Path
) -> None:
    schedule = planned(session, project, only_if_changed=True)

    first, second = run_when_due(session, schedule), run_when_due(session, schedule)
    factories.commit(tmp_path / "source", {"a": "2"}, "Second")
    third = run_when_due(session, schedule)

    assert [each is not None for each in (first, second, third)] == [True, False, True]


def test_what_no_plan_wanted_yet_is_built_once_one_does(
    session: Session, project: Project, tmp_path: Path
) -> None:
    for_pushes = "plans: [{name: tests, triggers: {events: [commit]}, commands: [make test]}]"
    factories.commit(tmp_path / "source", {".changes.yml": for_pushes}, "Not by the clock")
    schedule = planned(session, project, only_if_changed=True)
    in_vain = run_when_due(session, schedule)
    factories.a_plan(session, project, {"commands": ["make soak"]})
    schedule.tick -= timedelta(days=1)

    build = run_when_due(session, schedule)

    assert in_vain is None
    assert build is not None


def test_it_gives_values_to_parameters_of_plans(session: Session, project: Project) -> None:
    schedule = planned(session, project, parameters={"LEVEL": "full"})

    build = run_when_due(session, schedule)

    assert build is not None
    assert build.wishes == {"parameters": {"LEVEL": "full"}}


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ({"branch": "nowhere"}, "Unable to find commit nowhere"),
        (
            {"parameters": {"LEVEL": "fill"}},
            "LEVEL must be one of quick, full; it is 'fill', did you mean 'full'?",
        ),
        ({"parameters": {"LEVELS": "full"}}, "No plan has a parameter 'LEVELS', did you mean 'LEVEL'?"),
    ],
)
def test_what_goes_wrong_is_told_and_it_is_due_again(
    session: Session, project: Project, said: dict[str, object], expected: str
) -> None:
    schedule = planned(session, project, **said)

    build = run_when_due(session, schedule)

    assert build is None
    assert schedule.last_error.startswith(expected)
    assert schedule.date_due > clock.now()


def test_one_whose_time_zone_is_gone_is_switched_off_and_says_why(session: Session, project: Project) -> None:
    schedule = planned(session, project)
    schedule.zone = "Atlantis/Middle"

    build = run_when_due(session, schedule)

    assert (build, schedule.is_on) == (None, False)
    assert schedule.last_error.startswith("Switched off: There is no time zone 'Atlantis/Middle'")


def test_its_spread_is_by_chance_but_the_same_for_all(session: Session, project: Project) -> None:
    schedule = planned(session, project, jitter_min=30)

    spread = {
        schedules.jitter_s(schedule.id, schedule.tick + timedelta(days=day), 1800) for day in range(100)
    }

    later_s = (schedule.date_due - schedule.tick).total_seconds()
    assert later_s == schedules.jitter_s(schedule.id, schedule.tick, 1800)
    assert len(spread) > 50
    assert min(spread) >= 0
    assert max(spread) <= 1800


@pytest.mark.parametrize(
    ("said", "field"),
    [
        ({"name": " "}, "name"),
        ({"cron": "* * * * *"}, "cron"),
        ({"cron": "*/4 * * * *"}, "cron"),
        ({"zone": "Mars"}, "zone"),
        ({"jitter_min": 10_000}, "jitter_min"),
        ({"branch": "b" * 300}, "branch"),
    ],
)
def test_what_makes_no_sense_is_refused_beside_its_field(
    session: Session, project: Project, said: dict[str, object], field: str
) -> None:
    with pytest.raises(Invalid) as refused:
        planned(session, project, **said)

    assert refused.value.problems == [field]


def test_two_of_one_name_are_refused(session: Session, project: Project) -> None:
    planned(session, project)

    with pytest.raises(Conflict):
        planned(session, project)
