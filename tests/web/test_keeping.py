"""What agents, tokens of steps and people may do with what is kept."""

import hashlib
from typing import Any

import httpx
import pytest
from sqlalchemy.orm import Session
from starlette.testclient import TestClient
from tests.builds.kept import CONTENT, a_build_of, a_cache, a_plan_with_set_up, a_snapshot
from tests.factories import a_node, a_project, as_caller, give_to, steps_of
from tests.web.conftest import API, Live, answered, refused

from changes.builds import snapshots, step_tokens
from changes.builds.models import Build, JobStep
from changes.projects import options, queries
from changes.projects.models import Project


def a_project_with_set_up(session: Session, slug: str = "") -> Project:
    project = a_project(session, slug)
    a_plan_with_set_up(session, project)
    return project


@pytest.fixture
def project(session: Session) -> Project:
    return a_project_with_set_up(session, "hello")


def json_of(answer: httpx.Response) -> Any:
    return answered(answer).json()


def step_with_token(session: Session, build: Build) -> tuple[JobStep, dict[str, str]]:
    step = give_to(session, steps_of(session, build)[0], a_node(session))
    return step, as_caller(step_tokens.make(step.id))


def test_a_step_reads_the_bytes_it_begins_with_from_where_it_stopped(live: Live) -> None:
    with live.database.transaction() as session:
        project = a_project_with_set_up(session)
        made = a_snapshot(session, project)
        snapshots.set_current(session, project, made)
        step, headers = step_with_token(session, a_build_of(session, project))
        where = f"{API}/agents/steps/{step.id.hex}/blobs/{made.images[0].sha256}/"

    answer = live.http.get(where, params={"offset": 5}, headers=headers)

    assert (answer.status_code, answer.content) == (200, CONTENT[5:])


def test_a_step_reads_no_bytes_of_others(live: Live) -> None:
    with live.database.transaction() as session:
        entry = a_cache(session, a_build_of(session, a_project_with_set_up(session)), "deps")
        step, headers = step_with_token(session, a_build_of(session, a_project_with_set_up(session)))
        where = f"{API}/agents/steps/{step.id.hex}/blobs/{entry.sha256}/"

    refused(live.http.get(where, headers=headers), 403)


def test_a_cut_upload_is_told_where_to_go_on(live: Live) -> None:
    with live.database.transaction() as session:
        step, headers = step_with_token(session, a_build_of(session, a_project_with_set_up(session)))
        step_id = step.id.hex
    where = f"{API}/agents/steps/{step_id}/blobs/{hashlib.sha256(CONTENT).hexdigest()}/"
    size = len(CONTENT)

    cut = live.http.put(where, params={"offset": 3, "size": size}, content=CONTENT[3:], headers=headers)
    sent = live.http.put(where, params={"offset": 0, "size": size}, content=CONTENT, headers=headers)

    assert (cut.status_code, cut.json()["offset"]) == (409, 0)
    assert json_of(sent) == {"offset": size}


def test_a_snapshot_is_asked_for_and_shown(admin: TestClient, session: Session, project: Project) -> None:
    made = a_snapshot(session, project)

    told: dict[str, Any] = json_of(admin.get(f"{API}/snapshots/{made.id.hex}/"))
    listed = json_of(admin.get(f"{API}/projects/hello/snapshots/"))

    assert told["status"]["id"] == "active"
    assert told["isActive"] is False
    assert [each["id"] for each in listed] == [made.id.hex]
    assert [image["status"]["id"] for image in told["images"]] == ["active"]


def test_invalid_ones_are_listed_apart(admin: TestClient, session: Session, project: Project) -> None:
    made = a_snapshot(session, project)
    answered(admin.post(f"{API}/snapshots/{made.id.hex}/", data={"status": "invalidated"}))

    valid = json_of(admin.get(f"{API}/snapshots/"))
    invalid = json_of(admin.get(f"{API}/snapshots/", params={"state": "invalid"}))

    assert [each["id"] for each in valid] == []
    assert [each["id"] for each in invalid] == [made.id.hex]


def test_what_is_not_active_cannot_be_made_current(
    admin: TestClient, session: Session, project: Project
) -> None:
    made = a_snapshot(session, project)
    answered(admin.post(f"{API}/snapshots/{made.id.hex}/", data={"status": "invalidated"}))

    told = refused(admin.post(f"{API}/snapshots/{made.id.hex}/", data={"set_current": "1"}), 400)

    assert "Only an active snapshot" in told["error"]


def test_the_current_one_is_set_by_its_option_too(
    admin: TestClient, session: Session, project: Project
) -> None:
    made = a_snapshot(session, project)
    where = f"{API}/projects/hello/options/"

    answered(admin.post(where, data={"snapshot.current": made.id.hex}))
    told = refused(admin.post(where, data={"snapshot.current": "0" * 32}), 400)

    assert told["problems"] == ["snapshot.current"]
    assert queries.options(session, project)[options.SNAPSHOT_CURRENT] == made.id.hex


def test_jobs_that_began_with_it_are_listed(admin: TestClient, session: Session, project: Project) -> None:
    made = a_snapshot(session, project)
    snapshots.set_current(session, project, made)
    build = a_build_of(session, project)

    (job,) = json_of(admin.get(f"{API}/snapshots/{made.id.hex}/jobs/"))

    assert job["build"]["id"] == build.id.hex


def test_a_build_says_in_the_originals_words_why_a_snapshot_does_not_fit(
    admin: TestClient, session: Session, project: Project
) -> None:
    both = {"project": "hello", "sha": "a" * 40, "snapshot_id": "0" * 32, "no_snapshot": "1"}
    one = {**both, "no_snapshot": "0"}

    told = [refused(admin.post(f"{API}/builds/", data=fields), 400)["error"] for fields in (both, one)]

    assert told == ["Cannot specify snapshot with no_snapshot option", "Unable to find snapshot."]


def test_what_is_reproduced_holds_no_secret_and_opens_nothing(
    reader: TestClient, session: Session, project: Project
) -> None:
    step = steps_of(session, a_build_of(session, project))[0]
    step.data = {**step.data, "secrets": ["DEPLOY_KEY"], "step_token": True}
    session.flush()

    told = json_of(reader.get(f"{API}/jobsteps/{step.id.hex}/reproduce/"))

    assert told["missingSecrets"] == ["DEPLOY_KEY"]
    assert told["offer"]["token"] == ""
    assert told["offer"]["secrets"] == {}
    assert "CHANGES_STEP_TOKEN" not in told["offer"]["env"]


def test_caches_are_listed_and_removed(admin: TestClient, session: Session, project: Project) -> None:
    entry = a_cache(session, a_build_of(session, project), "deps-1")

    (listed,) = json_of(admin.get(f"{API}/projects/hello/caches/"))
    gone = admin.delete(f"{API}/projects/hello/caches/{entry.id.hex}/")

    assert (listed["key"], listed["isTrusted"]) == ("deps-1", True)
    assert gone.status_code == 204
    assert json_of(admin.get(f"{API}/projects/hello/caches/")) == []
