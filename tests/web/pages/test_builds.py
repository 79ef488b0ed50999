"""One build: how it ended, why it is not green, and everything it ran."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy.orm import Session
from starlette.testclient import TestClient
from tests.factories import a_build, a_node, a_project, give_to, steps_of
from tests.web.conftest import first_step

from changes.builds import queries, reasons
from changes.builds.models import Build, FailureReason, JobStep
from changes.builds.rules import Result, Status
from changes.results import testruns
from changes.results.formats import junit
from changes.web.pages import builds as pages
from changes.web.pages import states

HOSTILE = "<script>alert(1)</script>"
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


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
        "The agent builder-7 was not heard of for 180 seconds."
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


def test_every_attempt_is_shown(browser: TestClient, session: Session, build: Build) -> None:
    first = first_step(session, build)
    again = JobStep(
        job_id=first.job_id, phase_id=first.phase_id, project_id=first.project_id,
        label=first.label, attempt=2, timeout_s=60,
    )  # fmt: skip
    session.add(again)
    session.flush()
    first.replacement_id = again.id
    lost = FailureReason(
        build_id=build.id, step_id=first.id, reason=reasons.AGENT_RESTARTED, data={"node": "builder-7"}
    )
    session.add(lost)
    session.flush()

    page = browser.get("/projects/server/builds/1/").text

    assert "was made again: The agent builder-7 was started again" in page
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
    assert page.count("&lt;script&gt;alert(1)&lt;/script&gt;") >= 5


def test_more_steps_ask_no_more_questions(session: Session, questions: Callable[[str], int]) -> None:
    for slug, plans in (("small", 1), ("large", 5)):
        large = a_build(session, a_project(session, slug), plans=plans)
        fail_tests(session, large, *(f"test_{number}" for number in range(plans)))
        for step in steps_of(session, large):
            give_to(session, step, a_node(session))

    assert questions("/projects/large/builds/1/") == questions("/projects/small/builds/1/")


def test_the_first_page_links_to_the_build(browser: TestClient, build: Build) -> None:
    assert 'href="/projects/server/builds/1/"' in browser.get("/").text


def test_a_long_message_is_cut() -> None:
    assert pages.excerpt("short") == "short"
    assert pages.excerpt("line\n" * 100).count("line") == pages.MESSAGE_LINES
    assert pages.excerpt("line\n" * 100).endswith("…")


def test_what_waits_is_counted_from_when_it_was_asked_for() -> None:
    build = Build(status=Status.QUEUED, result=Result.UNKNOWN, date_created=NOON)

    assert pages.sentence(build, {}, NOON + timedelta(seconds=20)) == "Waiting for a machine since 20 s."


def test_what_runs_says_what_failed_already() -> None:
    build = Build(status=Status.IN_PROGRESS, result=Result.UNKNOWN, date_created=NOON, date_started=NOON)
    counts = {Result.FAILED: 1, Result.PASSED: 1}

    told = pages.sentence(build, counts, NOON + timedelta(minutes=2))

    assert told == "Running since 2 min; 1 of 2 tests failed."


def test_a_step_waits_and_then_runs() -> None:
    step = JobStep(
        status=Status.FINISHED, result=Result.PASSED, date_created=NOON,
        date_started=NOON + timedelta(seconds=4), date_finished=NOON + timedelta(seconds=9),
    )  # fmt: skip

    waited, ran = pages.spans(step, NOON, NOON)

    assert (waited.start_s, waited.end_s, waited.state) == (0, 4, states.WAITING)
    assert (ran.start_s, ran.end_s, ran.state) == (4, 9, states.PASSED)


def test_a_machine_whose_clock_is_behind_began_when_it_was_asked() -> None:
    step = JobStep(
        status=Status.IN_PROGRESS, result=Result.UNKNOWN, date_created=NOON,
        date_started=NOON - timedelta(hours=1),
    )  # fmt: skip

    waited, ran = pages.spans(step, NOON, NOON + timedelta(seconds=5))

    assert waited.end_s == ran.start_s == 0
    assert ran.end_s == 5
