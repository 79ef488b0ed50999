"""/authors/: those named in commits, what they wrote, and the addresses that are the same person."""

from typing import Any

import pytest
from fastapi import FastAPI
from sqlalchemy.orm import Session
from starlette.testclient import TestClient
from tests import factories
from tests.finished import an_ended_build
from tests.web.conftest import API, answered, open_client

from changes.base import clock, ids
from changes.builds.models import Build
from changes.people import tokens, users
from changes.people.models import Author
from changes.people.rules import Scope
from changes.projects.models import Project, Revision


@pytest.fixture
def project(session: Session) -> Project:
    return factories.a_project(session, "web")


def an_author(session: Session, email: str) -> Author:
    author = Author(id=ids.new(), name=email.partition("@")[0].title(), email=email)
    session.add(author)
    session.flush()
    return author


def a_commit(session: Session, project: Project, author: Author, sha: str) -> Revision:
    made = clock.now()
    revision = Revision(
        repository_id=project.repository_id, sha=sha * 40, author_id=author.id, date_created=made, message=sha
    )
    session.add(revision)
    session.flush()
    return revision


def built_by(session: Session, project: Project, author: Author) -> Build:
    build = factories.a_build(session, project)
    build.author_id = author.id
    session.flush()
    return build


def somebody(app: FastAPI, session: Session, email: str, *, is_admin: bool = False) -> TestClient:
    client = open_client(app)
    user = users.create(session, email, is_admin=is_admin)
    scope = Scope.ADMIN if is_admin else Scope.WRITE
    client.headers.update(factories.as_caller(tokens.create(session, "t", scope, user=user).secret))
    return client


def told(client: TestClient, path: str) -> Any:
    answer = answered(client.get(f"{API}/authors/{path}"))
    assert answer.status_code == 200, answer.text
    return answer.json()


def join(client: TestClient, author: Author, email: str) -> int:
    answer = answered(client.post(f"{API}/authors/{author.id.hex}/addresses/", json={"email": email}))
    return answer.status_code


def test_an_author_is_called_by_id_address_and_me(app: FastAPI, session: Session, project: Project) -> None:
    zoe = an_author(session, "Zoe@example.com")
    build = built_by(session, project, zoe)
    built_by(session, project, an_author(session, "yann@example.com"))
    client = somebody(app, session, "zoe@example.com")

    for name in (zoe.id.hex, str(zoe.id), "zoe@example.com", "me"):
        assert [each["id"] for each in told(client, f"{name}/builds/")] == [build.id.hex]


def test_an_address_means_its_variants_too(reader: TestClient, session: Session, project: Project) -> None:
    for email in ("zoe+work@example.com", "zoe@example.com", "zoex@example.com", "zoe+work@example.org"):
        built_by(session, project, an_author(session, email))

    found = told(reader, "zoe@example.com/builds/")

    assert {each["author"]["email"] for each in found} == {"zoe+work@example.com", "zoe@example.com"}


@pytest.mark.parametrize(
    "name", ["nobody@example.com", "%25@example.com", "nonsense", "0" * 32, "@", "a@b@c"]
)
def test_nobody_of_that_name_has_nothing(reader: TestClient, session: Session, name: str) -> None:
    an_author(session, "zoe@example.com")

    assert [told(reader, f"{name}/{what}/") for what in ("builds", "commits")] == [[], []]


def test_a_program_behind_which_nobody_stands_is_not_me(reader: TestClient) -> None:
    assert reader.get(f"{API}/authors/me/builds/").status_code == 401


def test_commits_come_latest_first_with_their_builds(
    reader: TestClient, session: Session, project: Project
) -> None:
    zoe = an_author(session, "zoe@example.com")
    for sha in "bcd":
        a_commit(session, project, zoe, sha)
    source = factories.a_source(session, project, sha="c" * 40)
    build = an_ended_build(session, project, source=source)

    found = told(reader, f"{zoe.id.hex}/commits/")

    assert [each["revision"]["sha"][0] for each in found] == ["d", "c", "b"]
    assert [each["id"] for each in found] == [None, source.id.hex, None]
    assert [[each["id"] for each in commit["builds"]] for commit in found] == [[], [build.id.hex], []]


def test_commits_come_in_pages(reader: TestClient, session: Session, project: Project) -> None:
    zoe = an_author(session, "zoe@example.com")
    for sha in "abc":
        a_commit(session, project, zoe, sha)

    first = answered(reader.get(f"{API}/authors/{zoe.id.hex}/commits/?num_revs=2"))
    second = told(reader, f"{zoe.id.hex}/commits/?num_revs=2&page=2")

    assert len(first.json()) == 2
    assert 'page=2>; rel="next"' in first.headers["Link"]
    assert [each["revision"]["sha"][0] for each in second] == ["a"]


def test_what_was_written_under_a_joined_address_is_the_same_persons(
    admin: TestClient, session: Session, project: Project
) -> None:
    zoe, home = (an_author(session, email) for email in ("zoe@example.com", "zoe@home.example"))
    built = {built_by(session, project, each).id.hex for each in (zoe, home)}
    a_commit(session, project, home, "e")

    assert join(admin, zoe, " ZOE@home.example ") == 200

    assert told(admin, f"{zoe.id.hex}/")["addresses"] == ["zoe@example.com", "zoe@home.example"]
    for name in (zoe.id.hex, "zoe@example.com", "zoe@home.example"):
        assert {each["id"] for each in told(admin, f"{name}/builds/")} == built
        assert len(told(admin, f"{name}/commits/")) == 1


def test_an_address_is_taken_off_again(admin: TestClient, session: Session, project: Project) -> None:
    zoe, home = (an_author(session, email) for email in ("zoe@example.com", "zoe@home.example"))
    built_by(session, project, home)
    join(admin, zoe, "zoe@home.example")
    where = f"{API}/authors/{zoe.id.hex}/addresses/zoe@home.example/"

    codes = [admin.delete(where).status_code for _ in range(2)]

    assert codes == [204, 404]
    assert told(admin, f"{zoe.id.hex}/builds/") == []
    assert len(told(admin, f"{home.id.hex}/builds/")) == 1


def test_one_joins_addresses_to_oneself_alone(app: FastAPI, session: Session) -> None:
    zoe, yann = (an_author(session, email) for email in ("zoe@example.com", "yann@example.com"))
    client = somebody(app, session, "zoe@example.com")

    codes = [join(client, author, "zoe@home.example") for author in (yann, zoe)]

    assert codes == [403, 200]


def test_nobody_takes_the_address_that_somebody_else_signs_in_with(app: FastAPI, session: Session) -> None:
    zoe = an_author(session, "zoe@example.com")
    users.create(session, "yann@example.com")

    assert join(somebody(app, session, "zoe@example.com"), zoe, "yann@example.com") == 403
    assert join(somebody(app, session, "olga@example.com", is_admin=True), zoe, "yann@example.com") == 200


def test_an_address_belongs_to_one_author_and_to_no_chain(admin: TestClient, session: Session) -> None:
    zoe, yann, home = (
        an_author(session, email) for email in ("zoe@example.com", "yann@example.com", "zoe@home.example")
    )
    assert join(admin, zoe, "zoe@home.example") == 200

    codes = [
        join(admin, yann, "zoe@home.example"),
        join(admin, home, "zoe@work.example"),
        join(admin, yann, "zoe@example.com"),
        join(admin, zoe, "zoe@example.com"),
    ]

    assert codes == [409] * 4


@pytest.mark.parametrize("email", ["", "zoe", "a b@c", "x" * 300 + "@y"])
def test_what_is_no_address_is_not_joined(admin: TestClient, session: Session, email: str) -> None:
    assert join(admin, an_author(session, "zoe@example.com"), email) == 400


def test_authors_are_listed_by_name_and_found_by_a_part_of_it(reader: TestClient, session: Session) -> None:
    for email in ("zoe@example.com", "ben@example.com"):
        an_author(session, email)

    assert [each["email"] for each in told(reader, "?query=example.com")] == [
        "ben@example.com",
        "zoe@example.com",
    ]
    assert [each["name"] for each in told(reader, "?query=ZO")] == ["Zoe"]
