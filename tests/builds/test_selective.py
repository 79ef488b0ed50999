"""Targets of Bazel that a change does not affect are not run where their result is known."""

import json

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session
from tests import factories
from tests.builds import agents, collecting

from changes.builds.bazel import ResultSource
from changes.builds.models import BazelTarget, Build
from changes.builds.rules import Result, Status
from changes.projects.models import Project
from changes.results import collect

BELOW, ABOVE = "b" * 40, "c" * 40
CONFIG = """
plans:
  - name: targets
    selective: {selective}
    commands: [{{script: list, type: collect_bazel_targets}}]
"""


@pytest.fixture
def project(session: Session) -> Project:
    return factories.a_project(session)


def a_build(session: Session, project: Project, sha: str, *, selective: bool = True) -> Build:
    config = CONFIG.format(selective=str(selective).lower())
    source = factories.a_source(session, project, sha=sha, config=config)
    source.revision.parents = [BELOW] if sha == ABOVE else []
    return collecting.build_of(session, project, source)


def name(session: Session, build: Build, affected: list[str], unaffected: list[str]) -> None:
    output = {"cmd": "test {target_names}", "affected_targets": affected, "unaffected_targets": unaffected}
    collecting.collect(session, build, json.dumps({**output, "artifact_search_path": "x"}))


def built_below(session: Session, project: Project, **results: Result) -> None:
    build = a_build(session, project, BELOW)
    name(session, build, [f"//a:{each}" for each in results], [])
    for step in collecting.take(session, build):
        agents.end(session, step)
        collect.collect_step(step.id)
    for target in session.execute(select(BazelTarget)).scalars():
        target.result, target.duration_ms = results[target.name.removeprefix("//a:")], 700
    session.flush()


def run_by(session: Session, build: Build) -> list[str]:
    return sorted(name for step in collecting.take(session, build) for name in step.data["targets"])


def taken_over(session: Session, build: Build) -> dict[str, tuple[Result, int | None]]:
    jobs = [job.id for job in agents.jobs_of(session, build)]
    mine = select(BazelTarget).where(
        BazelTarget.job_id.in_(jobs), BazelTarget.source == ResultSource.FROM_PARENT
    )
    return {each.name: (each.result, each.duration_ms) for each in session.execute(mine).scalars()}


def test_an_unaffected_target_keeps_its_result_of_the_commit_below(
    session: Session, project: Project
) -> None:
    built_below(session, project, db=Result.PASSED, web=Result.FAILED)
    build = a_build(session, project, ABOVE)

    name(session, build, ["//a:new"], ["//a:db", "//a:web"])

    assert run_by(session, build) == ["//a:new"]
    assert taken_over(session, build) == {"//a:db": (Result.PASSED, 700), "//a:web": (Result.FAILED, 700)}


def test_an_unaffected_target_that_nobody_has_seen_is_run(session: Session, project: Project) -> None:
    built_below(session, project, db=Result.PASSED, lost=Result.UNKNOWN)
    build = a_build(session, project, ABOVE)

    name(session, build, [], ["//a:db", "//a:lost", "//a:never"])

    assert run_by(session, build) == ["//a:lost", "//a:never"]


def test_without_a_build_below_all_is_run(session: Session, project: Project) -> None:
    build = a_build(session, project, ABOVE)

    name(session, build, ["//a:new"], ["//a:db"])

    assert run_by(session, build) == ["//a:db", "//a:new"]


def test_a_plan_that_does_not_say_so_runs_everything(session: Session, project: Project) -> None:
    built_below(session, project, db=Result.PASSED)
    build = a_build(session, project, ABOVE, selective=False)

    name(session, build, ["//a:new"], ["//a:db"])

    assert run_by(session, build) == ["//a:db", "//a:new"]


def test_a_change_that_affects_nothing_passes(session: Session, project: Project) -> None:
    built_below(session, project, db=Result.PASSED)
    build = a_build(session, project, ABOVE)

    name(session, build, [], ["//a:db"])

    assert agents.state(build) == (Status.FINISHED, Result.PASSED)
