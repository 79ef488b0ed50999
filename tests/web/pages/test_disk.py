"""The page about disks, before anything is known and after."""

from datetime import date, timedelta

from sqlalchemy.orm import Session
from starlette.testclient import TestClient
from tests import factories

from changes.base import clock
from changes.base.room import Place
from changes.results import disk as watcher
from changes.results.keeping_models import OF_NOBODY, DiskUse
from changes.web.pages import disk

GB = 10**9
HERE = "/admin/disk/"


def test_before_anything_is_known_the_page_says_who_looks(browser: TestClient) -> None:
    assert "Nothing is known yet" in browser.get(HERE).text


def test_the_page_tells_kinds_projects_and_growth(browser: TestClient, session: Session) -> None:
    project = factories.a_project(session, "hello")
    today = clock.now().date()
    watcher.watch(session, [Place("/srv", 100 * GB, 50 * GB, 2 * GB)], quota_bytes=0)
    for ago, size in ((10, GB), (0, 2 * GB)):
        for project_id in (OF_NOBODY, project.id):
            day = today - timedelta(days=ago)
            about = {"kind": "artifacts", "items": 7, "date_measured": clock.now()}
            session.add(DiskUse(day=day, project_id=project_id, size_bytes=size, **about))
    session.flush()

    page = browser.get(HERE).text

    assert "100 MB" in page
    assert "500 days" in page
    assert 'href="/projects/hello/"' in page
    assert 'aria-label="Bytes stored on each day"' in page
    assert 'href="/api/0/disk/?table=days&amp;format=csv"' in page


def test_a_pause_is_told_with_what_to_do(browser: TestClient, session: Session) -> None:
    watcher.watch(session, [Place("/srv", 100 * GB, GB, 2 * GB)], quota_bytes=0)

    assert "No step is handed out: only 1.0 GB are free on the disk of /srv" in browser.get(HERE).text


def test_a_day_on_which_nobody_measured_is_a_gap() -> None:
    chart = disk.chart_of([(date(2026, 1, 1), 50_000), (date(2026, 1, 3), 100_000)])

    assert chart is not None
    assert [day.day for day in chart.days] == [1, 2, 3]
    assert chart.told()["columns"][1] == [50_000, None, 100_000]
    assert chart.edge == ("100 kB", "50 kB", "0 bytes")


def test_one_day_makes_no_line() -> None:
    assert disk.chart_of([(date(2026, 1, 1), 50)]) is None
