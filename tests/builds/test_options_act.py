"""What an option of a project or of a plan kept here does, where no other test asks it of the option."""

import json
import re
from pathlib import Path

from sqlalchemy.orm import Session
from tests import factories
from tests.builds import agents

from changes.builds import terms
from changes.builds.models import Build
from changes.builds.rules import Origin, Result, Status
from changes.projects import options, plan_options
from changes.projects.models import Plan, Project
from changes.projects.options import OF_PROJECTS
from changes.projects.plan_options import OF_PLANS, OF_STEPS

ROOT = Path(__file__).parents[2]
TABLE = ROOT / "docs" / "developers" / "options.md"
ROW = re.compile(r"\| `([\w.-]+)` \| (\w+) \| `(tests/[\w/]+\.py)::(\w+)` \|")


def a_plan(session: Session, project: Project, **said: str) -> Plan:
    plan = factories.a_plan(session, project, {"commands": ["make"]})
    chosen = {name.replace("__", ".").replace("_", "-"): value for name, value in said.items()}
    plan_options.change(session, plan.id, OF_PLANS, chosen)
    return plan


def a_failed_build(session: Session, project: Project) -> Build:
    """Of which the first step failed and every other one passed."""
    build = factories.a_build(session, project, plans=0)
    for number, step in enumerate(factories.steps_of(session, build)):
        agents.end(session, factories.give_to(session, step, factories.a_node(session)), code=int(not number))
    return build


def test_every_option_has_a_test_of_its_effect_that_the_documentation_names() -> None:
    rows = ROW.findall(TABLE.read_text())

    scopes = {"project": OF_PROJECTS, "plan": OF_PLANS, "step": OF_STEPS}
    declared = {(name, scope) for scope, found in scopes.items() for name in found}
    assert {(name, scope) for name, scope, _, _ in rows} >= declared
    missing = [row for row in rows if f"\ndef {row[3]}(" not in (ROOT / row[2]).read_text()]
    assert missing == []


def test_a_plan_that_is_optional_by_its_option_may_fail_where_only_the_required_must_pass(
    session: Session,
) -> None:
    project = factories.a_project(session)
    options.change(session, project, {options.RESULT_RULE: "required-only"})
    a_plan(session, project, job__optional="1")
    a_plan(session, project)

    assert a_failed_build(session, project).result == Result.PASSED


def test_a_plan_that_names_a_group_by_its_option_counts_against_the_limit_of_that(session: Session) -> None:
    project = factories.a_project(session)
    a_plan(session, project, job__group="staging")

    (step,) = factories.steps_of(session, factories.a_build(session, project, plans=0))

    assert step.data["concurrency_group"] == "staging"


def test_a_plan_that_retries_by_its_options_is_tried_again_after_the_pause(session: Session) -> None:
    project = factories.a_project(session)
    a_plan(session, project, job__retry_times="1", job__retry_increment="60")

    build = a_failed_build(session, project)

    failed, again = factories.steps_of(session, build)
    assert (failed.replacement_id, again.origin, build.status) == (
        again.id,
        Origin.POLICY,
        Status.PENDING_ALLOCATION,
    )
    assert again.not_before is not None


def test_a_plan_that_retries_only_for_a_pattern_by_its_option_fails_for_anything_else(
    session: Session,
) -> None:
    project = factories.a_project(session)
    a_plan(session, project, job__retry_times="1", job__retry_patterns="reset by peer")

    build = a_failed_build(session, project)

    assert agents.state(build) == (Status.FINISHED, Result.FAILED)


def test_selective_targets_and_parameters_are_said_by_options_too() -> None:
    level = [{"name": "LEVEL", "choices": ["1", "2"]}]

    said = terms.of_options({"bazel.selective": "1", "job.parameters": json.dumps(level)})

    assert said.is_selective
    assert [each.name for each in said.parameters] == ["LEVEL"]
