"""Parameters: by query, form or JSON; what cannot be read or kept is refused, never half understood."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy.orm import Session
from starlette.testclient import TestClient
from tests.factories import a_build, a_node, a_plan, a_project, a_repository
from tests.web.conftest import API, refused

from changes.builds.models import Build
from changes.projects import queries
from changes.projects.models import Project
from changes.projects.rules import RepositoryBackend
from changes.web.params import BODY_MAX_BYTES

JSON = {"Content-Type": "application/json"}
A_DIFF = b"--- a\n+++ b\n@@ -1 +1 @@\n-caf\xe9\n+\xff\x00\x80\r\n"


@pytest.fixture
def project(session: Session) -> Project:
    """Of a repository without version control, so that any name is a commit."""
    project = a_project(session, repository=a_repository(session, backend=RepositoryBackend.UNKNOWN))
    a_plan(session, project, {"commands": ["true"]})
    return project


def made(session: Session, answer: Any) -> Build:
    assert answer.status_code == 200, answer.text
    build: Build = session.query(Build).filter(Build.id == answer.json()[0]["id"]).one()
    return build


@pytest.mark.parametrize("place", ["params", "data", "json"])
def test_parameters_come_by_query_form_or_json(
    writer: TestClient, session: Session, project: Project, place: str
) -> None:
    values = {"project": project.slug, "sha": "abc", "label": "Ünï", "tag": "mine"}

    answer = writer.post(f"{API}/builds/", **{place: values})

    build = made(session, answer)
    assert (build.label, build.tags, build.source.revision_sha) == ("Ünï", ["mine"], "abc")


def test_the_body_wins_over_the_query(writer: TestClient, session: Session, project: Project) -> None:
    answer = writer.post(f"{API}/builds/", params={"sha": "q", "project": project.slug}, data={"sha": "body"})

    assert made(session, answer).source.revision_sha == "body"


def test_a_patch_file_is_kept_byte_for_byte(writer: TestClient, session: Session, project: Project) -> None:
    values = {"project": project.slug, "sha": "abc"}

    answer = writer.post(f"{API}/builds/", data=values, files={"patch": ("my.diff", A_DIFF)})

    build = made(session, answer)
    assert build.source.patch is not None
    assert queries.patch(session, build.source.patch.id).diff == A_DIFF
    assert build.tags == ["patch"]


def test_a_patch_as_text_is_kept_as_utf8(writer: TestClient, session: Session, project: Project) -> None:
    values = {"project": project.slug, "sha": "abc", "patch": "+é\r\n"}

    answer = writer.post(f"{API}/builds/", json=values)

    build = made(session, answer)
    assert build.source.patch is not None
    assert queries.patch(session, build.source.patch.id).diff == "+é\r\n".encode()


def test_an_empty_patch_is_not_taken_for_no_patch(writer: TestClient, project: Project) -> None:
    values = {"project": project.slug, "sha": "abc"}

    answer = writer.post(f"{API}/builds/", data=values, files={"patch": ("my.diff", b"")})

    assert refused(answer, 400)["problems"] == ["patch"]


@pytest.mark.parametrize(
    ("text", "is_existing"), [("1", True), ("true", True), ("0", False), ("false", False), ("", False)]
)
def test_booleans_mean_what_they_say(
    writer: TestClient, session: Session, project: Project, text: str, *, is_existing: bool
) -> None:
    first = made(session, writer.post(f"{API}/builds/", data={"project": project.slug, "sha": "abc"}))

    answer = writer.post(f"{API}/builds/", data={"project": project.slug, "sha": "abc", "ensure_only": text})

    assert (made(session, answer).id == first.id) is is_existing


@pytest.mark.parametrize("place", ["data", "json"])
def test_a_list_in_a_form_is_json(writer: TestClient, project: Project, place: str) -> None:
    names: Any = [project.slug] if place == "json" else json.dumps([project.slug])
    values = {"repository": project.repository.url, "sha": "abc", "project_whitelist": names}

    answer = writer.post(f"{API}/builds/", **{place: values})

    assert [build["project"]["slug"] for build in answer.json()] == [project.slug]


def test_patch_data_is_kept_with_the_source(writer: TestClient, session: Session, project: Project) -> None:
    values = {"project": project.slug, "sha": "abc", "patch[data]": '{"phabricator.diffID": "9"}'}

    answer = writer.post(f"{API}/builds/", data=values, files={"patch": ("my.diff", A_DIFF)})

    assert made(session, answer).source.data == {"phabricator.diffID": "9"}


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        ({}, "sha"),
        ({"sha": ""}, "sha"),
        ({"sha": "x" * 300}, "sha"),
        ({"sha": ["a", "b"]}, "sha"),
        ({"sha": "a", "author": "x" * 300}, "author"),
        ({"sha": "a", "project_whitelist": "not json"}, "project_whitelist"),
        ({"sha": "a", "project_whitelist": [1]}, "project_whitelist"),
        ({"sha": "a", "patch[data]": "[1]"}, "patch[data]"),
        ({"sha": "a", "cause": "push"}, "cause"),
        ({"sha": "a", "ensure_only": "perhaps"}, "ensure_only"),
    ],
)
def test_what_is_wrong_is_named(writer: TestClient, values: dict[str, Any], problem: str) -> None:
    told = refused(writer.post(f"{API}/builds/", json=values), 400)

    assert told["problems"] == [problem]
    assert told["error"].startswith(f"{problem}: ")


def test_all_that_is_wrong_is_named_at_once(writer: TestClient) -> None:
    told = refused(writer.post(f"{API}/builds/", json={"cause": "x", "ensure_only": "x"}), 400)

    assert told["problems"] == ["cause", "ensure_only", "sha"]


@pytest.mark.parametrize(
    "text",
    [
        r'"a\u0000b"',
        r'"\ud800"',
        r'"\udcff tail"',
    ],
)
def test_text_that_cannot_be_kept_is_refused(writer: TestClient, project: Project, text: str) -> None:
    body = f'{{"project": "{project.slug}", "sha": "abc", "label": {text}}}'

    told = refused(writer.post(f"{API}/builds/", content=body, headers=JSON), 400)

    assert told["problems"] == ["label"]


@pytest.mark.parametrize("place", ["params", "data", "files"])
def test_a_nul_is_refused_wherever_it_comes_from(writer: TestClient, project: Project, place: str) -> None:
    values: dict[str, Any] = {"data": {"project": project.slug, "sha": "abc"}}
    odd: Any = ("name", b"a\0b") if place == "files" else "a\0b"
    values[place] = {**values.get(place, {}), "label": odd}

    answer = writer.post(f"{API}/builds/", **values)

    assert refused(answer, 400)["problems"] == ["label"]


@pytest.mark.parametrize("data", [r'{"env": {"A": "\u0000"}}', r'{"\u0000": 1}', r'{"env": ["\ud800"]}'])
def test_json_inside_a_form_is_looked_through_too(admin: TestClient, session: Session, data: str) -> None:
    plan = a_plan(session, a_project(session))

    answer = admin.post(f"{API}/plans/{plan.id.hex}/steps/", data={"data": data})

    assert refused(answer, 400)["problems"] == ["data"]


@pytest.mark.parametrize("number", ["NaN", "Infinity", "1e999", "9" * 30, "9" * 5000, "-1e400"])
def test_numbers_no_json_reader_holds_are_refused(admin: TestClient, session: Session, number: str) -> None:
    plan = a_plan(session, a_project(session))

    answer = admin.post(f"{API}/plans/{plan.id.hex}/steps/", data={"data": f'{{"cpus": {number}}}'})

    assert refused(answer, 400)["problems"] == ["data"]


@pytest.mark.parametrize("depth", [100, 900, 100_000])
def test_deep_nesting_is_refused_in_a_body_and_in_a_field(
    admin: TestClient, session: Session, depth: int
) -> None:
    plan = a_plan(session, a_project(session))
    deep = '{"env": ' + "[" * depth + "]" * depth + "}"
    where = f"{API}/plans/{plan.id.hex}/steps/"

    whole = admin.post(where, content=f'{{"data": {deep}}}', headers=JSON)
    field = admin.post(where, data={"data": deep})

    refused(whole, 400)
    assert refused(field, 400)["problems"] == ["data"]


@pytest.mark.parametrize("body", [b"[1]", b"{", b"sha=a", b"\xff\xfe", b'"text"', b"null"])
def test_a_body_that_is_no_json_object_is_refused(writer: TestClient, body: bytes) -> None:
    refused(writer.post(f"{API}/builds/", content=body, headers=JSON), 400)


@pytest.mark.parametrize(
    "kind", ["multipart/form-data", "multipart/form-data; boundary=x", "application/x-www-form-urlencoded"]
)
def test_a_form_that_cannot_be_read_is_refused(writer: TestClient, kind: str) -> None:
    body = b"&".join(b"%d=1" % number for number in range(2000))

    refused(writer.post(f"{API}/builds/", content=body, headers={"Content-Type": kind}), 400)


def test_a_huge_body_is_refused_by_its_announced_length(writer: TestClient) -> None:
    headers = {"Content-Length": str(BODY_MAX_BYTES + 1)}

    refused(writer.post(f"{API}/builds/", content=b"{}", headers=headers), 413)


def test_a_huge_body_is_refused_when_nobody_announced_its_length(writer: TestClient) -> None:
    def pieces() -> Any:
        for _ in range(BODY_MAX_BYTES // 2**20 + 1):
            yield b" " * 2**20

    refused(writer.post(f"{API}/builds/", content=pieces()), 413)


def test_a_stranger_is_refused_before_his_body_is_read(client: TestClient) -> None:
    headers = {"Content-Length": str(BODY_MAX_BYTES + 1)}

    refused(client.post(f"{API}/builds/", content=b"{", headers=headers), 401)


def test_unknown_parameters_are_ignored(writer: TestClient, session: Session, project: Project) -> None:
    values = {"project": project.slug, "sha": "abc", "from_a_later_version": {"a": [1]}}

    answer = writer.post(f"{API}/builds/", json=values)

    assert made(session, answer).label


@pytest.mark.parametrize(
    ("query", "problem"),
    [
        ("result=green", "result"),
        ("cause=magic", "cause"),
        ("include_patches=maybe", "include_patches"),
        ("query=%00", "query"),
        ("tag=%00", "tag"),
    ],
)
def test_a_list_refuses_filters_it_does_not_know(
    reader: TestClient, project: Project, query: str, problem: str
) -> None:
    answer = reader.get(f"{API}/projects/{project.slug}/builds/?{query}")

    assert refused(answer, 400)["problems"] == [problem]


Asked = Callable[[str], list[int]]


@pytest.fixture
def numbers_of(reader: TestClient, session: Session, project: Project) -> Asked:
    """Four builds of one project, numbered 1 to 4; asks for some of them."""
    for _ in range(4):
        a_build(session, project)

    def asked(query: str) -> list[int]:
        answer = reader.get(f"{API}/projects/{project.slug}/builds/?{query}")
        assert answer.status_code == 200, answer.text
        return [build["number"] for build in answer.json()]

    return asked


@pytest.mark.parametrize(
    ("query", "numbers"),
    [
        ("per_page=2", [4, 3]),
        ("per_page=2&page=2", [2, 1]),
        ("per_page=2&page=3", []),
        ("per_page=0", [4, 3, 2, 1]),
        ("per_page=", [4, 3, 2, 1]),
        ("per_page=100", [4, 3, 2, 1]),
        ("page=999999999&per_page=0", []),
    ],
)
def test_lists_come_in_pages(numbers_of: Asked, query: str, numbers: list[int]) -> None:
    assert numbers_of(query) == numbers


@pytest.mark.parametrize(
    ("query", "problem"),
    [
        ("per_page=101", "per_page"),
        ("per_page=x", "per_page"),
        ("per_page=-1", "per_page"),
        ("page=0", "page"),
        ("page=-1", "page"),
        ("page=x", "page"),
        ("page=", "page"),
        ("page=99999999999999999999", "page"),
    ],
)
def test_pages_that_cannot_be_are_refused(reader: TestClient, query: str, problem: str) -> None:
    answer = reader.get(f"{API}/builds/?{query}")

    assert refused(answer, 400)["problems"] == [problem]


def test_links_lead_to_the_pages_beside_and_keep_the_other_parameters(
    reader: TestClient, session: Session, project: Project
) -> None:
    for _ in range(3):
        a_build(session, project)

    answer = reader.get(f"{API}/projects/{project.slug}/builds/?tag=&per_page=1&query=b%26c&page=2")
    middle = reader.get(f"{API}/projects/{project.slug}/builds/?per_page=1&page=2")

    assert "Link" not in answer.headers or "next" not in answer.headers["Link"]
    where = f"http://testserver{API}/projects/{project.slug}/builds/"
    assert middle.headers["Link"] == (
        f'<{where}?per_page=1&page=1>; rel="previous", <{where}?per_page=1&page=3>; rel="next"'
    )
    assert answer.headers["Link"] == f'<{where}?tag=&per_page=1&query=b%26c&page=1>; rel="previous"'


def test_a_first_page_without_other_parameters_links_as_the_original_did(
    reader: TestClient, session: Session
) -> None:
    for _ in range(26):
        a_node(session)

    link = reader.get(f"{API}/nodes/").headers["Link"]

    assert link == f'<http://testserver{API}/nodes/?&page=2>; rel="next"'
