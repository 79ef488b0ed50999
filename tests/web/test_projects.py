"""Repositories, projects, plans and their steps."""

from typing import Any

import pytest
from sqlalchemy.orm import Session
from starlette.testclient import TestClient
from tests.factories import a_build, a_plan, a_project, a_repository, a_source
from tests.web.conftest import API, refused

from changes.base.settings import Settings
from changes.builds.rules import Result, Status
from changes.projects.models import Plan
from changes.projects.rules import ProjectStatus

URL = "https://example.com/new.git"


def test_a_repository_is_made_and_found(admin: TestClient) -> None:
    made = admin.post(f"{API}/repositories/", data={"url": URL}).json()

    assert (made["url"], made["backend"]["id"], made["status"]["id"]) == (URL, "git", "importing")
    assert admin.get(f"{API}/repositories/{made['id']}/").json() == {**made, "projects": []}
    assert [each["id"] for each in admin.get(f"{API}/repositories/?query=NEW.git").json()] == [made["id"]]


def test_a_repository_is_made_once(admin: TestClient) -> None:
    admin.post(f"{API}/repositories/", data={"url": URL})

    told = refused(admin.post(f"{API}/repositories/", data={"url": URL}), 409)

    assert told["error"] == f"Repository with url {URL} already exists."


@pytest.mark.parametrize(
    "url",
    ["", "-oops", "--upload-pack=x", "ext::sh -c id", "https://ann:secret@example.com/a", "a\nb", "x" * 300],
)
def test_a_dangerous_address_of_a_repository_is_refused(admin: TestClient, url: str) -> None:
    answer = admin.post(f"{API}/repositories/", json={"url": url})

    assert refused(answer, 400)["problems"] == ["url"]
    assert "secret" not in answer.text


@pytest.mark.parametrize(
    ("host", "status"),
    [("127.0.0.1", 200), ("localhost", 200), ("::1", 200), ("10.0.0.1", 400), ("example.com", 400)],
)
def test_a_path_is_a_repository_only_where_nobody_else_asks(
    admin: TestClient, settings: Settings, host: str, status: int
) -> None:
    object.__setattr__(settings, "host", host)

    answer = admin.post(f"{API}/repositories/", data={"url": "/srv/source"})

    assert answer.status_code == status


def test_a_project_is_made_from_a_repository_by_url_or_id(admin: TestClient, session: Session) -> None:
    repository = a_repository(session)

    by_url = admin.post(f"{API}/projects/", json={"name": "My Server", "repository": repository.url}).json()
    by_id = admin.post(
        f"{API}/projects/", json={"name": "B", "slug": "b", "repository": repository.id.hex}
    ).json()

    assert (by_url["slug"], by_url["name"]) == ("my-server", "My Server")
    assert by_url["link"] == "http://changes.test/projects/my-server/"
    assert by_id["repository"] == by_url["repository"] == {"id": repository.id.hex}


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        ({"name": ""}, "name"),
        ({"name": "x" * 65}, "name"),
        ({"name": "a", "slug": "Not A Slug"}, "slug"),
        ({"name": "a", "slug": "../etc"}, "slug"),
        ({"name": "a", "repository": "https://example.com/other"}, "repository"),
    ],
)
def test_a_project_that_makes_no_sense_is_refused(
    admin: TestClient, session: Session, values: dict[str, Any], problem: str
) -> None:
    answer = admin.post(f"{API}/projects/", json={"repository": a_repository(session).url, **values})

    assert refused(answer, 400)["problems"] == [problem]


def test_a_slug_is_taken_once(admin: TestClient, session: Session) -> None:
    project = a_project(session)

    answer = admin.post(
        f"{API}/projects/", json={"name": "a", "slug": project.slug, "repository": project.repository.url}
    )

    assert refused(answer, 409)["problems"] == ["slug"]


def test_a_project_is_found_by_slug_and_by_id(reader: TestClient, session: Session) -> None:
    project = a_project(session)

    by_slug = reader.get(f"{API}/projects/{project.slug}/").json()

    assert by_slug["repository"]["url"] == project.repository.url
    assert by_slug["options"]["build.result-rule"] == "all"
    assert reader.get(f"{API}/projects/{project.id.hex}/").json() == by_slug


@pytest.mark.parametrize("name", ["Ünï", "a b", "..", "%2e%2e", "a%0Ab", "x" * 500, "-"])
def test_odd_names_are_names_of_no_project(reader: TestClient, name: str) -> None:
    assert reader.get(f"http://testserver{API}/projects/{name}/plans/").status_code == 404


def test_projects_are_listed_with_their_last_builds(reader: TestClient, session: Session) -> None:
    project = a_project(session)
    good, bad, patched = (a_build(session, project) for _ in range(3))
    patched.source = a_source(session, project, patch=b"+1")
    for build, result in ((good, Result.PASSED), (bad, Result.FAILED), (patched, Result.PASSED)):
        build.status, build.result = Status.FINISHED, result
    session.flush()

    [told] = reader.get(f"{API}/projects/").json()

    assert (told["lastBuild"]["number"], told["lastPassingBuild"]["number"]) == (2, 1)


@pytest.mark.parametrize(
    ("query", "slugs"),
    [
        ("", ["alpha", "beta"]),
        ("query=ALPH", ["alpha"]),
        ("query=_", []),
        ("status=inactive", ["gamma"]),
        ("status=", ["alpha", "beta", "gamma"]),
        ("per_page=1&page=2", ["beta"]),
    ],
)
def test_projects_are_filtered(reader: TestClient, session: Session, query: str, slugs: list[str]) -> None:
    for slug in ("alpha", "beta", "gamma"):
        a_project(session, slug=slug)
    session.query(type(a_project(session, "zz"))).filter_by(
        slug="gamma"
    ).one().status = ProjectStatus.INACTIVE
    session.query(type(a_project(session, "zy"))).filter_by(slug="zz").one().status = ProjectStatus.UNKNOWN
    session.query(type(a_project(session, "zx"))).filter_by(slug="zy").one().status = ProjectStatus.UNKNOWN
    session.flush()

    told = reader.get(f"{API}/projects/?{query}").json()

    assert [each["slug"] for each in told if not each["slug"].startswith("z")] == slugs


# --- plans -------------------------------------------------------------------------------


@pytest.fixture
def plan(session: Session) -> Plan:
    return a_plan(session, a_project(session), {"commands": ["make"]}, label="fast")


def test_a_plan_is_made_inactive_and_woken(admin: TestClient, session: Session) -> None:
    slug = a_project(session).slug
    made = admin.post(f"{API}/projects/{slug}/plans/", json={"name": "all tests"}).json()

    changed = admin.post(f"{API}/plans/{made['id']}/", data={"status": "active", "name": "some"}).json()

    assert (made["name"], made["status"]["id"], made["steps"]) == ("all tests", "inactive", [])
    assert (changed["name"], changed["status"]["id"]) == ("some", "active")
    assert changed["project_id"] == made["project"]["id"]
    assert [each["name"] for each in admin.get(f"{API}/projects/{slug}/plans/").json()] == ["some"]


def test_a_change_of_nothing_changes_nothing(admin: TestClient, plan: Plan) -> None:
    told = admin.post(f"{API}/plans/{plan.id.hex}/").json()

    assert (told["name"], told["status"]["id"]) == ("fast", "active")


def test_inactive_plans_are_listed_when_asked_for(reader: TestClient, session: Session) -> None:
    project = a_project(session)
    a_plan(session, project, label="old", active=False)
    where = f"{API}/projects/{project.slug}/plans/"

    assert reader.get(where).json() == []
    assert [each["name"] for each in reader.get(f"{where}?status=inactive").json()] == ["old"]
    assert [each["name"] for each in reader.get(f"{where}?status=").json()] == ["old"]


def test_two_plans_of_a_project_have_two_names(admin: TestClient, session: Session, plan: Plan) -> None:
    other = a_plan(session, plan.project, label="slow")

    made = admin.post(f"{API}/projects/{plan.project.slug}/plans/", json={"name": "fast"})
    renamed = admin.post(f"{API}/plans/{other.id.hex}/", json={"name": "fast"})

    assert refused(made, 409)["problems"] == ["name"]
    assert refused(renamed, 409)["problems"] == ["name"]


@pytest.mark.parametrize("values", [{"status": "asleep"}, {"name": ""}, {"name": "x" * 129}])
def test_a_plan_refuses_what_it_does_not_know(admin: TestClient, plan: Plan, values: dict[str, str]) -> None:
    assert refused(admin.post(f"{API}/plans/{plan.id.hex}/", json=values), 400)["problems"] == [*values]


# --- steps -------------------------------------------------------------------------------


def test_a_step_is_made_changed_and_deleted(admin: TestClient, plan: Plan) -> None:
    where = f"{API}/plans/{plan.id.hex}/steps/"
    made = admin.post(where, data={"data": '{"commands": ["true"]}', "order": 1})
    step = f"{API}/steps/{made.json()['id']}/"

    changed = admin.post(step, json={"data": {"commands": ["false"]}}).json()
    listed = admin.get(where).json()
    deleted = admin.delete(step)

    assert (made.status_code, made.json()["data"]) == (201, {"commands": ["true"]})
    assert (changed["data"], changed["order"]) == ({"commands": ["false"]}, 1)
    assert listed[1] == changed
    assert (deleted.status_code, deleted.json()) == (200, {})
    refused(admin.get(step), 404)


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        ({"implementation": "os.system"}, "implementation"),
        ({"data": "["}, "data"),
        ({"data": []}, "data"),
        ({"data": {"commands": [1]}}, "data"),
        ({"data": {"comands": []}}, "data"),
        ({"order": -1}, "order"),
        ({"order": 2**31}, "order"),
        ({"order": "first"}, "order"),
    ],
)
def test_a_step_that_makes_no_sense_is_refused(
    admin: TestClient, plan: Plan, values: dict[str, Any], problem: str
) -> None:
    made = admin.post(f"{API}/plans/{plan.id.hex}/steps/", json=values)
    changed = admin.post(f"{API}/steps/{plan.steps[0].id.hex}/", json=values)

    assert refused(made, 400)["problems"][0] == problem
    assert refused(changed, 400)["problems"][0] == problem


def test_two_steps_of_a_plan_have_two_places(admin: TestClient, plan: Plan) -> None:
    assert refused(admin.post(f"{API}/plans/{plan.id.hex}/steps/", json={}), 409)["problems"] == ["order"]
