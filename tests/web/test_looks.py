"""Requests that have to ask a repository: what they hold meanwhile, and how long they wait."""

import hmac
import json
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from threading import BoundedSemaphore
from typing import Any

import pytest
from fastapi import FastAPI
from httpx import Response
from sqlalchemy import func, select
from starlette.testclient import TestClient
from tests.factories import a_git_repository, a_plan, a_project, a_repository, commit
from tests.fakes.silent_remote import SilentRemote
from tests.web.conftest import API, DEADLINE_S, answered, connections_in_use, open_client, with_scope

from changes.base import db
from changes.base.idempotency import StoredAnswer
from changes.builds import hooks
from changes.people.rules import Scope
from changes.projects import looks, mirrors, options, revisions
from changes.projects.rules import RepositoryBackend
from changes.vcs.git import GitMirror
from changes.web import call

SHA = "5" * 40


@pytest.fixture
def remote() -> Iterator[SilentRemote]:
    with SilentRemote() as remote:
        yield remote


@pytest.fixture
def asker(database: db.Database, app: FastAPI) -> TestClient:
    with db.transaction() as session:
        return with_scope(open_client(app), session, Scope.WRITE)


def a_project_of(url: str) -> str:
    with db.transaction() as session:
        repository = a_repository(session, url=url, backend=RepositoryBackend.GIT)
        project = a_project(session, repository=repository)
        a_plan(session, project, {"commands": ["true"]})
        return project.slug


def ask_for_build(asker: TestClient, slug: str, sha: str = "main", **headers: str) -> Response:
    answer: Response = asker.post(f"{API}/builds/", data={"project": slug, "sha": sha}, headers=headers)
    return answer


def while_it_hangs(remote: SilentRemote, ask: Callable[[], Response], look: Callable[[], Any]) -> Response:
    with ThreadPoolExecutor(1) as pool:
        asked: Future[Response] = pool.submit(ask)
        try:
            assert remote.is_asked.wait(DEADLINE_S)
            look()
        finally:
            remote.hang_up()
        return asked.result(DEADLINE_S)


def assert_come_again(answer: Response) -> None:
    assert answer.status_code == 503
    assert int(answer.headers["Retry-After"]) > 0
    assert "cannot be read now" in answer.json()["error"]


@pytest.mark.parametrize("sha", ["main", SHA])
def test_no_connection_is_held_while_a_repository_is_asked(
    sha: str, asker: TestClient, database: db.Database, remote: SilentRemote
) -> None:
    slug, held = a_project_of(remote.url), []

    answer = while_it_hangs(
        remote,
        lambda: ask_for_build(asker, slug, sha),
        lambda: held.append(connections_in_use(database)),
    )

    assert held == [0]
    assert_come_again(answer)


@pytest.mark.parametrize("where", [f"{API}/projects/web/commits/", "/projects/web/commits/"])
def test_no_connection_is_held_while_git_tells_which_files_commits_change(
    where: str, asker: TestClient, database: db.Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sha, held = a_git_repository(tmp_path / "code", {"src/a": "1"}), []
    with db.transaction() as session:
        repository = a_repository(session, url=str(tmp_path / "code"), backend=RepositoryBackend.GIT)
        project = a_project(session, "web", repository)
        mirrors.of(repository).update()
        revisions.find(session, repository, sha)
        options.change(session, project, {options.FILES: "src/*"})

    def touching(_mirror: GitMirror, shas: Sequence[str], *_more: object) -> Iterator[str]:
        held.append(connections_in_use(database))
        return (each for each in shas)

    monkeypatch.setattr(GitMirror, "touching", touching)
    answer = answered(asker.get(where))

    assert (answer.status_code, held) == (200, [0])
    assert sha[:7] in answer.text


def test_a_repository_that_never_answers_is_not_waited_for_for_long(
    asker: TestClient, remote: SilentRemote, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(call, "LOOK_MAX_S", 0.3)

    answer = ask_for_build(asker, a_project_of(remote.url))

    assert_come_again(answer)
    assert "took too long" in answer.json()["error"]


def test_a_webhook_holds_no_connection_either(
    asker: TestClient, database: db.Database, remote: SilentRemote
) -> None:
    body, held = json.dumps({"branch": "main"}).encode(), []
    with db.transaction() as session:
        repository = a_repository(session, url=remote.url, backend=RepositoryBackend.GIT)
        hook, secret = hooks.create(session, a_project(session, repository=repository), "deploys")
    signature = f"sha256={hmac.digest(secret.encode(), body, 'sha256').hex()}"

    answer = while_it_hangs(
        remote,
        lambda: asker.post(
            f"{API}/hooks/{hook.id.hex}/", content=body, headers={"X-Hub-Signature-256": signature}
        ),
        lambda: held.append(connections_in_use(database)),
    )

    assert held == [0]
    assert_come_again(answer)


def test_only_so_many_requests_wait_for_repositories(
    asker: TestClient, remote: SilentRemote, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(call, "looking", BoundedSemaphore(1))
    slug, others = a_project_of(remote.url), []

    while_it_hangs(
        remote, lambda: ask_for_build(asker, slug), lambda: others.append(ask_for_build(asker, slug))
    )

    assert [each.status_code for each in others] == [503]
    assert "Too many wait" in others[0].json()["error"]


def test_nothing_is_left_of_a_request_that_has_to_come_again(
    asker: TestClient, remote: SilentRemote, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(call, "LOOK_MAX_S", 0.3)

    ask_for_build(asker, a_project_of(remote.url), **{"Idempotency-Key": "the first"})

    with db.transaction() as session:
        assert session.execute(select(func.count()).select_from(StoredAnswer)).scalar_one() == 0


def test_a_request_that_is_repeated_gets_its_first_answer_without_a_look(
    asker: TestClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tree = tmp_path / "tree"
    a_git_repository(tree, {"README": "read me"})
    slug = a_project_of(str(tree))
    first = ask_for_build(asker, slug, **{"Idempotency-Key": "once"})
    monkeypatch.setattr(looks, "look", None)

    again = ask_for_build(asker, slug, **{"Idempotency-Key": "once"})

    assert first.status_code == again.status_code == 200
    assert first.json() == again.json()


def test_a_branch_that_moved_is_built_where_it_is_now(asker: TestClient, tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    a_git_repository(tree, {"README": "read me"})
    slug = a_project_of(str(tree))
    ask_for_build(asker, slug, "HEAD")
    newer = commit(tree, {"README": "read me again"}, "More")

    (build,) = ask_for_build(asker, slug, "HEAD").json()

    assert build["source"]["revision"]["sha"] == newer
