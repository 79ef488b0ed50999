"""What is said on pages: of a line beside it, of builds, jobs and tests, and taken back again."""

import re
from pathlib import Path

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session
from starlette.testclient import TestClient
from tests import factories
from tests.finished import a_test, report
from tests.web.conftest import first_step, job_of

from changes.base import ids
from changes.builds import create
from changes.builds.create import NewBuild
from changes.builds.models import Build
from changes.people import users
from changes.people.models import User
from changes.projects import changes, comments, patches, revisions
from changes.projects.changes import NewChange
from changes.projects.comments import Said
from changes.projects.models import Change, Comment, Source
from changes.projects.rules import CommentTarget

A_DIFF = b"diff --git a/b c.py b/b c.py\n--- a/b c.py\n+++ b/b c.py\n@@ -1,2 +1,2 @@\n x\n-1\n+2\n"
BUILD = "/projects/web/builds/1/"


@pytest.fixture
def source(session: Session, tmp_path: Path) -> Source:
    """The only version of a change, built once."""
    factories.a_git_repository(tmp_path / "code", {"a": "1\n"})
    project = factories.a_project(session, "web", factories.a_repository(session, str(tmp_path / "code")))
    factories.a_plan(session, project, {"commands": ["true"]})
    change = changes.create(session, project.repository, NewChange(title="Mend it", key="D12"))
    revision = revisions.find(session, project.repository, "main")
    source = revisions.source_of(session, revision, patches.save(session, revision, A_DIFF))
    session.refresh(source)
    changes.add_version(session, change, source)
    asked = NewBuild(source, ids.new(), label="b", target="D12", message="", author=None)
    create.create_build(session, project, asked)
    return source


@pytest.fixture
def reader(browser: TestClient, session: Session) -> User:
    """Who sits before the browser."""
    return session.execute(select(User)).scalar_one()


@pytest.fixture
def build(session: Session, source: Source) -> Build:
    return session.execute(select(Build)).unique().scalar_one()


def post(browser: TestClient, page: str, where: str, values: dict[str, str]) -> int:
    found = re.search(r'name="proof" value="([^"]+)"', browser.get(page).text)
    assert found is not None
    return int(browser.post(where, data={**values, "proof": found[1]}).status_code)


def said(session: Session) -> Comment:
    return session.execute(select(Comment)).unique().scalar_one()


def test_each_new_line_leads_to_a_form_beside_it(browser: TestClient, source: Source) -> None:
    here = f"/sources/{source.id.hex}/"
    (link,) = re.findall(r'href="([^"]+)" aria-label="Comment on line 2"', browser.get(here).text)

    text = browser.get(here + link.replace("&amp;", "&")).text

    assert link == "?part=1&amp;comment=b%20c.py:2#comment"
    beside = text[text.index("diff-beside") :]
    assert '<input type="hidden" name="path" value="b c.py">' in beside
    assert '<input type="hidden" name="line" value="2">' in beside
    assert text.count('name="text"') == 1


def test_a_line_that_is_not_in_the_diff_can_be_spoken_of_as_well(browser: TestClient, source: Source) -> None:
    text = browser.get(f"/sources/{source.id.hex}/?comment=b%20c.py:900").text

    assert "Say something of b c.py:900" in text
    assert '<input type="hidden" name="line" value="900">' in text


@pytest.mark.parametrize("asked", ["x", "x:", ":1", "x:-1", "x:1e9", "x:99999999999", "%3Cscript%3E:1"])
def test_a_place_that_is_none_harms_nothing(browser: TestClient, source: Source, asked: str) -> None:
    answer = browser.get(f"/sources/{source.id.hex}/?comment={asked}")

    assert answer.status_code == 200
    assert "<script>:" not in answer.text


def test_what_is_said_of_a_line_stands_beside_it_once(
    browser: TestClient, session: Session, source: Source
) -> None:
    here = f"/sources/{source.id.hex}/"

    post(browser, here, f"{here}comments/", {"text": "why <2>?", "path": "b c.py", "line": "2"})

    text = browser.get(here).text
    assert text.count("why &lt;2&gt;?") == 1
    assert "why &lt;2&gt;?" in text[text.index("diff-beside") :]


def test_what_is_said_anywhere_is_part_of_the_life_of_the_change(
    browser: TestClient, session: Session, source: Source, build: Build
) -> None:
    user = users.create(session, "zoe@example.com")
    session.flush()
    targets = [
        (CommentTarget.CHANGE, source.change_id, Said("of all")),
        (CommentTarget.SOURCE, source.id, Said("of a line", "b c.py", 2)),
        (CommentTarget.BUILD, build.id, Said("of a build")),
        (CommentTarget.JOB, job_of(session, build).id, Said("of a job")),
    ]
    for target, target_id, words in targets:
        assert target_id is not None
        comments.say(session, user.id, target, target_id, words)

    life = browser.get(f"/changes/{source.change_id.hex if source.change_id else ''}/").text

    assert re.findall(r'<p class="said">(.*?)</p>', life) == ["of all", "of a line", "of a build", "of a job"]
    assert f"/sources/{source.id.hex}/?comment=b%20c.py:2#comment" in life
    assert f"{BUILD}#said" in life


def test_a_build_and_a_job_of_it_are_spoken_of_on_its_page(
    browser: TestClient, session: Session, build: Build
) -> None:
    job = job_of(session, build)

    codes = [
        post(browser, BUILD, f"{BUILD}comments/", {"text": "of the build"}),
        post(browser, BUILD, f"{BUILD}comments/", {"text": "of the job", "job": job.id.hex}),
    ]

    text = browser.get(BUILD).text
    assert codes == [303, 303]
    assert text.index("of the build") < text.index("of the job")
    assert f"of {job.label}" in text


def test_a_job_of_another_build_is_not_spoken_of_here(
    browser: TestClient, session: Session, build: Build
) -> None:
    other = job_of(session, factories.a_build(session, build.project))

    assert post(browser, BUILD, f"{BUILD}comments/", {"text": "x", "job": other.id.hex}) == 404
    assert session.execute(select(Comment)).first() is None


def test_a_test_is_spoken_of_on_the_page_of_a_run(
    browser: TestClient, session: Session, build: Build
) -> None:
    report(session, first_step(session, build), [a_test("app.a", "failed")])
    (here,) = set(re.findall(rf'href="({BUILD}tests/[0-9a-f]{{32}}/)"', browser.get(f"{BUILD}tests/").text))

    code = post(browser, here, f"{here}comments/", {"text": "It needs the network."})

    assert code == 303
    assert "It needs the network." in browser.get(here).text


def test_taking_back_asks_first_and_leads_back(browser: TestClient, session: Session, build: Build) -> None:
    post(browser, BUILD, f"{BUILD}comments/", {"text": "wrong"})
    where = f"/comments/{said(session).id.hex}/delete/"
    assert where in browser.get(BUILD).text

    asked = browser.get(where).text
    code = post(browser, where, where, {})

    assert "wrong" in asked
    assert f'href="{BUILD}"' in asked
    assert code == 303
    assert session.execute(select(Comment)).first() is None


def test_the_words_of_others_cannot_be_taken_back(
    browser: TestClient, session: Session, build: Build, reader: User
) -> None:
    zoe = users.create(session, "zoe@example.com")
    comments.say(session, zoe.id, CommentTarget.BUILD, build.id, Said("hers"))
    reader.is_admin = False
    session.flush()
    where = f"/comments/{said(session).id.hex}/delete/"

    assert where not in browser.get(BUILD).text
    assert browser.get(where).status_code == 403
    assert post(browser, BUILD, where, {}) == 403
    assert said(session).text == "hers"


def test_words_whose_thing_is_gone_lead_to_the_first_page(
    browser: TestClient, session: Session, reader: User
) -> None:
    comments.say(session, reader.id, CommentTarget.TEST, ids.new(), Said("of nothing"))

    assert 'href="/"' in browser.get(f"/comments/{said(session).id.hex}/delete/").text


def test_a_repository_that_cannot_be_read_hides_only_the_lines(
    browser: TestClient, session: Session, build: Build
) -> None:
    unknown = factories.a_source(session, build.project)

    answer = browser.get(f"/sources/{unknown.id.hex}/")

    assert answer.status_code == 200
    assert "Its lines cannot be shown" in answer.text


def test_a_change_that_is_gone_is_not_spoken_of(
    browser: TestClient, session: Session, source: Source
) -> None:
    assert (
        post(browser, f"/sources/{source.id.hex}/", f"/changes/{ids.new().hex}/comments/", {"text": "x"})
        == 404
    )
    assert session.execute(select(Change)).unique().scalar_one().title == "Mend it"
