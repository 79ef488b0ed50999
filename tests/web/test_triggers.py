"""Decisions, schedules, webhooks and the configuration, by the API and on their page."""

import hashlib
import hmac
import json
import time
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest
from sqlalchemy.orm import Session
from starlette.testclient import TestClient
from tests import factories
from tests.builds import agents
from tests.web.conftest import API, answered, refused

from changes.builds import config_schema, hooks
from changes.builds.implementations import FIELDS
from changes.builds.models import Build, Job
from changes.projects import config, mirrors
from changes.projects.models import Project

CONFIG = """
plans:
  - name: tests
    parameters:
      - {name: LEVEL, choices: [quick, full]}
      - {name: COUNT, type: number, default: 3}
      - {name: SLOW, type: flag}
    commands: [make test]
  - {name: lint, commands: [make lint]}
  - {name: release, needs: [lint], commands: [make]}
"""


@pytest.fixture
def project(session: Session, tmp_path: Path) -> Project:
    folder = tmp_path / "source"
    factories.a_git_repository(folder, {"a": "1", ".changes.yml": CONFIG})
    repository = factories.a_repository(session, str(folder))
    found = factories.a_project(session, repository=repository)
    mirrors.of(repository).update()
    return found


def asked(client: TestClient, project: Project, **fields: Any) -> httpx.Response:
    values = {"project": project.slug, "sha": "main", **fields}
    return answered(client.post(f"{API}/builds/", json=values))


def job_names(session: Session, build_id: str) -> list[str]:
    mine = session.query(Job).filter(Job.build_id == UUID(build_id)).order_by(Job.number)
    return [job.label for job in mine]


def test_some_of_the_plans_are_built_with_what_they_need(
    admin: TestClient, project: Project, session: Session
) -> None:
    (made,) = asked(admin, project, plans=["release"]).json()

    assert job_names(session, made["id"]) == ["lint", "release"]


def test_values_of_parameters_become_variables_of_commands(
    admin: TestClient, project: Project, session: Session
) -> None:
    values = {"LEVEL": "full", "COUNT": 7, "SLOW": True}

    (made,) = asked(admin, project, plans=["tests"], parameters=values).json()

    build = session.query(Build).order_by(Build.id.desc()).limit(1).one()
    (step,) = factories.steps_of(session, build)
    (command,) = agents.commands_of(session, step)
    assert made["id"] == build.id.hex
    assert command.env == {"CHANGES": "1", "LEVEL": "full", "COUNT": "7", "SLOW": "true"}


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"plans": ["test"]}, "There is no plan 'test' here, did you mean 'tests'?"),
        ({"parameters": {"LEVL": "x"}}, "No plan has a parameter 'LEVL', did you mean 'LEVEL'?"),
        (
            {"parameters": {"LEVEL": "ful"}},
            "LEVEL must be one of quick, full; it is 'ful', did you mean 'full'?",
        ),
        ({"parameters": {"COUNT": "many"}}, "COUNT must be a number"),
        ({"parameters": {"SLOW": "perhaps"}}, "SLOW must be true or false"),
        ({"parameters": ["LEVEL"]}, "dictionary"),
    ],
)
def test_what_no_plan_can_do_is_refused_in_words_and_makes_no_build(
    admin: TestClient, project: Project, session: Session, fields: dict[str, Any], said: str
) -> None:
    answer = asked(admin, project, **fields)

    assert said in refused(answer, 400)["error"]
    assert session.query(Build).count() == 0


def signed(secret: str, body: bytes, at_s: float | None = None) -> dict[str, str]:
    moment = str(int(time.time() if at_s is None else at_s))
    digest = hmac.digest(secret.encode(), moment.encode() + b"." + body, hashlib.sha256).hex()
    return {"Changes-Signature": f"t={moment},v1={digest}"}


def signed_as_github(secret: str, body: bytes) -> dict[str, str]:
    return {"X-Hub-Signature-256": f"sha256={hmac.digest(secret.encode(), body, hashlib.sha256).hex()}"}


@pytest.fixture
def hook(session: Session, project: Project) -> tuple[str, str]:
    made, secret = hooks.create(session, project, "publisher")
    return f"{API}/hooks/{made.id.hex}/", secret


def call(client: TestClient, url: str, body: bytes, headers: dict[str, str]) -> httpx.Response:
    return answered(client.post(url, content=body, headers=headers))


def test_a_signed_request_builds_what_it_names(
    client: TestClient, project: Project, hook: tuple[str, str]
) -> None:
    url, secret = hook
    body = json.dumps({"branch": "main", "parameters": {"LEVEL": "full"}}).encode()

    answer = call(client, url, body, signed(secret, body))

    assert answer.status_code == 201, answer.text
    assert answer.json()["why"] == "The webhook publisher asked for it."
    assert answer.json()["build"]["link"] == f"http://changes.test/projects/{project.slug}/builds/1/"


def test_the_same_words_are_answered_with_the_same_build(client: TestClient, hook: tuple[str, str]) -> None:
    url, secret = hook
    headers = signed(secret, b"{}")

    first, second = (call(client, url, b"{}", headers).json() for _ in range(2))

    assert first["build"] == second["build"]
    assert second["why"] == "It was asked for before."


def test_a_push_as_github_tells_it_builds_its_commit(
    client: TestClient, hook: tuple[str, str], tmp_path: Path
) -> None:
    url, secret = hook
    sha = factories.git(tmp_path / "source", "rev-parse", "HEAD").strip()
    body = json.dumps({"ref": "refs/heads/main", "after": sha, "repository": {"id": 7}}).encode()
    headers = signed_as_github(secret, body) | {"X-GitHub-Event": "push"}

    answers = [call(client, url, body, headers) for _ in range(2)]

    assert [answer.status_code for answer in answers] == [201, 200]


@pytest.mark.parametrize(
    ("event", "body"), [("ping", {"zen": "x"}), ("push", {"ref": "refs/heads/x", "after": "0" * 40})]
)
def test_what_is_nothing_to_build_is_taken_and_builds_nothing(
    client: TestClient, hook: tuple[str, str], event: str, body: dict[str, Any]
) -> None:
    url, secret = hook
    data = json.dumps(body).encode()

    answer = call(client, url, data, signed_as_github(secret, data) | {"X-GitHub-Event": event})

    assert answer.json()["build"] is None


def test_what_is_not_signed_right_is_not_even_read(
    client: TestClient, session: Session, hook: tuple[str, str]
) -> None:
    url, secret = hook
    body = b"{not even JSON"
    wrong = [
        {},
        signed("another secret", body),
        signed(secret, body + b" "),
        signed(secret, body, time.time() - 3600),
        signed(secret, body, time.time() + 3600),
        signed_as_github("another secret", body),
        {"X-Hub-Signature-256": "sha1=0"},
        {"Changes-Signature": "t=1,v1=" + "x" * 64},
    ]

    errors = {refused(call(client, url, body, headers), 403)["error"] for headers in wrong}
    stranger = refused(call(client, f"{API}/hooks/{'0' * 32}/", body, signed(secret, body)), 403)["error"]

    assert errors == {stranger}
    assert session.query(Build).count() == 0


def test_a_signed_request_that_makes_no_sense_is_told_why(client: TestClient, hook: tuple[str, str]) -> None:
    url, secret = hook
    bodies = [
        b"[1]",
        b'{"sha": 7}',
        b'{"parameters": {"LEVEL": 7}}',
        b'{"sha": "a\\u0000b"}',
        b'{"branch": "nowhere"}',
    ]

    errors = [refused(call(client, url, body, signed(secret, body)), 400)["error"] for body in bodies]

    assert errors[0] == "The body must be a JSON object."
    assert errors[-1].startswith("Unable to find commit nowhere")


def test_the_secret_of_a_webhook_is_told_once(admin: TestClient, project: Project) -> None:
    where = f"{API}/projects/{project.slug}/hooks/"

    made = admin.post(where, json={"name": "publisher"}).json()
    listed = admin.get(where).json()

    assert len(made["secret"]) > 30
    assert [set(each) for each in listed] == [{"id", "name", "url", "dateCreated", "dateUsed"}]
    assert admin.delete(f"{where}{made['id']}/").status_code == 204
    assert admin.get(where).json() == []


def test_a_schedule_is_made_changed_and_taken_away(admin: TestClient, project: Project) -> None:
    where = f"{API}/projects/{project.slug}/schedules/"

    made = admin.post(where, json={"name": "nightly", "cron": "30 2 * * *", "zone": "Europe/Berlin"}).json()
    changed = admin.post(f"{where}{made['id']}/", json={"only_if_changed": True}).json()
    gone = admin.delete(f"{where}{made['id']}/")

    assert (changed["cron"], changed["zone"], changed["onlyIfChanged"]) == (
        "30 2 * * *",
        "Europe/Berlin",
        True,
    )
    assert (gone.status_code, admin.get(where).json()) == (204, [])


def test_those_without_rights_on_the_project_plan_nothing(writer: TestClient, project: Project) -> None:
    base = f"{API}/projects/{project.slug}"

    answers = [
        writer.post(f"{base}/schedules/", json={"name": "x", "cron": "@daily"}),
        writer.post(f"{base}/hooks/", json={"name": "x"}),
        writer.get(f"{base}/hooks/"),
    ]

    assert [answer.status_code for answer in answers] == [403, 403, 403]


def test_why_built_tells_of_a_commit_by_the_beginning_of_its_sha(
    admin: TestClient, project: Project, hook: tuple[str, str], client: TestClient
) -> None:
    url, secret = hook
    call(client, url, b"{}", signed(secret, b"{}"))
    decisions = admin.get(f"{API}/projects/{project.slug}/decisions/").json()
    sha = decisions[0]["sha"]

    told = admin.get(f"{API}/projects/{project.slug}/why-built/{sha[:8]}/").json()

    assert told["sha"] == sha
    assert [(each["kind"], each["isBuilt"], each["build"]["number"]) for each in told["decisions"]] == [
        ("hook", True, 1)
    ]
    assert {each["name"] for each in told["decisions"][0]["plans"]} == {"tests", "lint", "release"}


@pytest.mark.parametrize(("sha", "status"), [("abc", 400), ("xyzw", 400), ("0" * 40, 404)])
def test_a_commit_that_nobody_knows_is_told_so(
    reader: TestClient, project: Project, sha: str, status: int
) -> None:
    refused(answered(reader.get(f"{API}/projects/{project.slug}/why-built/{sha}/")), status)


def test_a_text_is_checked_and_explained_without_being_stored(reader: TestClient) -> None:
    text = (
        "plans:\n  - {name: a, commands: [x], triggers: {files: ['docs/*']}}\n  - {name: b, comands: [y]}\n"
    )

    told = reader.post(
        f"{API}/config/check/", json={"text": text, "event": "commit", "files": ["src/a"]}
    ).json()

    assert told["isRight"] is False
    assert told["problems"][0].startswith(
        ".changes.yml line 3, column 15: unknown field 'comands', did you mean 'commands'?"
    )
    assert told["plans"][0]["why"] == "No file changed that it asks for, only src/a."


def test_the_schema_knows_every_key_that_is_read(client: TestClient) -> None:
    told = client.get(f"{API}/config-schema.json").json()

    plan = told["properties"]["plans"]["items"]["properties"]
    assert told == json.loads(json.dumps(config_schema.schema()))
    assert set(plan) == {each.name for each in FIELDS} | set(config.JOB_KEYS) | {"name", "steps", "matrix"}
    assert set(told["properties"]) == set(config.FILE_KEYS)


PATCH = b"""diff --git a/.changes.yml b/.changes.yml
--- a/.changes.yml
+++ b/.changes.yml
@@ -6,5 +6,6 @@
       - {name: COUNT, type: number, default: 3}
       - {name: SLOW, type: flag}
     commands: [make test]
-  - {name: lint, commands: [make lint]}
-  - {name: release, needs: [lint], commands: [make]}
+  - {name: lint, commands: [make lint-all]}
+  - {name: docs, commands: [make docs]}
+  - {name: release, needs: [docs], commands: [make]}
"""


def test_a_patch_to_the_file_takes_effect_and_is_previewed(
    admin: TestClient, project: Project, session: Session
) -> None:
    patch = PATCH.decode().replace(
        "  - {name: release, needs: [docs], commands: [make]}", "  - {name: ship, commands: [make]}"
    )

    (made,) = asked(admin, project, patch=patch).json()

    assert job_names(session, made["id"]) == ["tests", "lint", "docs", "ship"]
    preview = admin.get(f"{API}/builds/{made['id']}/plan-preview/").json()["preview"]
    assert preview == {
        "added": ["docs", "ship"],
        "removed": ["release"],
        "changed": ["lint"],
        "problem": None,
    }


def test_a_patch_that_breaks_the_file_fails_the_build_and_says_why(
    admin: TestClient, project: Project
) -> None:
    patch = PATCH.decode().replace("+  - {name: lint,", "+  - {nme: lint,")

    (made,) = asked(admin, project, patch=patch).json()

    assert made["result"]["id"] == "failed"
    preview = admin.get(f"{API}/builds/{made['id']}/plan-preview/").json()["preview"]
    assert preview["problem"] == ".changes.yml line 9, column 5: plan 2 has no name."


def test_a_build_of_a_commit_that_leaves_the_plans_alone_has_no_preview(
    admin: TestClient, project: Project
) -> None:
    (made,) = asked(admin, project).json()

    assert admin.get(f"{API}/builds/{made['id']}/plan-preview/").json() == {"preview": None}
