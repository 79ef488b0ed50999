"""Doing things again and cancelling parts, by the API."""

import pytest
from sqlalchemy.orm import Session
from starlette.testclient import TestClient
from tests.builds import agents
from tests.factories import a_build, a_node, give_to, steps_of
from tests.web.conftest import API, answered, job_of, refused

from changes.base.ids import new
from changes.builds.models import Build, JobStep
from changes.builds.rules import Result, Status
from changes.protocol import StepReport

FAILED = StepReport(status="finished", result="failed")


def a_failed_build(session: Session) -> Build:
    build = a_build(session)
    fail(session, steps_of(session, build)[0])
    return build


def fail(session: Session, step: JobStep) -> None:
    agents.tell(session, give_to(session, step, a_node(session)), FAILED)
    session.flush()


def test_a_retry_is_a_new_build_that_says_of_which(writer: TestClient, session: Session) -> None:
    build = a_failed_build(session)

    answer = answered(writer.post(f"{API}/builds/{build.id.hex}/retry/"))

    made = answer.json()
    assert answer.status_code == 201
    assert answer.headers["Location"] == f"{API}/builds/{made['id']}/"
    assert (made["retryOf"], made["cause"]["id"], made["number"]) == (build.id.hex, "retry", build.number + 1)


def test_only_what_failed_is_retried_in_the_same_build(writer: TestClient, session: Session) -> None:
    build = a_failed_build(session)

    told = answered(writer.post(f"{API}/builds/{build.id.hex}/retry/", json={"only": "failed"})).json()

    assert (told["id"], told["result"]["id"]) == (build.id.hex, "unknown")
    assert len(steps_of(session, build)) == 2


def test_something_else_than_what_failed_cannot_be_asked_for(writer: TestClient, session: Session) -> None:
    build = a_failed_build(session)

    answer = writer.post(f"{API}/builds/{build.id.hex}/retry/", json={"only": "green"})

    assert "only" in refused(answer, 400)["problems"]


def test_a_restart_needs_a_build_that_has_ended(writer: TestClient, session: Session) -> None:
    build = a_failed_build(session)
    address = f"{API}/builds/{build.id.hex}/restart/"

    first, second = answered(writer.post(address)), answered(writer.post(address))

    assert first.json()["status"]["id"] == "pending_allocation"
    assert "has ended" in refused(second, 400)["error"]


def test_a_job_is_done_again(writer: TestClient, session: Session) -> None:
    build = a_failed_build(session)
    job = job_of(session, build)
    address = f"{API}/jobs/{job.id.hex}/retry/"

    first, second = answered(writer.post(address)), answered(writer.post(address))

    assert first.json()["status"]["id"] == "pending_allocation"
    assert "has ended" in refused(second, 409)["error"]


@pytest.mark.parametrize("kind", ["jobs", "jobsteps"])
def test_a_part_of_a_build_is_cancelled_once(writer: TestClient, session: Session, kind: str) -> None:
    build = a_build(session)
    part = job_of(session, build) if kind == "jobs" else steps_of(session, build)[0]
    address = f"{API}/{kind}/{part.id.hex}/cancel/"

    first, second = answered(writer.post(address)), answered(writer.post(address))

    assert first.json()["result"]["id"] == "aborted"
    assert (second.status_code, second.content) == (204, b"")
    assert (build.status, build.result) == (Status.FINISHED, Result.ABORTED)


@pytest.mark.parametrize(
    "path",
    ["builds/{}/retry/", "builds/{}/restart/", "jobs/{}/retry/", "jobs/{}/cancel/", "jobsteps/{}/cancel/"],
)
def test_what_is_not_there_cannot_be_done_again(writer: TestClient, path: str) -> None:
    refused(writer.post(f"{API}/{path.format(new().hex)}"), 404)


def test_a_step_lists_all_attempts_at_its_work(writer: TestClient, session: Session) -> None:
    build = a_failed_build(session)
    writer.post(f"{API}/builds/{build.id.hex}/retry/", json={"only": "failed"})
    old, newest = steps_of(session, build)

    for step in (old, newest):
        told = answered(writer.get(f"{API}/jobsteps/{step.id.hex}/")).json()["attempts"]

        assert [
            (each["id"], each["attempt"], each["origin"]["id"], each["result"]["id"]) for each in told
        ] == [
            (old.id.hex, 1, "first", "failed"),
            (newest.id.hex, 2, "asked", "unknown"),
        ]


def test_whoever_asks_is_named_with_the_build(writer: TestClient, session: Session) -> None:
    build = a_failed_build(session)

    made = answered(writer.post(f"{API}/builds/{build.id.hex}/retry/")).json()

    assert made["askedBy"].startswith("token ")
