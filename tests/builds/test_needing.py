"""Jobs that wait for other jobs of their build."""

import json
from collections.abc import Mapping
from typing import Any

import pytest
from sqlalchemy.orm import Session
from tests import factories
from tests.builds import agents, collecting

from changes.builds import again, cancel, queries, reasons
from changes.builds.events import JobFinished
from changes.builds.models import Build, FailureReason
from changes.builds.rules import Result, Status
from changes.projects.models import ItemOption

CHAIN = """
plans:
  - {name: build, commands: [make]}
  - {name: test, needs: [build], commands: [make test]}
  - {name: release, needs: [build, test], commands: [make release]}
  - {name: lint, commands: [make lint]}
"""


def a_build(session: Session, config: str = CHAIN) -> Build:
    return collecting.build_again(session, factories.a_project(session), config)


def states(session: Session, build: Build) -> dict[str, Status | Result]:
    """The result of what has ended, the status of what has not."""
    session.expire_all()
    return {
        job.label: job.result if job.is_finished else job.status for job in agents.jobs_of(session, build)
    }


def run(session: Session, build: Build, label: str, *, code: int = 0) -> None:
    (step,) = [step for step in collecting.take(session, build) if step.label == label]
    agents.end(session, step, code=code)
    for held in factories.steps_of(session, build):
        if held.status == Status.ALLOCATED:
            held.status = Status.PENDING_ALLOCATION
    session.flush()


def said(session: Session, build: Build) -> list[str]:
    found = session.query(FailureReason).filter_by(build_id=build.id).order_by(FailureReason.id)
    return [reasons.sentence(each.reason, each.data) for each in found]


def test_a_job_waits_until_those_it_needs_have_passed(session: Session) -> None:
    build = a_build(session)
    waiting, ready = Status.QUEUED, Status.PENDING_ALLOCATION
    assert states(session, build) == {"build": ready, "test": waiting, "release": waiting, "lint": ready}

    run(session, build, "build")
    assert states(session, build)["test"] == ready
    assert states(session, build)["release"] == waiting
    run(session, build, "test")
    assert states(session, build)["release"] == ready
    run(session, build, "release")
    run(session, build, "lint")

    assert agents.state(build) == (Status.FINISHED, Result.PASSED)


def test_what_needs_a_failed_job_is_skipped_with_the_reason_and_so_is_what_needs_that(
    session: Session,
) -> None:
    build = a_build(session)

    run(session, build, "build", code=1)

    assert states(session, build) == {
        "build": Result.FAILED,
        "test": Result.SKIPPED,
        "release": Result.SKIPPED,
        "lint": Status.PENDING_ALLOCATION,
    }
    assert said(session, build)[1:] == [
        "The job test did not run: it needs the job build, which ended as failed.",
        # What failed itself tells more than what was skipped for it.
        "The job release did not run: it needs the job build, which ended as failed.",
    ]


def test_a_job_that_is_skipped_for_more_than_one_it_needs_ends_once(session: Session) -> None:
    agents.listen(JobFinished)
    build = a_build(session)

    run(session, build, "build", code=1)

    ended = [job for job in agents.jobs_of(session, build) if job.is_finished]
    assert [job.label for job in ended] == ["build", "test", "release"]
    assert agents.announced_jobs(session) == sorted(str(job.id) for job in ended)


def test_the_build_ends_with_the_last_job_that_runs(session: Session) -> None:
    build = a_build(session)
    run(session, build, "lint")

    run(session, build, "build", code=1)

    assert agents.state(build) == (Status.FINISHED, Result.FAILED)


def test_cancelling_ends_those_that_wait_too(session: Session) -> None:
    build = a_build(session)

    cancel.cancel_build(session, build)

    assert set(states(session, build).values()) == {Result.ABORTED}


def test_a_job_that_cannot_be_run_takes_those_that_need_it_along(session: Session) -> None:
    config = "plans: [{name: a, commands: [x], nonsense: 1}, {name: b, needs: [a], commands: [y]}]"

    build = a_build(session, config)

    assert agents.state(build) == (Status.FINISHED, Result.FAILED)
    assert states(session, build) == {"a": Result.FAILED, "b": Result.SKIPPED}


REFUSED = [
    (
        "plans:\n  - name: a\n    needs: [b]\n    commands: [x]",
        (
            "The plan a cannot be run: .changes.yml line 3, column 5: it needs 'b',"
            " which is no plan of this build"
        ),
    ),
    (
        "plans:\n  - {name: a, needs: [b], commands: [x]}\n  - {name: b, needs: [a], commands: [x]}",
        "The plan a cannot be run: .changes.yml line 2, column 15: its needs go in a circle: a → b → a",
    ),
    (
        "plans:\n  - name: a\n    commands: [x]\n    needs: b",
        "The plan a cannot be run: .changes.yml line 4, column 5: needs must be a list of names of plans",
    ),
]


@pytest.mark.parametrize(("config", "expected"), REFUSED)
def test_needs_that_cannot_be_met_are_refused_with_line_and_names(
    session: Session, config: str, expected: str
) -> None:
    build = a_build(session, config)

    assert agents.state(build) == (Status.FINISHED, Result.FAILED)
    assert said(session, build)[0].startswith(expected)


def test_a_plan_on_the_server_needs_others_by_its_option(session: Session) -> None:
    project = factories.a_project(session)
    factories.a_plan(session, project, {"commands": ["x"]}, label="build")
    test = factories.a_plan(session, project, {"commands": ["y"]}, label="test")
    session.add(ItemOption(item_id=test.id, name="job.needs", value="build"))
    session.flush()

    build = collecting.build_again(session, project)

    assert states(session, build) == {"build": Status.PENDING_ALLOCATION, "test": Status.QUEUED}


# --- what is needed is done again --------------------------------------------------------------------

NAMES_TWO = {"commands": [{"script": "list", "type": "collect_steps"}]}
TWO_COMMANDS = json.dumps({"commands": [{"script": "one"}, {"script": "other"}]})


def a_build_of_three(session: Session, *of_second: Mapping[str, Any]) -> Build:
    """`second` needs `first`, `third` needs `second`."""
    project = factories.a_project(session)
    factories.a_plan(session, project, {"commands": ["x"]}, label="first")
    second = factories.a_plan(session, project, *of_second, label="second")
    third = factories.a_plan(session, project, {"commands": ["z"]}, label="third")
    for plan, needed in ((second, "first"), (third, "second")):
        session.add(ItemOption(item_id=plan.id, name="job.needs", value=needed))
    session.flush()
    return collecting.build_again(session, project)


def first_done_again(session: Session, build: Build) -> None:
    again.repeat_job(session, agents.jobs_of(session, build)[0].id)
    again.repeat_failed(session, build)


def test_a_job_that_cannot_go_on_has_not_passed_whatever_of_it_has(session: Session) -> None:
    build = a_build_of_three(session, {"commands": ["a"]}, {"commands": ["b"]})
    for code in (0, 0, 1):
        agents.end(session, collecting.take(session, build)[0], code=code)
    first_done_again(session, build)

    agents.end(session, collecting.take(session, build)[0], code=1)

    assert states(session, build) == {
        "first": Result.FAILED,
        "second": Result.SKIPPED,
        "third": Result.SKIPPED,
    }
    assert agents.state(build) == (Status.FINISHED, Result.FAILED)


def test_a_job_that_goes_on_does_not_wait_because_what_it_needed_is_done_again(session: Session) -> None:
    build = a_build_of_three(session, NAMES_TWO)
    agents.end(session, collecting.take(session, build)[0])
    collecting.collect(session, build, TWO_COMMANDS)
    failed, running = collecting.take(session, build)
    agents.begin(session, running)
    agents.end(session, failed, code=1)

    first_done_again(session, build)

    newest = factories.steps_of(session, build)[-1]
    assert (newest.status, newest.attempt) == (Status.PENDING_ALLOCATION, 2)


def test_a_job_that_goes_on_is_not_stopped_because_what_it_needed_fails_then(session: Session) -> None:
    build = a_build_of_three(session, {"commands": ["a"]}, {"commands": ["b"]})
    agents.end(session, collecting.take(session, build)[0])
    running = collecting.take(session, build)[0]
    agents.begin(session, running)
    again.repeat_job(session, agents.jobs_of(session, build)[0].id)

    agents.end(session, collecting.take(session, build)[0], code=1)
    agents.end(session, running)
    agents.end(session, collecting.take(session, build)[0])

    assert states(session, build)["second"] == Result.PASSED
    assert agents.state(build) == (Status.PENDING_ALLOCATION, Result.FAILED)


def test_what_was_said_of_a_skipped_job_is_forgotten_when_it_may_run_after_all(session: Session) -> None:
    build = a_build(session)
    run(session, build, "build", code=1)
    assert len(said(session, build)) == 3

    again.repeat_failed(session, build)
    for label in ("build", "test", "release", "lint"):
        run(session, build, label)

    assert agents.state(build) == (Status.FINISHED, Result.PASSED)
    assert queries.failures_of(session, [build.id])[build.id] == []
