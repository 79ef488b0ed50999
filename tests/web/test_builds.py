"""Asking for builds, looking at them, cancelling them."""

from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.orm import Session
from starlette.testclient import TestClient
from tests.factories import (
    a_build,
    a_git_repository,
    a_node,
    a_plan,
    a_project,
    a_repository,
    a_source,
    give_to,
)
from tests.web.conftest import API, Live, first_step, refused, wait_until

from changes.base import ids
from changes.builds.models import Build
from changes.projects import looks
from changes.projects.models import ItemOption, Project
from changes.projects.rules import ProjectStatus, RepositoryBackend

ENUM = {"id", "name"}
BUILD = {
    "id", "collection_id", "number", "name", "target", "status", "result", "cause", "selectiveTestingPolicy",
    "project", "author", "source", "message", "tags", "duration", "estimatedDuration", "stats", "failures",
    "dateCreated", "dateStarted", "dateFinished", "dateDecided", "dateModified", "link",
}  # fmt: skip
PROJECT = {"id", "slug", "name", "repository", "status", "dateCreated", "link"}
AUTHOR = {"id", "name", "email", "avatar", "dateCreated"}
SOURCE = {"id", "isCommit", "data", "patch", "revision", "dateCreated"}
REVISION = {
    "id", "sha", "repository", "branches", "message", "author", "parents", "external", "dateCreated",
    "dateCommitted",
}  # fmt: skip
DETAILS = {"jobs", "testFailures", "events", "seenBy", "parents"}


@pytest.fixture
def project(session: Session) -> Project:
    project = a_project(session, repository=a_repository(session, backend=RepositoryBackend.UNKNOWN))
    a_plan(session, project, {"commands": ["true"]})
    return project


def test_a_build_of_a_commit_has_every_field_old_clients_know(reader: TestClient, session: Session) -> None:
    build = a_build(session)
    build.author = build.source.revision.author
    session.flush()

    told = reader.get(f"{API}/builds/").json()[0]

    assert set(told) >= BUILD
    assert set(told["project"]) >= PROJECT
    assert set(told["author"]) >= AUTHOR
    assert set(told["source"]) >= SOURCE
    assert set(told["source"]["revision"]) >= REVISION
    assert all(set(told[name]) == ENUM for name in ("status", "result", "cause", "selectiveTestingPolicy"))
    assert told["status"]["name"] == "Queued"
    assert told["source"]["patch"] is None
    assert told["source"]["isCommit"] is True


def test_ids_and_times_have_the_form_old_clients_read(reader: TestClient, session: Session) -> None:
    build = a_build(session)

    told = reader.get(f"{API}/builds/").json()[0]

    assert told["id"] == build.id.hex
    assert told["dateCreated"] == build.date_created.replace(tzinfo=None).isoformat()
    assert told["link"] == f"http://changes.test/projects/{build.project.slug}/builds/{build.id.hex}/"


def test_a_build_of_a_patch_names_it(reader: TestClient, session: Session) -> None:
    build = a_build(session)
    build.source = a_source(session, build.project, patch=b"+1")
    session.flush()

    source = reader.get(f"{API}/builds/").json()[0]["source"]

    assert source["isCommit"] is False
    assert set(source["patch"]) >= {"id", "external"}


def test_one_build_comes_with_its_jobs(live: Live) -> None:
    build_id = live.build(plans=2)

    told = live.get(f"/builds/{build_id.hex}/").json()

    assert set(told) >= BUILD | DETAILS
    assert [job["number"] for job in told["jobs"]] == [1, 2]
    assert told["testFailures"] == {"total": 0, "tests": []}


def test_a_build_that_does_not_exist_is_not_found(live: Live) -> None:
    refused(live.get(f"/builds/{ids.new().hex}/"), 404)


def test_asking_makes_a_build_with_what_was_said(
    writer: TestClient, session: Session, project: Project
) -> None:
    values = {"project": project.slug, "sha": "abc", "target": "D12", "label": "Mine", "message": "why"}

    answer = writer.post(
        f"{API}/builds/", json={**values, "author": "Ann <ann@example.com>", "cause": "manual"}
    )

    told = answer.json()[0]
    assert (told["target"], told["name"], told["message"], told["number"]) == ("D12", "Mine", "why", 1)
    assert (told["author"]["name"], told["author"]["email"]) == ("Ann", "ann@example.com")
    assert told["cause"]["id"] == "manual"


def test_asking_for_a_repository_builds_all_its_projects(
    writer: TestClient, session: Session, project: Project
) -> None:
    a_project(session, repository=project.repository)

    told = writer.post(f"{API}/builds/", json={"repository": project.repository.url, "sha": "abc"}).json()

    assert len({build["project"]["slug"] for build in told}) == 2
    assert len({build["collection_id"] for build in told}) == 1


def test_a_repository_is_known_by_its_callsign(
    writer: TestClient, session: Session, project: Project
) -> None:
    option = {"item_id": project.repository_id, "name": "phabricator.callsign", "value": "SRV"}
    session.add(ItemOption(**option))
    session.flush()

    told = writer.post(f"{API}/builds/", data={"repository[phabricator.callsign]": "SRV", "sha": "abc"})

    assert [build["project"]["slug"] for build in told.json()] == [project.slug]


def test_a_real_commit_is_found_by_its_branch(writer: TestClient, session: Session, tmp_path: Path) -> None:
    sha = a_git_repository(tmp_path / "source", {"README": "hello"}, "Mend it\n\nAt last.")
    project = a_project(session, repository=a_repository(session, url=str(tmp_path / "source")))

    told = writer.post(f"{API}/builds/", json={"project": project.slug, "sha": "main"}).json()[0]

    assert (told["source"]["revision"]["sha"], told["name"], told["target"]) == (sha, "Mend it", sha[:12])
    assert told["author"]["email"] == "ann@example.com"


@pytest.mark.parametrize("sha", ["nothing", "f" * 40, "--upload-pack=touch", "a..b", "main:README", "-"])
def test_a_commit_that_is_not_there_is_refused(
    writer: TestClient, session: Session, tmp_path: Path, sha: str
) -> None:
    a_git_repository(tmp_path / "source", {"README": "hello"})
    project = a_project(session, repository=a_repository(session, url=str(tmp_path / "source")))

    told = refused(writer.post(f"{API}/builds/", json={"project": project.slug, "sha": sha}), 400)

    assert told["error"].startswith(f"Unable to find commit {sha} in ")
    assert told["problems"] == ["sha", "repository"]


def test_a_repository_that_cannot_be_read_now_is_unavailable(
    writer: TestClient, session: Session, tmp_path: Path
) -> None:
    project = a_project(session, repository=a_repository(session, url=str(tmp_path / "gone")))

    answer = writer.post(f"{API}/builds/", json={"project": project.slug, "sha": "main"})

    assert "cannot be read now" in refused(answer, 503)["error"]
    assert session.query(Build).count() == 0


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ({}, "Project or repository must be specified"),
        ({"project": "nothing"}, "There is no active project 'nothing'."),
        ({"repository": "https://example.com/nothing"}, "There is no active repository"),
        ({"project": "old"}, "There is no active project 'old'."),
        ({"project": "good", "author": "nobody"}, "author must look like"),
        ({"project": "good", "tag": "x" * 17}, "Tags must be 16 characters or less."),
        ({"project": "good", "snapshot_id": "1"}, "Unable to find snapshot."),
        (
            {"project": "good", "snapshot_id": "1", "no_snapshot": 1},
            "Cannot specify snapshot with no_snapshot",
        ),
        ({"project": "good", "patch": "+", "ensure_only": 1}, "Ensure-only mode does not work"),
    ],
)
def test_what_makes_no_sense_is_refused_in_words(
    writer: TestClient, session: Session, values: dict[str, Any], text: str
) -> None:
    repository = a_repository(session, backend=RepositoryBackend.UNKNOWN)
    a_project(session, slug="good", repository=repository)
    a_project(session, slug="old").status = ProjectStatus.INACTIVE
    session.flush()

    told = refused(writer.post(f"{API}/builds/", json={"sha": "abc", **values}), 400)

    assert told["error"].startswith(text)
    assert session.query(Build).count() == 0


def test_a_white_list_may_leave_nothing(writer: TestClient, project: Project) -> None:
    values = {"repository": project.repository.url, "sha": "abc", "project_whitelist": ["another"]}

    assert writer.post(f"{API}/builds/", json=values).json() == []


def test_a_project_without_plans_gets_a_build_that_says_so(writer: TestClient, session: Session) -> None:
    project = a_project(session, repository=a_repository(session, backend=RepositoryBackend.UNKNOWN))

    told = writer.post(f"{API}/builds/", json={"project": project.slug, "sha": "abc"}).json()[0]

    assert (told["status"]["id"], told["result"]["id"]) == ("finished", "failed")
    assert [reason["id"] for reason in told["failures"]] == ["no_plans"]
    assert set(told["failures"][0]) >= {"id", "reason", "step_id", "job_id", "data"}


def test_reasons_are_safe_to_show(writer: TestClient, session: Session) -> None:
    project = a_project(session, repository=a_repository(session, backend=RepositoryBackend.UNKNOWN))
    a_plan(session, project, label="<script>")

    told = writer.post(f"{API}/builds/", json={"project": project.slug, "sha": "abc"}).json()[0]

    assert "&lt;script&gt;" in told["failures"][0]["reason"]
    assert "<script>" in told["failures"][0]["text"]


def test_builds_are_listed_newest_first_and_by_tag(reader: TestClient, session: Session) -> None:
    builds = [a_build(session) for _ in range(3)]
    builds[1].tags = ["nightly"]
    session.flush()

    everything = reader.get(f"{API}/builds/").json()
    tagged = reader.get(f"{API}/builds/?tag=nightly&tag=other&tag=").json()

    assert [each["id"] for each in everything] == [build.id.hex for build in reversed(builds)]
    assert [each["id"] for each in tagged] == [builds[1].id.hex]


@pytest.mark.parametrize(
    ("query", "numbers"),
    [
        ("query=cator", [2]),
        ("query=CATOR", [2]),
        ("query=%25", []),
        ("source=D1", [1]),
        ("result=failed", [3]),
        ("cause=unknown", [3, 2, 1]),
        ("cause=retry", []),
        ("tag=mine", [2]),
        ("include_patches=0", [2, 1]),
        ("patches_only=1", [3]),
    ],
)
def test_builds_of_a_project_can_be_filtered(
    reader: TestClient, session: Session, project: Project, query: str, numbers: list[int]
) -> None:
    first, second, third = (a_build(session, project) for _ in range(3))
    first.target, second.label, second.tags = "D12", "The frobnicator", ["mine"]
    third.source = a_source(session, project, patch=b"+1")
    third.result = third.result.FAILED
    session.flush()

    told = reader.get(f"{API}/projects/{project.slug}/builds/?{query}").json()

    assert [build["number"] for build in told] == numbers


def test_a_build_is_found_by_the_number_people_say(
    reader: TestClient, session: Session, project: Project
) -> None:
    build = a_build(session, project)

    told = reader.get(f"{API}/projects/{project.slug}/builds/1/").json()

    assert told["id"] == build.id.hex
    refused(reader.get(f"{API}/projects/{project.slug}/builds/2/"), 404)


def test_cancelling_ends_a_build_at_once(writer: TestClient, session: Session) -> None:
    build = a_build(session)

    told = writer.post(f"{API}/builds/{build.id.hex}/cancel/").json()

    assert (told["status"]["id"], told["result"]["id"]) == ("finished", "aborted")


def test_cancelling_twice_is_nothing(writer: TestClient, session: Session) -> None:
    where = f"{API}/builds/{a_build(session).id.hex}/cancel/"
    writer.post(where)

    answer = writer.post(where)

    assert (answer.status_code, answer.content) == (204, b"")


def test_cancelling_what_does_not_exist_is_not_found(writer: TestClient) -> None:
    refused(writer.post(f"{API}/builds/{ids.new().hex}/cancel/"), 404)


def test_tests_are_counted_by_every_result(reader: TestClient, session: Session) -> None:
    build = a_build(session)

    counted = reader.get(f"{API}/builds/{build.id.hex}/tests/counts").json()

    assert counted["passed"] == counted["quarantined_failed"] == 0
    assert reader.get(f"{API}/builds/{build.id.hex}/tests/failures").json() == []


# --- waiting -----------------------------------------------------------------------------


def test_whoever_waits_is_answered_when_the_build_changes(
    live: Live, together: Callable[..., Future[Any]]
) -> None:
    build_id = live.build()
    waiting = together(live.get, f"/builds/{build_id.hex}/", wait_s=20)
    wait_until(lambda: live.is_waited_for(f"build:{build_id.hex}"))

    live.post(f"/builds/{build_id.hex}/cancel/")

    assert waiting.result().json()["result"]["id"] == "aborted"


def test_a_finished_build_keeps_nobody_waiting(live: Live) -> None:
    build_id = live.build()
    live.post(f"/builds/{build_id.hex}/cancel/")

    told = live.get(f"/builds/{build_id.hex}/", wait_s=20).json()

    assert told["status"]["id"] == "finished"


def test_whoever_waits_is_answered_when_the_server_stops(
    stopping: Live, together: Callable[..., Future[Any]]
) -> None:
    build_id = stopping.build()
    waiting = together(stopping.get, f"/builds/{build_id.hex}/", wait_s=20)
    wait_until(lambda: stopping.is_waited_for(f"build:{build_id.hex}"))

    stopping.stop()

    assert waiting.result().json()["dateFinished"] is None


@pytest.mark.parametrize("wait_s", ["-1", "nan", "inf", "x"])
def test_a_wait_is_a_number(live: Live, wait_s: str) -> None:
    assert refused(live.get(f"/builds/{ids.new().hex}/", wait_s=wait_s), 400)["problems"] == ["wait_s"]


def test_a_known_commit_needs_no_look_into_the_repository(
    writer: TestClient, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    build = a_build(session)
    give_to(session, first_step(session, build), a_node(session))
    monkeypatch.setattr(looks, "look", lambda *_: pytest.fail("looked into the repository"))

    answer = writer.post(
        f"{API}/builds/", json={"project": build.project.slug, "sha": build.source.revision_sha}
    )

    assert answer.status_code == 200
