"""The numbers of a project and of all of them, as pages."""

import html
import json
import re
from datetime import date

import pytest
from sqlalchemy.orm import Session
from starlette.testclient import TestClient
from tests import work

from changes.builds.rules import Result
from changes.projects.models import Project
from changes.web.pages import lines
from changes.web.pages.lines import Line

HERE = "/projects/server/statistics/"


@pytest.fixture
def project(session: Session) -> Project:
    return work.a_project(session, "server")


@pytest.fixture
def counted(session: Session, project: Project) -> Project:
    results = (Result.PASSED, Result.FAILED, Result.INFRA_FAILED)
    work.count(session, [work.an_ended_build(session, project, each) for each in results])
    return project


@pytest.mark.usefixtures("project")
def test_a_project_without_builds_says_when_they_are_counted(browser: TestClient) -> None:
    assert "counted within a minute after it has ended" in browser.get(HERE).text


@pytest.mark.usefixtures("counted")
def test_how_much_how_green_and_how_long_stands_on_one_page(browser: TestClient) -> None:
    page = browser.get(HERE).text

    assert re.findall(r'class="stat-value[^"]*">\s*([^<]+?)\s*<', page)[:2] == ["3", "50 %"]
    assert "no longer there" not in page
    assert page.count('data-label="Took"') == 3


@pytest.mark.usefixtures("counted")
def test_a_question_that_fits_nothing_can_be_taken_back(browser: TestClient) -> None:
    page = browser.get(HERE, params={"of": "patches"}).text

    assert "Nothing like that was built" in page
    assert f'href="{HERE}"' in page


@pytest.mark.usefixtures("counted")
def test_each_table_leads_to_the_same_for_programs(browser: TestClient) -> None:
    page = browser.get(HERE, params={"days": "7"}).text

    tables = re.findall(r'href="(/api/0/projects/server/statistics/[^"]*format=csv)"', page)
    assert [html.unescape(each).partition("?")[2] for each in tables] == [
        f"days=7&table={name}&format=csv" for name in ("plans", "slowest", "days")
    ]
    assert all(browser.get(html.unescape(each)).status_code == 200 for each in tables)


@pytest.mark.usefixtures("counted")
def test_all_projects_have_a_page_of_their_machines(browser: TestClient) -> None:
    page = browser.get("/statistics/").text

    assert page.count('href="/nodes/') >= 3
    assert "Slowest steps" in page


@pytest.mark.usefixtures("counted")
def test_the_script_is_told_what_the_lines_are_drawn_from(browser: TestClient) -> None:
    page = browser.get(HERE).text

    told = [json.loads(html.unescape(each)) for each in re.findall(r'data-lines="([^"]*)"', page)]
    assert [each["unit"] for each in told] == ["share", "s", "s"]
    assert told[0]["columns"][1][-1] == 0.5
    assert len(told[0]["columns"][0]) == 30


def test_a_line_is_broken_where_nothing_is_known() -> None:
    assert lines.path([0, None, 5, 10], 10) == "M0.0 100.0h.1M20.0 50.0h.1L30.0 0.0"


def test_the_top_of_a_chart_is_a_round_figure_above_everything() -> None:
    line = Line("a", "passed", [3.0, 7.5])

    drawn = lines.chart([date(2026, 1, 1), date(2026, 1, 2)], [line], [1, 5, 10], "s", str)

    assert (drawn.top, drawn.edge, drawn.first) == (10, ("10", "5.0", "0"), "1 Jan")
