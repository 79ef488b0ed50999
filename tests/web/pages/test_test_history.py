"""One test through time, and what two of its failures said."""

import re
from collections.abc import Callable

import pytest
from sqlalchemy.orm import Session
from starlette.testclient import TestClient
from tests import factories
from tests.finished import a_sha, a_test, report
from tests.web.conftest import first_step

from changes.base import ids
from changes.builds.models import Build
from changes.projects.models import Project, Revision
from changes.results import testdays

HOSTILE = "<script>alert(1)</script>"
NAME = "app.api.test_cart"
GOOD = a_test(NAME, duration_ms=400)
BAD = a_test(NAME, "failed", message="begin\nexpected 3, got 4\nend", owner="payments", duration_ms=500)
WORSE = a_test(NAME, "failed", message=f"begin\n{HOSTILE}\nend")
HERE = f"/projects/server/tests/{GOOD.sha1}/"


@pytest.fixture
def project(session: Session) -> Project:
    return factories.a_project(session, "server")


@pytest.fixture
def built(session: Session, project: Project) -> Callable[..., Build]:
    def a_build(*tests: object, branch: str = "main") -> Build:
        sha = a_sha()
        build = factories.a_build(session, project)
        build.source = factories.a_source(session, project, sha=sha)
        session.get_one(Revision, (project.repository_id, sha)).branches = [branch]
        report(session, first_step(session, build), tests)  # type: ignore[arg-type]
        testdays.sum_up(session)
        session.flush()
        return build

    return a_build


def rows(page: str) -> list[str]:
    return re.findall(r"data-item>(#\d+) ", page)


def test_a_test_that_broke_says_where_and_what_was_the_last_good_revision(
    browser: TestClient, built: Callable[..., Build]
) -> None:
    good, bad, _ = built(GOOD), built(BAD), built(BAD)

    page = re.sub(r"<[^>]*>", "", browser.get(HERE).text)

    assert f"Fails on main since {bad.source.revision_sha[:12]} (#2)" in page
    assert f"the last good revision is {good.source.revision_sha[:12]} (#1)" in page
    assert "payments" in page


def test_its_grid_leads_to_the_run_at_each_revision(browser: TestClient, built: Callable[..., Build]) -> None:
    built(GOOD)
    built(a_test("app.other"))
    built(BAD, branch="next")

    page = browser.get(HERE).text
    grid = page[page.index("test-grid") : page.index("</table>")]

    assert re.findall(r'title="(Passed|Failed|Not run)"', grid) == ["Passed", "Not run", "Not run", "Failed"]
    assert re.findall(r"<b>(\w+)</b>", grid) == ["main", "next"]


def test_its_runs_are_filtered_and_walked(browser: TestClient, built: Callable[..., Build]) -> None:
    for _ in range(27):
        built(GOOD)
    built(BAD)

    first = browser.get(HERE).text
    older = re.findall(r'href="([^"]*)" rel="next"', first)[0].replace("&amp;", "&")

    assert rows(first)[:2] == ["#28", "#27"]
    assert rows(browser.get(HERE + older).text) == ["#3", "#2", "#1"]
    assert rows(browser.get(f"{HERE}?result=failed").text) == ["#28"]


def test_the_page_asks_no_more_than_eight_questions(
    built: Callable[..., Build], questions: Callable[[str], int]
) -> None:
    built(BAD)
    built(WORSE)

    assert questions(HERE) <= 8
    assert questions(f"{HERE}compare/") <= 8


def test_another_branch_may_be_looked_at(browser: TestClient, built: Callable[..., Build]) -> None:
    built(GOOD)
    built(GOOD)
    built(BAD, branch="next")

    assert "Passes on main" in browser.get(HERE).text
    assert "Fails on next" in browser.get(f"{HERE}?branch=next").text
    assert "Passes on main" in browser.get(f"{HERE}?branch=nowhere").text


def test_another_branch_forgets_no_filter(browser: TestClient, built: Callable[..., Build]) -> None:
    built(GOOD, branch="next")
    built(BAD)

    assert "?branch=next&amp;result=failed" in browser.get(f"{HERE}?result=failed").text


def test_two_failures_stand_side_by_side_or_one_below_the_other(
    browser: TestClient, built: Callable[..., Build]
) -> None:
    built(BAD)
    built(WORSE)

    split, unified = (browser.get(f"{HERE}compare/{view}").text for view in ("", "?view=unified"))

    assert '<tr class="pair-changed">' in split
    assert split.index("expected 3, got 4") < split.index("&lt;script&gt;")
    assert re.findall(r'<tr class="diff-(\w+)">', unified) == ["same", "removed", "added", "same"]
    assert HOSTILE not in split + unified


def test_two_failures_are_chosen(browser: TestClient, built: Callable[..., Build]) -> None:
    for _ in range(3):
        built(BAD)
    choices = re.findall(r'<option value="([0-9a-f]{32})"', browser.get(f"{HERE}compare/").text)[:3]

    page = browser.get(f"{HERE}compare/?left={choices[2]}&right={choices[1]}").text

    assert re.findall(r'value="([0-9a-f]{32})" selected', page) == [choices[2], choices[1]]
    assert "Both said the same." in page


def test_what_is_no_failure_of_it_is_not_compared(browser: TestClient, built: Callable[..., Build]) -> None:
    built(BAD)
    assert "There are no two failures" in browser.get(f"{HERE}compare/").text

    built(BAD)
    assert browser.get(f"{HERE}compare/?left={ids.new().hex}").status_code == 404


def test_it_is_talked_about_where_its_runs_are(browser: TestClient, built: Callable[..., Build]) -> None:
    built(BAD)
    proof = re.findall(r'name="proof" value="([^"]*)"', browser.get(HERE).text)

    answer = browser.post(
        f"{HERE}comments/", data={"text": "It needs the network.", "proof": proof[0] if proof else ""}
    )

    assert (answer.status_code, answer.headers["location"]) == (303, f"{HERE}#said")
    assert "It needs the network." in browser.get(HERE).text
    run = re.findall(r'href="(/projects/server/builds/1/tests/[0-9a-f]{32}/)"', browser.get(HERE).text)[0]
    assert "It needs the network." in browser.get(run).text


def test_a_name_that_no_test_has_is_a_page_that_says_so(browser: TestClient, project: Project) -> None:
    for where in (f"/projects/server/tests/{'a' * 40}/", "/projects/server/tests/nonsense/compare/"):
        answer = browser.get(where)
        assert (answer.status_code, "no such test" in answer.text) == (404, True)
