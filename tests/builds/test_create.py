from collections.abc import Mapping
from typing import Any

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session
from tests import factories
from tests.builds import agents

from changes.base import ids
from changes.builds import create
from changes.builds.create import NewBuild
from changes.builds.models import Build, JobPhase, JobPlan
from changes.builds.rules import Priority, Result, Status
from changes.projects.models import ItemOption, Project

GOOD = {"commands": ["true"]}
BAD = {"commands": ["true"], "nonsense": 1}


def created(session: Session, project: Project, *, config: str = "", **changes: Any) -> Build:
    source = factories.a_source(session, project, config=config)
    asked: dict[str, Any] = {"label": "A build", "target": "abc", "message": "", "author": None}
    return create.create_build(
        session, project, NewBuild(source=source, collection_id=ids.new(), **{**asked, **changes})
    )


def a_project_with(session: Session, *plans: list[Mapping[str, Any]]) -> Project:
    """Its plans in alphabetical order, which is the order of their jobs."""
    project = factories.a_project(session)
    for number, steps in enumerate(plans):
        factories.a_plan(session, project, *steps, label=f"plan {number}")
    return project


def test_each_active_plan_becomes_a_job_whose_step_waits_for_an_agent(session: Session) -> None:
    project = a_project_with(session, [GOOD], [GOOD])
    factories.a_plan(session, project, GOOD, active=False)

    build = created(session, project)

    assert [job.label for job in agents.jobs_of(session, build)] == ["plan 0", "plan 1"]
    assert [step.status for step in factories.steps_of(session, build)] == [Status.PENDING_ALLOCATION] * 2
    assert agents.state(build) == (Status.PENDING_ALLOCATION, Result.UNKNOWN)


def test_commands_keep_their_order_and_everything_the_plan_says(session: Session) -> None:
    data = {"commands": ["one", {"script": "two", "label": "Second", "env": {"A": "2"}}], "env": {"A": "1"}}

    build = created(session, a_project_with(session, [data]))

    commands = agents.commands_of(session, factories.steps_of(session, build)[0])
    assert [(command.label, command.script, command.env["A"]) for command in commands] == [
        ("one", "one", "1"),
        ("Second", "two", "2"),
    ]


def test_numbers_count_builds_per_project_and_jobs_per_build(session: Session) -> None:
    project, other = a_project_with(session, [GOOD], [GOOD]), a_project_with(session, [GOOD])

    builds = [created(session, project), created(session, project), created(session, other)]

    assert [build.number for build in builds] == [1, 2, 1]
    assert [job.number for job in agents.jobs_of(session, builds[1])] == [1, 2]


def numbered(session: Session, project: Project) -> list[int]:
    """As the database has them."""
    mine = select(Build.number).where(Build.project_id == project.id)
    return list(session.execute(mine.order_by(Build.id)).scalars())


@pytest.mark.parametrize("plans", [[GOOD], [GOOD, BAD], []], ids=["plain", "one is refused", "no plans"])
def test_the_last_that_is_made_is_numbered_as_all_others(session: Session, plans: list[Any]) -> None:
    project = a_project_with(session, *([plan] for plan in plans))

    builds = [created(session, project, is_last=is_last) for is_last in (True, False, True)]

    assert [build.number for build in builds] == numbered(session, project) == [1, 2, 3]
    assert session.get_one(Project, project.id, populate_existing=True).last_build_number == 3


def test_a_build_that_was_not_made_after_all_leaves_no_number_out(session: Session) -> None:
    project = a_project_with(session, [GOOD])
    source = factories.a_source(session, project)
    savepoint = session.begin_nested()
    asked = NewBuild(source, ids.new(), "b", "t", "", None, is_last=True)
    create.create_build(session, project, asked)

    savepoint.rollback()

    assert created(session, project, is_last=True).number == 1


def test_the_number_of_a_deleted_build_is_not_given_out_again(session: Session) -> None:
    project = a_project_with(session, [GOOD])
    session.delete(created(session, project))
    session.flush()

    assert created(session, project).number == 2


def test_a_job_keeps_the_plan_as_it_was(session: Session) -> None:
    project = factories.a_project(session)
    plan = factories.a_plan(session, project, GOOD)
    build = created(session, project)

    plan.steps[0].data = {"commands": ["something else"]}
    session.flush()

    frozen = session.execute(select(JobPlan).where(JobPlan.build_id == build.id)).scalar_one()
    assert frozen.data["snapshot"]["steps"][0]["data"] == GOOD
    assert agents.commands_of(session, factories.steps_of(session, build)[0])[0].script == "true"


def test_steps_of_one_plan_become_phases_that_wait_for_each_other(session: Session) -> None:
    build = created(session, a_project_with(session, [GOOD, GOOD, GOOD]))

    assert [step.status for step in factories.steps_of(session, build)] == [
        Status.PENDING_ALLOCATION,
        Status.QUEUED,
        Status.QUEUED,
    ]


def test_a_refused_first_job_does_not_end_a_build_that_has_another(session: Session) -> None:
    build = created(session, a_project_with(session, [BAD], [GOOD]))

    assert agents.announced(session, build.id) == 0
    assert [job.status for job in agents.jobs_of(session, build)] == [
        Status.FINISHED,
        Status.PENDING_ALLOCATION,
    ]
    assert agents.state(build) == (Status.PENDING_ALLOCATION, Result.FAILED)
    assert build.date_finished is None


def test_a_build_with_a_refused_job_ends_with_its_good_one_and_has_failed(session: Session) -> None:
    build = created(session, a_project_with(session, [BAD], [GOOD]))

    agents.end(session, agents.a_taken_step(session, build))

    assert agents.state(build) == (Status.FINISHED, Result.FAILED)
    assert agents.announced(session, build.id) == 1


def test_a_build_of_refused_jobs_only_has_failed_at_once_and_says_so_once(session: Session) -> None:
    build = created(session, a_project_with(session, [BAD], [BAD]))

    assert agents.state(build) == (Status.FINISHED, Result.FAILED)
    assert agents.announced(session, build.id) == 1
    assert agents.reasons_of(session, build.id) == ["invalid_plan", "invalid_plan"]
    assert build.date_decided is not None


NOTHING_TO_RUN: list[list[Mapping[str, Any]]] = [
    [],
    [{"commands": []}],
    [{"commands": [{"script": "ls", "type": "snapshot"}]}],
]


@pytest.mark.parametrize("steps", NOTHING_TO_RUN)
def test_a_plan_with_nothing_to_run_does_not_pass(session: Session, steps: list[Mapping[str, Any]]) -> None:
    build = created(session, a_project_with(session, steps))

    assert agents.state(build) == (Status.FINISHED, Result.FAILED)
    assert agents.reasons_of(session, build.id) == ["plan_without_steps"]


def test_a_project_without_plans_gets_a_failed_build_that_says_why(session: Session) -> None:
    build = created(session, factories.a_project(session))

    assert agents.state(build) == (Status.FINISHED, Result.FAILED)
    assert agents.reasons_of(session, build.id) == ["no_plans"]
    assert agents.announced(session, build.id) == 1


def test_plans_in_the_repository_are_built_after_the_projects_own(session: Session) -> None:
    project = a_project_with(session, [GOOD])
    config = "plans: [{name: in the tree, commands: [make]}]"

    build = created(session, project, config=config)

    assert [job.label for job in agents.jobs_of(session, build)] == ["plan 0", "in the tree"]


def test_the_same_plan_in_the_repository_has_one_history(session: Session) -> None:
    project = factories.a_project(session)
    config = "plans: [{name: tests, commands: [make]}]"

    builds = [created(session, project, config=config) for _ in range(2)]

    plans = [session.query(JobPlan).filter_by(build_id=build.id).one().plan_id for build in builds]
    assert plans[0] == plans[1]


HOSTILE_CONFIGS = [
    "plans: {",
    "plans: [{name: a, commands: ['true'], env: {DAY: 2020-01-01}}]",
    "plans: [{name: a, commands: ['true'], env: {DAY: 2020-13-99}}]",
    'plans: [{name: a, commands: ["echo \\0"]}]',
    "plans: [{name: a, commands: ['true'], 1: 2}]",
    "plans: [{name: a, commands: ['true'], env: {X: .nan}}]",
]


@pytest.mark.parametrize("config", HOSTILE_CONFIGS)
def test_a_config_that_cannot_be_used_fails_the_build_in_words(session: Session, config: str) -> None:
    build = created(session, factories.a_project(session), config=config)

    assert agents.state(build) == (Status.FINISHED, Result.FAILED)
    assert agents.reasons_of(session, build.id) == ["invalid_config"]


WRONG_FIELDS = [
    {"timeout": 10**12},
    {"timeout": -1},
    {"cluster": 5},
    {"repo_path": 5},
    {"path": "../.."},
    {"path": []},
    {"env": 7},
    {"env": {"A=B": "1"}},
    {"artifacts": "junit.xml"},
]


@pytest.mark.parametrize("wrong", WRONG_FIELDS)
def test_a_field_of_the_wrong_kind_fails_the_job_in_words(session: Session, wrong: dict[str, Any]) -> None:
    build = created(session, a_project_with(session, [{**GOOD, **wrong}]))

    assert agents.reasons_of(session, build.id) == ["invalid_plan"]


TIMEOUTS = [
    ({}, None, 45),
    ({"timeout": 10}, None, 10),
    ({}, "30", 30),
    ({"timeout": 10}, "30", 10),
    ({}, "soon", 45),
    ({}, "99999999999999999999", 45),
    ({}, "999999999", 10080),
]


@pytest.mark.parametrize(("data", "option", "expected_min"), TIMEOUTS)
def test_the_recipes_limit_wins_over_the_option_and_that_over_the_servers(
    session: Session, data: dict[str, int], option: str | None, expected_min: int
) -> None:
    project = factories.a_project(session)
    plan = factories.a_plan(session, project, {**GOOD, **data})
    if option is not None:
        session.add(ItemOption(item_id=plan.steps[0].id, name="build.timeout", value=option))
        session.flush()

    build = created(session, project, timeout_min=45)

    assert factories.steps_of(session, build)[0].timeout_s == expected_min * 60


def test_steps_are_as_urgent_as_their_build(session: Session) -> None:
    build = created(session, a_project_with(session, [GOOD]), priority=Priority.HIGH)

    assert factories.steps_of(session, build)[0].priority == Priority.HIGH


def test_long_labels_are_cut(session: Session) -> None:
    build = created(session, a_project_with(session, [GOOD]), label="l" * 500, target="t" * 500)

    assert (len(build.label), len(build.target)) == (128, 128)


def test_a_refused_job_leaves_no_phases(session: Session) -> None:
    created(session, a_project_with(session, [GOOD, BAD]))

    assert session.execute(select(func.count()).select_from(JobPhase)).scalar_one() == 0
