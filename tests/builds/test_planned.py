"""What a plan says, as its jobs keep it."""

from typing import Any

import pytest
from sqlalchemy.orm import Session
from tests import factories
from tests.builds import agents, collecting

from changes.builds import offers, reasons, terms
from changes.builds.models import Build, FailureReason, JobPlan
from changes.builds.rules import Result, Status
from changes.builds.terms import Retry
from changes.projects import plan_options
from changes.projects.models import ItemOption, Plan, Project, ProjectOption, Step
from changes.projects.rules import PlanStatus


def frozen(session: Session, build: Build) -> dict[str, Any]:
    return session.query(JobPlan).filter_by(build_id=build.id).one().data


def built(session: Session, config: str, project: Project | None = None) -> Build:
    return collecting.build_again(session, project or factories.a_project(session), config)


def sentence(session: Session, build: Build) -> str:
    (why,) = session.query(FailureReason).filter_by(build_id=build.id)
    return reasons.sentence(why.reason, why.data)


def test_whatever_changes_while_a_build_waits_does_not_reach_it(session: Session) -> None:
    project = factories.a_project(session)
    plan = factories.a_plan(session, project, collecting.COLLECT_STEPS, {"commands": ["then this"]})
    session.add_all(
        [
            ItemOption(item_id=plan.id, name=plan_options.RETRY_TIMES, value="2"),
            ItemOption(item_id=plan.steps[0].id, name=plan_options.TIMEOUT, value="9"),
            ProjectOption(project_id=project.id, name="queue.weight", value="3"),
        ]
    )
    session.flush()
    build = collecting.build_again(session, project)
    before = frozen(session, build)

    change_everything(session, project)
    session.expire_all()

    assert frozen(session, build) == before
    assert before["project_options"] == {"queue.weight": "3"}
    assert terms.thawed(before).retry == Retry(times=2)
    collecting.collect(session, build, '{"commands": ["a"]}')
    (named,) = collecting.take(session, build)
    assert (collecting.scripts_of(session, [named]), named.timeout_s) == ([["a"]], 540)
    agents.end(session, named)
    (last,) = collecting.take(session, build)
    assert collecting.scripts_of(session, [last]) == [["then this"]]


def change_everything(session: Session, project: Project) -> None:
    (plan,) = session.query(Plan).filter_by(project_id=project.id)
    session.query(Step).filter_by(plan_id=plan.id).update({"data": {"commands": ["something else"]}})
    session.query(ItemOption).update({"value": "1"})
    session.query(ProjectOption).update({"value": "1"})
    plan.label, plan.status = "another name", PlanStatus.INACTIVE
    project.slug = f"renamed-{project.id.hex}"
    session.flush()


def test_the_plans_limit_comes_after_its_steps_and_before_the_servers(session: Session) -> None:
    project = factories.a_project(session)
    plan = factories.a_plan(session, project, {"commands": ["a"], "timeout": 3}, {"commands": ["b"]})
    session.add(ItemOption(item_id=plan.id, name=plan_options.TIMEOUT, value="20"))
    session.flush()

    build = collecting.build_again(session, project)

    steps = factories.steps_of(session, build)
    assert [(step.timeout_s // 60, step.data["timeout_from"]) for step in steps] == [
        (3, "data"),
        (20, "plan"),
    ]


def test_a_plan_of_several_steps_shares_what_it_says_above_them(session: Session) -> None:
    config = """
    plans:
      - name: all
        env: {A: 1, B: 1}
        timeout: 5
        steps:
          - {label: Make, commands: [make], env: {B: 2}}
          - {label: Check, commands: [check], timeout: 8, path: sub}
    """

    build = built(session, config)

    assert [phase.label for phase in factories.phases_of(session, build)] == ["Make", "Check"]
    first, second = factories.steps_of(session, build)
    assert (first.timeout_s, second.timeout_s) == (300, 480)
    (make,), (check,) = (agents.commands_of(session, step) for step in (first, second))
    assert make.env == {"CHANGES": "1", "A": "1", "B": "2"}
    assert (check.env, check.cwd) == ({"CHANGES": "1", "A": "1", "B": "1"}, "sub")


def test_what_a_job_is_to_be_handed_out_by_is_kept_with_its_steps(session: Session) -> None:
    config = (
        "plans: [{name: a, commands: [x], group: db, labels: {gpu: true}, cpus: 2, memory: 512, cluster: c}]"
    )

    (step,) = factories.steps_of(session, built(session, config))

    assert step.cluster == "c"
    assert {name: step.data[name] for name in ("concurrency_group", "labels", "cpus", "memory")} == {
        "concurrency_group": "db",
        "labels": {"gpu": "true"},
        "cpus": 2,
        "memory": 512,
    }


def test_an_optional_plan_makes_an_optional_job_where_the_project_asks_for_the_required_ones(
    session: Session,
) -> None:
    project = factories.a_project(session)
    session.add(ProjectOption(project_id=project.id, name="build.result-rule", value="required-only"))
    session.flush()
    config = "plans: [{name: a, optional: true, commands: [x]}, {name: b, commands: [y]}]"

    build = built(session, config, project)

    assert [job.is_optional for job in agents.jobs_of(session, build)] == [True, False]


def test_the_originals_empty_step_ends_as_aborted(session: Session) -> None:
    project = factories.a_project(session)
    plan = factories.a_plan(session, project, {})
    plan.steps[0].implementation = "changes.buildsteps.dummy.DummyBuildStep"
    session.flush()

    build = collecting.build_again(session, project)

    assert agents.state(build) == (Status.FINISHED, Result.ABORTED)


WRONG = [
    (
        "plans:\n  - name: a\n    commands:\n      - make\n      - script: x\n        scrpt: y",
        ".changes.yml line 6, column 9: command 2: unknown field 'scrpt', did you mean 'script'?",
    ),
    (
        "plans:\n  - name: a\n    timeout: soon\n    commands: [x]",
        ".changes.yml line 3, column 5: timeout must be a whole number from 0 to 10080",
    ),
    (
        "plans:\n  - name: a\n    steps:\n      - commands: [x]\n      - commands: [x]\n        cpus: many",
        ".changes.yml line 6, column 9: cpus must be a whole number",
    ),
    (
        "plans:\n  - name: a\n    cpus: many\n    steps:\n      - commands: [x]",
        ".changes.yml line 3, column 5: cpus must be a whole number",
    ),
    (
        "plans:\n  - name: a\n    commands:\n      - x\n      - {type: setup}",
        ".changes.yml line 5, column 9: command 2: script is missing",
    ),
    (
        "plans:\n  - name: a\n    commands: [x]\n    retry:\n      time: 3",
        ".changes.yml line 5, column 7: unknown field 'time', did you mean 'times'?",
    ),
    (
        "plans:\n  - name: a\n    commands: [x]\n    other_repos:\n      - {repo: 'https://h/x'}",
        ".changes.yml line 5, column 9: repository 1: path is missing",
    ),
]


@pytest.mark.parametrize(("config", "expected"), WRONG, ids=range(len(WRONG)))
def test_what_is_wrong_in_the_file_is_told_with_its_line(
    session: Session, config: str, expected: str
) -> None:
    said = sentence(session, built(session, config))

    assert said.startswith(f"The plan a cannot be run: {expected}")


OTHERS = "plans: [{name: a, commands: [x], other_repos: [{repo: '%s', path: lib, revision: stable}]}]"


def test_other_repositories_reach_the_agent(session: Session) -> None:
    (step,) = factories.steps_of(session, built(session, OTHERS % "https://example.com/lib.git"))

    assert step.data["other_repos"] == [
        {"url": "https://example.com/lib.git", "path": "lib", "backend": "git", "revision": "stable"}
    ]


def test_a_path_of_the_agents_machine_is_only_for_those_whose_repository_is_one(session: Session) -> None:
    here = factories.a_project(session, repository=factories.a_repository(session, "/srv/code"))

    refused, allowed = built(session, OTHERS % "/srv/lib"), built(session, OTHERS % "/srv/lib", here)

    assert agents.state(refused) == (Status.FINISHED, Result.FAILED)
    assert "/srv/lib is a path" in sentence(session, refused)
    assert agents.state(allowed) == (Status.PENDING_ALLOCATION, Result.UNKNOWN)


def test_commands_know_what_they_may_use() -> None:
    assert offers.resources({"cpus": 4, "memory": 512, "release": "trusty", "clean": True}) == {
        "CHANGES_CPUS": "4",
        "CHANGES_MEMORY_MB": "512",
        "CHANGES_RELEASE": "trusty",
    }
    assert offers.resources({}) == {}
