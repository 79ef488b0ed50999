"""The page of what builds keep, and its forms."""

import pytest
from sqlalchemy.orm import Session
from starlette.testclient import TestClient
from tests.builds.kept import a_build_of, a_cache, a_plan_with_set_up, a_snapshot
from tests.factories import a_project, steps_of
from tests.web.conftest import answered

from changes.builds import caches, snapshots
from changes.builds.snapshot_rules import SnapshotStatus
from changes.people import users
from changes.projects.models import Project
from changes.web.auth import COOKIE

HERE = "/projects/hello/kept/"


@pytest.fixture
def project(session: Session) -> Project:
    project = a_project(session, "hello")
    a_plan_with_set_up(session, project)
    return project


def proof_in(page: str) -> str:
    return page.split('name="proof" value="', 1)[1].split('"', 1)[0]


def press(browser: TestClient, action: str, **fields: str) -> int:
    """A button of the page."""
    page = browser.get(HERE).text
    assert f'action="{HERE}{action}"' in page
    sent = browser.post(f"{HERE}{action}", data={"proof": proof_in(page), **fields})
    return answered(sent).status_code


def test_an_empty_page_says_what_it_is_for(browser: TestClient, project: Project) -> None:
    page = browser.get(HERE)

    assert page.status_code == 200
    assert "No snapshot yet" in page.text
    assert "No cache yet" in page.text


def test_snapshots_and_caches_are_shown(browser: TestClient, session: Session, project: Project) -> None:
    made = a_snapshot(session, project)
    a_cache(session, a_build_of(session, project), "deps-<1>")

    page = browser.get(HERE).text

    assert made.id.hex[:12] in page
    assert "deps-&lt;1&gt;" in page


def test_builds_begin_with_the_one_that_somebody_chose(
    browser: TestClient, session: Session, project: Project
) -> None:
    made = a_snapshot(session, project)

    assert press(browser, f"snapshots/{made.id.hex}/use/") == 303

    assert snapshots.current_of(session, project) == made.id
    step = steps_of(session, a_build_of(session, project))[0]
    assert f"begins with the snapshot {made.id.hex[:12]}" in browser.get(f"/steps/{step.id.hex}/").text


def test_a_plan_without_image_says_so(browser: TestClient, session: Session, project: Project) -> None:
    snapshots.set_current(session, project, a_snapshot(session, project))
    a_plan_with_set_up(session, project, label="late")

    pages = [
        browser.get(f"/steps/{step.id.hex}/").text for step in steps_of(session, a_build_of(session, project))
    ]

    assert sum("begins without a snapshot" in page for page in pages) == 1


def test_one_that_is_given_up_is_invalid(browser: TestClient, session: Session, project: Project) -> None:
    made = a_snapshot(session, project)

    assert press(browser, f"snapshots/{made.id.hex}/invalidate/") == 303

    assert made.status == SnapshotStatus.INVALIDATED


def test_caches_are_removed_one_by_one_or_all(
    browser: TestClient, session: Session, project: Project
) -> None:
    first = a_cache(session, a_build_of(session, project), "one")
    a_cache(session, a_build_of(session, project), "two")

    assert press(browser, f"caches/{first.id.hex}/remove/") == 303
    assert [each.key for each in caches.of(session, project)] == ["two"]

    assert press(browser, "caches/remove/") == 303
    assert not caches.of(session, project)


def test_whoever_only_reads_sees_no_buttons(client: TestClient, session: Session, project: Project) -> None:
    reader = users.create(session, "ravi@example.com", is_admin=False)
    client.cookies.set(COOKIE, users.open_session(session, reader.id))
    a_snapshot(session, project)

    page = client.get(HERE)

    assert page.status_code == 200
    assert '<form method="post" action="/projects/hello/kept/' not in page.text
