"""/changes/ as the documents of 2013 have it, and what grew around it: versions, landing, webhooks."""

import hashlib
import hmac
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session
from starlette.testclient import TestClient
from tests import factories
from tests.web.conftest import API, answered

from changes.base.task import Task
from changes.people import tokens, users
from changes.people.rules import Scope
from changes.projects import hooks
from changes.projects.models import Change, Project, Repository, Source
from changes.projects.rules import ChangeKind, ChangeState

A_DIFF = b"diff --git a/a b/a\n--- a/a\n+++ b/a\n@@ -1 +1 @@\n-1\n+2\n"
OTHER_DIFF = A_DIFF.replace(b"+2", b"+3")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    factories.a_git_repository(tmp_path / "code", {"a": "1\n"})
    return tmp_path / "code"


@pytest.fixture
def project(session: Session, folder: Path) -> Project:
    project = factories.a_project(session, "web", factories.a_repository(session, str(folder)))
    factories.a_plan(session, project, {"commands": ["true"]})
    return project


def post(client: TestClient, path: str, data: dict[str, Any], **more: Any) -> Any:
    answer = answered(client.post(f"{API}{path}", data=data, **more))
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_a_change_is_made_and_built_as_the_documents_of_2013_say(
    writer: TestClient, session: Session, project: Project
) -> None:
    made = post(writer, "/changes/", {"project": "web", "label": "Mend it", "key": "D12"})["change"]

    built = post(
        writer,
        "/builds/",
        {"change": made["id"], "sha": "main", "patch[label]": "Diff 7", "patch[url]": "https://x.test/7"},
        files={"patch": ("a.diff", A_DIFF)},
    )["build"]

    told = writer.get(f"{API}/changes/{made['id']}/").json()["change"]
    assert told["lastBuild"]["id"] == built["id"]
    assert [version["number"] for version in told["sources"]] == [1]
    builds = writer.get(f"{API}/changes/{made['id']}/builds/").json()["builds"]
    assert [build["id"] for build in builds] == [built["id"]]
    patch = session.get_one(Source, told["sources"][0]["id"]).patch
    assert patch is not None
    assert (patch.label, patch.url, patch.added_count) == ("Diff 7", "https://x.test/7", 1)


@pytest.mark.parametrize("names", [("patch[label]", "patch[url]"), ("patch_label", "patch_url")])
@pytest.mark.parametrize("is_file", [True, False], ids=["file", "field"])
def test_a_patch_comes_as_file_or_field_by_either_of_its_names(
    writer: TestClient, session: Session, project: Project, *, names: tuple[str, str], is_file: bool
) -> None:
    """The documents of 2013 had brackets; the program read the others."""
    made = post(writer, "/changes/", {"project": "web", "label": "Mend it"})["change"]
    values = {"sha": "main", names[0]: "Diff 7", names[1]: "https://x.test/7"}
    files = {"files": {"patch": ("a.diff", A_DIFF)}} if is_file else {}

    post(
        writer,
        f"/changes/{made['id']}/builds/",
        values | ({} if is_file else {"patch": A_DIFF.decode()}),
        **files,
    )

    patch = session.execute(select(Source).where(Source.patch_id.is_not(None))).unique().scalar_one().patch
    assert patch is not None
    assert (patch.diff, patch.label, patch.url) == (A_DIFF, "Diff 7", "https://x.test/7")


def test_a_change_is_of_its_author_and_its_message(writer: TestClient, project: Project) -> None:
    values = {"project": "web", "label": "Mend it", "author": "Zoe Q <zoe@example.com>", "message": "Why"}

    made = post(writer, "/changes/", {**values, "date_created": "1", "unheard of": "x"})["change"]

    told = writer.get(f"{API}/changes/{made['id']}/").json()["change"]
    assert (told["name"], told["message"]) == ("Mend it", "Why")
    assert (told["author"]["name"], told["author"]["email"]) == ("Zoe Q", "zoe@example.com")
    assert told["project"]["slug"] == "web"


def test_changes_are_listed_those_first_that_something_happened_to(
    writer: TestClient, project: Project
) -> None:
    first, second = (
        post(writer, "/changes/", {"project": "web", "label": label, "key": label})["change"]["id"]
        for label in ("one", "two")
    )

    post(writer, "/builds/", {"change": first, "sha": "main"}, files={"patch": ("p", A_DIFF)})

    found = writer.get(f"{API}/changes/?kind=diff").json()["changes"]
    assert [each["id"] for each in found] == [first, second]


def test_a_change_that_is_not_there_is_not_found(writer: TestClient) -> None:
    for end in ("", "builds/", "comments/"):
        assert writer.get(f"{API}/changes/{'0' * 32}/{end}").status_code == 404


def test_a_change_with_a_sha_answers_both_change_and_build(writer: TestClient, project: Project) -> None:
    both = post(writer, "/changes/", {"project": "web", "label": "Mend it", "sha": "main"})

    assert both["change"]["versions"] == 1
    assert both["build"]["number"] == 1


def test_a_change_without_a_sha_answers_an_id_that_old_clients_take_for_its(
    writer: TestClient, project: Project
) -> None:
    both = post(writer, "/changes/", {"project": "web", "label": "Mend it"})

    assert both["build"] == {"id": both["change"]["id"]}


def test_the_same_key_is_the_same_change(writer: TestClient, project: Project) -> None:
    first, second = (
        post(writer, "/changes/", {"project": "web", "label": label, "key": "D12"})["change"]
        for label in ("Mend it", "Mend it well")
    )

    assert first["id"] == second["id"]
    listed = writer.get(f"{API}/changes/").json()["changes"]
    assert [each["name"] for each in listed] == ["Mend it well"]


def test_each_patch_is_a_numbered_version(writer: TestClient, project: Project) -> None:
    made = post(writer, "/changes/", {"project": "web", "label": "Mend it"})["change"]

    for diff in (A_DIFF, OTHER_DIFF):
        post(writer, f"/changes/{made['id']}/builds/", {"sha": "main"}, files={"patch": ("p", diff)})

    told = writer.get(f"{API}/changes/{made['id']}/").json()["change"]
    assert [version["number"] for version in told["sources"]] == [2, 1]
    files = writer.get(f"{API}/changes/{made['id']}/diff/1/2/").json()["files"]
    changed = [(line["kind"], line["text"]) for line in files[0]["lines"] if line["kind"] != "same"]
    assert changed == [("removed", "2"), ("added", "3")]


def test_builds_without_a_change_answer_a_list_as_in_2016(writer: TestClient, project: Project) -> None:
    built = post(writer, "/builds/", {"project": "web", "sha": "main"})

    assert isinstance(built, list)


def test_a_commit_that_is_built_has_a_change_of_its_own(
    writer: TestClient, session: Session, project: Project
) -> None:
    for _ in range(2):
        post(writer, "/builds/", {"project": "web", "sha": "main"})

    (change,) = session.execute(select(Change)).unique().scalars()
    assert (change.kind, change.state, change.title) == (
        ChangeKind.COMMIT,
        ChangeState.LANDED,
        "The first commit",
    )
    assert change.last_source_number == 1


@pytest.mark.parametrize(
    ("values", "status"),
    [
        ({"project": "web"}, 400),
        ({"label": "x"}, 400),
        ({"project": "nothing", "label": "x"}, 404),
        ({"project": "web", "label": "x", "key": "k" * 300}, 400),
        ({"project": "web", "label": " "}, 400),
    ],
)
def test_a_wrong_change_is_refused(
    writer: TestClient, project: Project, values: dict[str, str], status: int
) -> None:
    assert writer.post(f"{API}/changes/", data=values).status_code == status


def test_a_patch_that_claims_to_lie_at_a_script_is_refused(writer: TestClient, project: Project) -> None:
    values = {"project": "web", "sha": "main", "patch[url]": "javascript:alert(1)"}

    answer = writer.post(f"{API}/builds/", data=values, files={"patch": ("p", A_DIFF)})

    assert answer.status_code == 400


def test_binary_garbage_is_a_patch_that_changes_no_file(
    writer: TestClient, session: Session, project: Project
) -> None:
    garbage = bytes(range(256)) * 1000

    (built,) = post(writer, "/builds/", {"project": "web", "sha": "main"}, files={"patch": ("p", garbage)})

    patch = session.get_one(Source, built["source"]["id"]).patch
    assert patch is not None
    assert (patch.diff, patch.file_count) == (None, 0)
    assert writer.get(f"{API}/patches/{patch.id.hex}/?raw=1").content == garbage


def test_a_patch_on_an_unknown_base_stores_nothing(
    writer: TestClient, session: Session, project: Project
) -> None:
    values = {"project": "web", "sha": "f" * 40}

    answer = writer.post(f"{API}/builds/", data=values, files={"patch": ("p", A_DIFF)})

    assert answer.status_code in (400, 503)
    assert session.execute(select(Source)).first() is None


def test_a_change_is_given_up_and_taken_up_again(writer: TestClient, project: Project) -> None:
    made = post(writer, "/changes/", {"project": "web", "label": "Mend it"})["change"]

    states = [
        post(writer, f"/changes/{made['id']}/", {"state": state})["change"]["state"]["id"]
        for state in ("abandoned", "open")
    ]

    assert states == ["abandoned", "open"]


def test_a_comment_is_of_somebody_and_kept_as_it_was_written(
    client: TestClient, session: Session, project: Project
) -> None:
    user = users.create(session, "zoe@example.com")
    secret = tokens.create(session, "hers", Scope.WRITE, user=user).secret
    client.headers.update(factories.as_caller(secret))
    made = post(client, "/changes/", {"project": "web", "label": "Mend it"})["change"]

    post(client, f"/changes/{made['id']}/comments/", {"text": "<b>no</b>"})

    (said,) = client.get(f"{API}/changes/{made['id']}/comments/").json()
    assert (said["text"], said["user"]["email"]) == ("<b>no</b>", "zoe@example.com")


def test_a_program_without_a_person_behind_it_does_not_comment(writer: TestClient, project: Project) -> None:
    made = post(writer, "/changes/", {"project": "web", "label": "Mend it"})["change"]

    assert writer.post(f"{API}/changes/{made['id']}/comments/", data={"text": "x"}).status_code == 403


def ring(client: TestClient, repository: Repository, key: str, **headers: str) -> int:
    path = f"/hooks/repositories/{repository.id.hex}/{key}/"
    return answered(client.post(path, content=b'{"ref": "x"}', headers=headers)).status_code


def asked_for_sync(session: Session) -> list[str]:
    return list(session.execute(select(Task.name)).scalars())


def test_a_webhook_rings_the_sync_by_its_address_alone(
    client: TestClient, session: Session, project: Project
) -> None:
    assert ring(client, project.repository, hooks.key_of(project.repository)) == 204

    assert asked_for_sync(session) == ["projects.sync_repository"]


def test_a_webhook_of_another_address_is_none(client: TestClient, session: Session, project: Project) -> None:
    key = hooks.key_of(project.repository)
    hooks.change_key(project.repository)

    answers = [ring(client, project.repository, each) for each in (key, "guess", "%00", "é")]

    assert answers == [404] * 4
    assert asked_for_sync(session) == []


@pytest.mark.parametrize("header", ["X-Hub-Signature-256", "X-Gitea-Signature"])
def test_a_webhook_that_is_signed_is_signed_rightly(
    client: TestClient, session: Session, project: Project, header: str
) -> None:
    key, secret = hooks.key_of(project.repository), hooks.secret_of(project.repository)
    right = hmac.new(secret.encode(), b'{"ref": "x"}', hashlib.sha256).hexdigest()
    prefix = "sha256=" if "Hub" in header else ""

    answers = [
        ring(client, project.repository, key, **{header: f"{prefix}{signature}"})
        for signature in (right, "0" * 64, "")
    ]

    assert answers == [204, 403, 403]


def test_a_sync_is_asked_for(writer: TestClient, session: Session, project: Project) -> None:
    told = post(writer, f"/repositories/{project.repository_id.hex}/sync/", {})

    assert told["url"] == project.repository.url
    assert asked_for_sync(session) == ["projects.sync_repository"]
