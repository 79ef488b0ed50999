"""One build: how it ended, why it is not green, and everything it ran."""

import re
from collections.abc import Callable
from datetime import timedelta

import pytest
from sqlalchemy.orm import Session
from starlette.testclient import TestClient
from tests.factories import a_build, a_node, a_project, a_source, an_author, give_to, steps_of
from tests.finished import a_patch, an_ended_build, end_step, explain, lose, print_to
from tests.web.conftest import first_step

from changes.base import clock
from changes.builds import queries, reasons
from changes.builds.models import Build, FailureReason, JobStep
from changes.builds.rules import Cause, Result, Status
from changes.builds.second_look import STATE, Checked
from changes.results import testruns
from changes.results.formats import junit

HOSTILE = "<script>alert(1)</script>"
PAGE = "/projects/server/builds/1/"


@pytest.fixture
def build(session: Session) -> Build:
    return a_build(session, a_project(session, "server"), commands=("make test",))


def finish(session: Session, build: Build, result: Result) -> None:
    build.status, build.result = Status.FINISHED, result
    build.date_started, build.date_finished = build.date_created, build.date_created + timedelta(seconds=42)
    session.flush()


def fail_tests(session: Session, build: Build, *names: str, message: str = "") -> JobStep:
    step = first_step(session, build)
    tests = [junit.TestSeen(name, "", result="failed", duration_ms=7, message=message) for name in names]
    testruns.store(session, step, [*tests, junit.TestSeen("good", "", result="passed", duration_ms=1)])
    return step


def test_a_build_is_found_by_its_number_and_by_its_id(browser: TestClient, build: Build) -> None:
    by_number = browser.get("/projects/server/builds/1/")
    by_id = browser.get(f"/projects/server/builds/{build.id.hex}/")

    assert by_number.status_code == by_id.status_code == 200
    assert "server #1" in by_id.text


def test_the_link_of_the_api_leads_to_the_page(browser: TestClient, build: Build) -> None:
    link = browser.get("/api/0/builds/").json()[0]["link"]

    assert build.id.hex in link
    assert browser.get(link.removeprefix("http://changes.test")).status_code == 200


@pytest.mark.parametrize("reference", ["2", "nonsense", "9" * 32, "9" * 12])
def test_a_build_that_does_not_exist_is_a_page_that_says_so(
    browser: TestClient, build: Build, reference: str
) -> None:
    answer = browser.get(f"/projects/server/builds/{reference}/")

    assert answer.status_code == 404
    assert "There is nothing here" in answer.text


def test_a_build_of_another_project_is_not_found(browser: TestClient, session: Session, build: Build) -> None:
    a_project(session, "other")

    assert browser.get(f"/projects/other/builds/{build.id.hex}/").status_code == 404


def test_failures_that_are_looked_at_again_are_checked_and_not_red(
    browser: TestClient, session: Session, build: Build
) -> None:
    step = fail_tests(session, build, "a.breaks")
    step.status = build.status = Status.COLLECTING_RESULTS
    step.data = {**step.data, STATE: Checked(["a.breaks"]).kept()}
    session.flush()

    page = browser.get(PAGE).text

    assert "Checking: what failed newly is run again alone" in page
    assert page.count(">checking<") == 2
    assert "Running, failing" not in page


def test_the_tab_tells_the_verdict(browser: TestClient, session: Session, build: Build) -> None:
    finish(session, build, Result.FAILED)

    page = browser.get("/projects/server/builds/1/").text

    assert "<title>✗ server #1 · Changes</title>" in page
    assert "e5484d" in re.findall(r'<link rel="icon" href="([^"]*)"', page)[0]


def test_it_says_why_it_is_not_green(browser: TestClient, session: Session, build: Build) -> None:
    data = {"node": "builder-7", "silence_s": 180}
    session.add(FailureReason(build_id=build.id, reason=reasons.AGENT_LOST, data=data))
    finish(session, build, Result.INFRA_FAILED)

    assert (
        "The agent builder-7 was not heard of for 180 seconds"
        in browser.get("/projects/server/builds/1/").text
    )


def test_it_says_what_it_waits_for(browser: TestClient, build: Build) -> None:
    assert "start one with `changes agent`" in browser.get(f"/projects/server/builds/{build.number}/").text


def test_it_shows_failing_tests_with_what_they_said(
    browser: TestClient, session: Session, build: Build
) -> None:
    fail_tests(session, build, "tests.test_refund", message="assert 1 == 2")
    finish(session, build, Result.FAILED)

    page = browser.get("/projects/server/builds/1/").text

    assert "Failed after 42 s; 1 of 2 tests failed." in page
    assert page.index("tests.test_refund") < page.index("assert 1 == 2")


def test_it_shows_the_first_25_failing_tests(browser: TestClient, session: Session, build: Build) -> None:
    fail_tests(session, build, *(f"test_{number:02}" for number in range(26)))

    page = browser.get("/projects/server/builds/1/").text

    assert "the first 25 of 26" in page
    assert "test_24" in page
    assert "test_25" not in page


def test_it_shows_what_ran_where_and_how_it_ended(
    browser: TestClient, session: Session, build: Build
) -> None:
    step = give_to(session, first_step(session, build), a_node(session, "builder-7"))
    queries.commands_of(session, [step.id])[0].return_code = 3
    session.flush()

    page = browser.get("/projects/server/builds/1/").text

    assert f'href="/steps/{step.id.hex}/"' in page
    assert "builder-7" in page
    assert "exit 3" in page


def test_every_attempt_is_shown_and_a_lost_one_leads_to_the_next(
    browser: TestClient, session: Session, build: Build
) -> None:
    first = first_step(session, build)
    again = lose(session, first)
    explain(session, first, reasons.AGENT_RESTARTED, node="builder-7")

    page = browser.get(PAGE).text

    assert "was made again: The agent builder-7 was started again" in page
    assert f'<a href="/steps/{again.id.hex}/">Next attempt</a>' in page
    assert "attempt 2" in page


def test_a_build_without_jobs_says_so(browser: TestClient, session: Session) -> None:
    a_build(session, a_project(session, "empty"), plans=0)

    assert "Nothing ran" in browser.get("/projects/empty/builds/1/").text


def test_hostile_text_is_only_text(browser: TestClient, session: Session, build: Build) -> None:
    fail_tests(session, build, HOSTILE, message=HOSTILE)
    build.label = build.message = first_step(session, build).label = HOSTILE
    finish(session, build, Result.FAILED)

    page = browser.get("/projects/server/builds/1/").text

    assert HOSTILE not in page
    assert page.count("&lt;script&gt;alert(1)&lt;/script&gt;") >= 4


def test_more_steps_ask_no_more_questions(session: Session, questions: Callable[[str], int]) -> None:
    for slug, plans in (("small", 1), ("large", 5)):
        large = a_build(session, a_project(session, slug), plans=plans)
        fail_tests(session, large, *(f"test_{number}" for number in range(plans)))
        for step in steps_of(session, large):
            give_to(session, step, a_node(session))

    assert questions("/projects/large/builds/1/") == questions("/projects/small/builds/1/")


def test_the_first_page_links_to_the_build(browser: TestClient, build: Build) -> None:
    assert 'href="/projects/server/builds/1/"' in browser.get("/").text


def test_the_end_of_the_log_of_a_failing_step_is_there_in_colour(
    browser: TestClient, session: Session, build: Build
) -> None:
    step = first_step(session, build)
    print_to(session, step, b"gone\n" + b"dull\n" * 19 + b"\x1b[31mred <b>\x1b[0m\n")
    end_step(session, step, Result.FAILED)
    finish(session, build, Result.FAILED)

    page = browser.get(PAGE).text

    assert '<span class="ansi-1">red &lt;b&gt;</span>' in page
    assert "gone" not in page


def test_a_step_that_was_right_shows_no_log(browser: TestClient, session: Session, build: Build) -> None:
    step = first_step(session, build)
    print_to(session, step, b"all is well\n")
    end_step(session, step, Result.PASSED)

    assert "all is well" not in browser.get(PAGE).text


def test_it_says_since_when_it_is_red(browser: TestClient, session: Session, build: Build) -> None:
    finish(session, build, Result.PASSED)
    for _ in range(2):
        an_ended_build(session, build.project, Result.FAILED)

    second, third = (browser.get(f"/projects/server/builds/{number}/").text for number in (2, 3))

    assert "The first red build" in second
    assert re.search(r"Red since\s+<a[^>]*builds/2/", third)
    assert re.search(r"Last green\s+<a[^>]*builds/1/", third)


def test_it_leads_to_the_builds_before_and_after_it(
    browser: TestClient, session: Session, build: Build
) -> None:
    for _ in range(2):
        an_ended_build(session, build.project)

    page = browser.get("/projects/server/builds/2/").text

    assert re.search(r'builds/1/" rel="prev"', page)
    assert re.search(r'builds/3/" rel="next"', page)


def test_builds_that_were_asked_for_together_know_each_other(
    browser: TestClient, session: Session, build: Build
) -> None:
    sister = an_ended_build(session, a_project(session, "client"))
    sister.collection_id = build.collection_id
    session.flush()

    page = browser.get(PAGE).text

    assert page.index("Asked for together") < page.index("/projects/client/builds/1/")


def test_a_build_shows_what_became_of_all_that_was_asked_for_with_it(
    browser: TestClient, session: Session, build: Build
) -> None:
    sister = an_ended_build(session, a_project(session, "client"), result=Result.FAILED)
    sister.collection_id = build.collection_id
    session.flush()

    page = browser.get(PAGE).text

    together = page[page.index("Asked for together") : page.index("/projects/client/builds/1/")]
    assert "Running, failing" in together


def test_a_running_build_counts_on_by_itself_in_its_head(
    browser: TestClient, session: Session, build: Build
) -> None:
    build.status, build.date_started = Status.IN_PROGRESS, clock.now()
    session.flush()

    head = browser.get("/projects/server/builds/1/").text.partition('id="build"')[0]

    assert re.search(r'Running since <time class="duration"[^>]* data-since="', head)


def test_a_running_build_says_how_long_it_will_take(
    browser: TestClient, session: Session, build: Build
) -> None:
    build.status, build.date_started = Status.IN_PROGRESS, build.date_created
    build.project.avg_build_time_ms = 3_600_000
    session.flush()

    assert re.search(r"about 59 min \d+ s left|about 1 h left", browser.get(PAGE).text)


@pytest.mark.parametrize(
    ("cause", "told"),
    [
        (Cause.PUSH, "Pushed to the repository"),
        (Cause.RETRY, "Retry of #1"),
        (Cause.MANUAL, "Asked for by hand"),
        (Cause.UNKNOWN, "Asked for through the API"),
    ],
)
def test_it_says_who_or_what_asked_for_it(
    browser: TestClient, session: Session, build: Build, cause: Cause, told: str
) -> None:
    an_ended_build(session, build.project, source=build.source).cause = cause
    session.flush()

    assert told in browser.get("/projects/server/builds/2/").text


def test_whoever_asked_by_hand_is_named(browser: TestClient, session: Session, build: Build) -> None:
    build.cause, build.author = Cause.MANUAL, an_author(session)
    session.flush()

    assert f"Asked for by {build.author.name} by hand" in browser.get(PAGE).text


def test_many_steps_come_in_pages_with_the_worst_first(
    browser: TestClient, session: Session, build: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    large = a_build(session, a_project(session, "large"), plans=3)
    end_step(session, steps_of(session, large)[2], Result.FAILED)
    monkeypatch.setattr("changes.web.pages.builds.STEPS_SHOWN", 1)

    first, last = (browser.get(f"/projects/large/builds/1/?steps={number}").text for number in (1, 3))

    assert steps_of(session, large)[2].id.hex in first
    assert "3 steps in all" in first
    assert 'href="?steps=2"' in first
    assert 'href="?steps=4"' not in last


def test_a_red_build_asks_no_more_than_eleven_questions(
    session: Session, build: Build, questions: Callable[[str], int]
) -> None:
    step = fail_tests(session, build, "test_refund")
    print_to(session, step, b"boom\n")
    end_step(session, step, Result.FAILED)
    finish(session, build, Result.FAILED)

    assert questions(PAGE) <= 11


def test_a_patch_is_shown_with_its_signs(browser: TestClient, session: Session) -> None:
    project = a_project(session, "server")
    an_ended_build(session, project, source=a_patch(session, project))

    page = browser.get(f"{PAGE}patch/").text

    assert re.search(r'class="diff-added">.*?new</td>', page)
    assert f'href="{PAGE}patch/"' in browser.get(PAGE).text


def test_a_long_patch_is_shown_part_by_part(browser: TestClient, session: Session) -> None:
    project = a_project(session, "server")
    lines = b"".join(b"+line\n" for _ in range(1600))
    diff = b"--- a/x\n+++ b/x\n@@ -0,0 +1,1600 @@\n" + lines
    an_ended_build(session, project, source=a_source(session, project, patch=diff))

    first, last = (browser.get(f"{PAGE}patch/{part}").text for part in ("", "?part=2"))

    assert [page.count('class="diff-added"') for page in (first, last)] == [1499, 101]
    assert 'href="?part=2"' in first
    assert "+1600" in first


def test_a_build_of_a_commit_has_no_patch(browser: TestClient, build: Build) -> None:
    assert browser.get(f"{PAGE}patch/").status_code == 404
