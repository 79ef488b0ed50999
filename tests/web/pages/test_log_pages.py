"""A log on a page of its own, and the parts that the script asks for."""

import json
import re
from collections.abc import Iterator
from datetime import timedelta

import pytest
from sqlalchemy.orm import Session
from starlette.testclient import TestClient
from tests.factories import a_build, a_project
from tests.finished import end_step, print_to
from tests.web.conftest import first_step

from changes.base import clock, ids, storage
from changes.base.storage import Storage
from changes.builds.models import JobStep
from changes.builds.rules import Result, Status
from changes.results import logs
from changes.results.models import Artifact, LogSource
from changes.web.pages import links

HOSTILE = "<script>alert(1)</script>"


@pytest.fixture
def step(session: Session) -> JobStep:
    build = a_build(session, a_project(session, "client"), commands=("make", "make test"))
    return first_step(session, build)


def printed(session: Session, step: JobStep, data: bytes, name: str = "console") -> str:
    print_to(session, step, data, name)
    return links.log(logs.source_of_step(session, step.id, name).id)


def rows_of(html: str) -> list[tuple[int, str]]:
    return [
        (int(number), text)
        for number, text in re.findall(r'<li id="L(\d+)".*?log-text">(.*?)</span></li>', html)
    ]


def test_a_log_has_a_page_of_its_own_with_the_way_back(
    browser: TestClient, session: Session, step: JobStep
) -> None:
    address = printed(session, step, b"one\ntwo\n")

    page = browser.get(address).text

    assert rows_of(page) == [(1, "one"), (2, "two")]
    assert f'href="/steps/{step.id.hex}/"' in page
    assert "2 lines, 8 bytes" in page


def test_the_streams_of_a_step_are_tabs(browser: TestClient, session: Session, step: JobStep) -> None:
    console, kernel = printed(session, step, b"one\n"), printed(session, step, b"two\n", "kernel messages")

    page = browser.get(kernel).text

    assert f'<a href="{console}">console</a>' in page
    assert f'<a href="{kernel}" aria-current="page">kernel messages</a>' in page
    assert f"/api/0/jobsteps/{step.id.hex}/logs/kernel%20messages/?raw=1" in page


@pytest.fixture
def blobs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Storage]:
    before = storage.storage.get()
    mine = Storage(f"file://{tmp_path_factory.mktemp('blobs')}")
    storage.storage.set(mine)
    yield mine
    storage.storage.set(before)


def test_a_file_that_a_step_left_behind_is_read_like_a_log(
    browser: TestClient, session: Session, step: JobStep, blobs: Storage
) -> None:
    blobs.put("some/key", b"first\n\x1b[31msecond\n")
    about = {"size_bytes": 18, "sha256": "", "key": "some/key"}
    artifact = Artifact(id=ids.new(), step_id=step.id, job_id=step.job_id, name="out/server.log", **about)
    session.add(artifact)
    session.flush()
    address = links.log_of_artifact(artifact.id)

    page = browser.get(address).text
    part = browser.get(f"{address}lines/?blocks=0").text

    assert rows_of(page) == rows_of(part) == [(1, "first"), (2, '<span class="ansi-1">second</span>')]
    assert f'href="/api/0/artifacts/{artifact.id.hex}/content/"' in page
    assert "out/server.log" in page


def test_a_log_that_was_cleaned_away_says_so(browser: TestClient, session: Session, step: JobStep) -> None:
    address = printed(session, step, b"one\n")
    session.query(LogSource).update({"date_removed": clock.now() - timedelta(days=3)})
    session.expire_all()

    page = browser.get(address).text

    assert "This log was cleaned away" in page
    assert "3 d ago" in page
    assert "<li id=" not in page


@pytest.mark.parametrize("part", ["", "lines/?blocks=0", "found/?q=x", "groups/", "text/?first=1&last=1"])
def test_a_log_that_is_not_there_is_not_found(browser: TestClient, part: str) -> None:
    assert browser.get(f"{links.log(ids.new())}{part}").status_code == 404


@pytest.mark.parametrize("part", ["", "lines/?blocks=0", "found/?q=x", "groups/", "text/?first=1&last=1"])
def test_a_stranger_reads_nothing(client: TestClient, session: Session, step: JobStep, part: str) -> None:
    address = printed(session, step, b"secret\n")

    answer = client.get(f"{address}{part}", headers={"Accept": "text/html"}, follow_redirects=False)

    assert (answer.status_code, "secret" in answer.text) == (303, False)


@pytest.mark.parametrize(
    "part",
    [
        "?line=0",
        "?line=word",
        "?times=tomorrow",
        "lines/?blocks=",
        "lines/?blocks=-1",
        "lines/?blocks=1,2,3,4,5,6,7,8,9",
        "lines/?blocks=9999999999999",
        "found/?q=x&after=-1",
        "text/?first=0&last=1",
        "text/?first=1&last=100000",
    ],
)
def test_what_cannot_be_is_refused(browser: TestClient, session: Session, step: JobStep, part: str) -> None:
    address = printed(session, step, b"one\n")

    assert browser.get(f"{address}{part}").status_code == 400


# --- lines ---------------------------------------------------------------------------------


def test_several_blocks_come_at_once_and_say_how_many_lines_there_are(
    browser: TestClient, session: Session, step: JobStep
) -> None:
    address = printed(session, step, b"x\n" * 1100)

    part = browser.get(f"{address}lines/?blocks=1,4,9").text

    assert '<div data-total="1100">' in part
    assert re.findall(r'data-block="(\d+)"', part) == ["1", "4", "9"]
    assert [number for number, _ in rows_of(part)] == [*range(251, 501), *range(1001, 1101)]


def test_lines_are_marked_with_what_is_looked_for(
    browser: TestClient, session: Session, step: JobStep
) -> None:
    address = printed(session, step, b"one two\n")

    marked = browser.get(f"{address}lines/?blocks=0&q=T.O&regex=1").text
    exact = browser.get(f"{address}lines/?blocks=0&q=T.O&regex=1&case=1").text

    assert rows_of(marked) == [(1, 'one <span class="log-match">two</span>')]
    assert rows_of(exact) == [(1, "one two")]


def test_hostile_lines_are_only_text_wherever_they_stand(
    browser: TestClient, session: Session, step: JobStep
) -> None:
    line = f"{HOSTILE}\x1b]8;;javascript:alert(1)\x1b\\link\x1b]8;;\x1b\\ \"' {HOSTILE}\n"
    address = printed(session, step, f"::group::{HOSTILE}\n{line}".encode(), HOSTILE[:20])

    for part in ("", "lines/?blocks=0", f"found/?q={HOSTILE}", f"?q={HOSTILE}"):
        page = browser.get(f"{address}{part}").text
        assert "<script>alert" not in page
        assert "javascript:" not in page
    assert json.loads(browser.get(f"{address}groups/").text)["groups"][0][3] == HOSTILE


# --- search --------------------------------------------------------------------------------


def test_hits_lead_to_their_lines(browser: TestClient, session: Session, step: JobStep) -> None:
    address = printed(session, step, b"one\ntwo\nthree\n")

    page = browser.get(f"/steps/{step.id.hex}/?q=t").text
    part = browser.get(f"{address}found/?q=t").text

    for each in (page, part):
        assert re.findall(r'href="\?line=(\d)#L\d" data-go="\d"', each) == ["2", "3"]
        assert "<b>2 lines</b>" in each


def test_a_search_that_did_not_reach_the_end_can_go_on(
    browser: TestClient, session: Session, step: JobStep
) -> None:
    printed(session, step, b"x\n" * 500)

    page = browser.get(f"/steps/{step.id.hex}/?q=x").text
    [more] = re.findall(r'href="(\?[^"]*)" data-do="search-on"', page)
    rest = browser.get(f"/steps/{step.id.hex}/{more.replace('&amp;', '&')}").text

    assert "up to line 200 of 500" in page
    assert "up to line 400 of 500" in rest


@pytest.mark.parametrize(("asked", "words"), [("q=nothing", "No line"), ("q=(&regex=1", "cannot be read")])
def test_what_is_not_found_is_told(
    browser: TestClient, session: Session, step: JobStep, asked: str, words: str
) -> None:
    address = printed(session, step, b"one\n")

    assert words in browser.get(f"{address}found/?{asked}").text
    assert words in browser.get(f"{address}?{asked}").text


# --- groups --------------------------------------------------------------------------------


def test_groups_of_the_whole_log_are_told_and_may_be_kept_when_it_has_ended(
    browser: TestClient, session: Session, step: JobStep
) -> None:
    address = printed(session, step, b"$ make\n::group::\x1b[32mA\x1b[0m\nx\n::endgroup::\n$ make test\ny\n")

    running = browser.get(f"{address}groups/?total=6")
    end_step(session, step, Result.PASSED)
    ended, other = (browser.get(f"{address}groups/?total={total}") for total in (6, 5))

    assert running.json()["groups"] == [
        [1, 4, 0, "$ make", False],
        [2, 4, 1, "A", True],
        [5, 6, 0, "$ make test", False],
    ]
    kept = [answer.headers["Cache-Control"] for answer in (running, ended, other)]
    assert kept == ["no-store", "private, max-age=86400", "no-store"]


@pytest.mark.parametrize(("result", "is_closed"), [(Result.FAILED, False), (Result.PASSED, True)])
def test_the_group_at_the_end_of_what_failed_is_open(
    browser: TestClient, session: Session, step: JobStep, result: Result, *, is_closed: bool
) -> None:
    group = b"::group::A\n" + b"x\n" * 20 + b"::endgroup::\n"
    address = printed(session, step, group + group + b"[exit code 1 after 0.1 s]\n")
    end_step(session, step, result)

    told = browser.get(f"{address}groups/").json()["groups"]

    assert [closed for *_, closed in told] == [True, is_closed]


# --- text ----------------------------------------------------------------------------------


def test_marked_lines_are_given_as_they_are_read(
    browser: TestClient, session: Session, step: JobStep
) -> None:
    address = printed(session, step, b"one\n\x1b[31mtwo\x1b[0m\n10 %\r100 %\n" + b"x" * 100_000 + b"\nfive\n")

    answer = browser.get(f"{address}text/?first=2&last=4")

    assert answer.text == f"two\n100 %\n{'x' * 100_000}\n"
    assert answer.headers["Content-Type"].startswith("text/plain")
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


# --- taste ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        (("", ""), set()),
        (("start.wrap", ""), {"timed", "wrapped"}),
        (("start.wrap", "?times=&wrap=0"), set()),
        (("", "?times=clock&wrap=1"), {"timed", "wrapped"}),
        (("nonsense<.x", ""), set()),
    ],
)
def test_a_log_is_drawn_as_its_reader_likes(
    browser: TestClient, session: Session, step: JobStep, told: tuple[str, str], expected: set[str]
) -> None:
    """By a cookie that the script keeps, or by the address."""
    cookie, asked = told
    address = printed(session, step, b"one\n")
    browser.cookies.set("changes_log", cookie)

    page = browser.get(f"{address}{asked}").text
    [classes] = re.findall(r'<figure class="log-block log-viewer([^"]*)"', page)

    assert {name for name in ("timed", "wrapped") if f"log-{name}" in classes} == expected


def test_a_step_that_waits_says_that_nothing_can_have_been_printed(
    browser: TestClient, step: JobStep
) -> None:
    assert "The step has not begun" in browser.get(f"/steps/{step.id.hex}/").text


def test_a_running_log_tells_the_script_where_it_goes_on(
    browser: TestClient, session: Session, step: JobStep
) -> None:
    step.status, step.date_started = Status.IN_PROGRESS, clock.now()
    printed(session, step, b"one\ntwo\nthr")

    end = browser.get(f"/steps/{step.id.hex}/").text
    beginning = browser.get(f"/steps/{step.id.hex}/?line=1").text

    for page in (end, beginning):
        assert 'data-offset="8" data-line="3"' in page
    assert 'data-live-log="' in end
    assert '<li id="L3" data-open>' in end


def test_a_page_that_has_its_log_is_not_sent_it_again(
    browser: TestClient, session: Session, step: JobStep
) -> None:
    printed(session, step, b"one\ntwo\n")

    page = browser.get(f"/steps/{step.id.hex}/?q=one", headers={"Changes-Has": "log"}).text

    assert 'data-total="2"' in page
    assert "<li id=" not in page
    assert "log-found" not in page
