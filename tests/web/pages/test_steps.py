"""One attempt at one step: commands, artifacts and the end of its log."""

from collections.abc import Callable

import pytest
from sqlalchemy.orm import Session
from starlette.testclient import TestClient
from tests.factories import a_build, a_project
from tests.web.conftest import first_step

from changes.base import ids
from changes.builds import queries, reasons
from changes.builds.models import FailureReason, JobStep
from changes.results.models import Artifact, LogChunk, LogSource
from changes.web.pages import steps as pages

HOSTILE = "<script>alert(1)</script>"


@pytest.fixture
def step(session: Session) -> JobStep:
    return first_step(session, a_build(session, a_project(session, "server"), commands=("make test",)))


def print_to(session: Session, step: JobStep, data: bytes, name: str = "console") -> None:
    source = LogSource(id=ids.new(), step_id=step.id, job_id=step.job_id, name=name, size_bytes=len(data))
    session.add(source)
    session.flush()
    session.add(LogChunk(source_id=source.id, offset=0, size_bytes=len(data), data=data))
    session.flush()


def leave(session: Session, step: JobStep, name: str) -> Artifact:
    artifact = Artifact(
        id=ids.new(), step_id=step.id, job_id=step.job_id, name=name, size_bytes=12, sha256="", key="key"
    )
    session.add(artifact)
    session.flush()
    return artifact


def test_a_step_shows_its_commands_and_its_way_back(browser: TestClient, step: JobStep) -> None:
    page = browser.get(f"/steps/{step.id.hex}/").text

    assert "make test" in page
    assert 'href="/projects/server/builds/1/"' in page


def test_the_log_is_on_the_page_with_a_link_to_all_of_it(
    browser: TestClient, session: Session, step: JobStep
) -> None:
    print_to(session, step, b"first\nsecond\n")

    page = browser.get(f"/steps/{step.id.hex}/").text

    assert '<li id="L2"' in page
    assert "second" in page
    assert f'href="/api/0/jobsteps/{step.id.hex}/logs/console/?raw=1"' in page


def test_a_step_without_a_log_says_so(browser: TestClient, step: JobStep) -> None:
    assert "Nothing was printed yet" in browser.get(f"/steps/{step.id.hex}/").text


def test_other_logs_are_linked(browser: TestClient, session: Session, step: JobStep) -> None:
    print_to(session, step, b"kernel\n", name="kernel messages")

    assert "/logs/kernel%20messages/?raw=1" in browser.get(f"/steps/{step.id.hex}/").text


def test_artifacts_can_be_downloaded(browser: TestClient, session: Session, step: JobStep) -> None:
    artifact = leave(session, step, "junit.xml")

    page = browser.get(f"/steps/{step.id.hex}/").text

    assert f'<a href="/api/0/artifacts/{artifact.id.hex}/content/">junit.xml</a>' in page


def test_it_says_why_the_step_is_not_green(browser: TestClient, session: Session, step: JobStep) -> None:
    build_id = queries.step(session, step.id).job.build_id
    session.add(
        FailureReason(build_id=build_id, step_id=step.id, reason=reasons.TIMEOUT, data={"limit_min": 5})
    )
    session.flush()

    assert "limit of 5 minutes" in browser.get(f"/steps/{step.id.hex}/").text


def test_a_hostile_file_and_a_hostile_line_are_only_text(
    browser: TestClient, session: Session, step: JobStep
) -> None:
    leave(session, step, f"a/{HOSTILE}")
    print_to(session, step, f"{HOSTILE}\n".encode())

    page = browser.get(f"/steps/{step.id.hex}/").text

    assert HOSTILE not in page
    assert page.count("&lt;script&gt;alert(1)&lt;/script&gt;") == 2


def test_a_step_that_does_not_exist_is_a_page_that_says_so(browser: TestClient) -> None:
    answer = browser.get(f"/steps/{ids.new().hex}/")

    assert answer.status_code == 404
    assert "There is nothing here" in answer.text


def test_more_artifacts_ask_no_more_questions(
    session: Session, step: JobStep, questions: Callable[[str], int]
) -> None:
    path = f"/steps/{step.id.hex}/"
    leave(session, step, "one")
    one = questions(path)
    leave(session, session.get_one(JobStep, step.id), "two")

    assert questions(path) == one


def test_only_the_last_lines_are_shown_with_their_own_numbers() -> None:
    end = pages.end_of(b"line\n" * 501, is_whole=True)

    assert (len(end.lines), end.first, end.is_cut) == (500, 2, True)


def test_what_begins_in_the_middle_of_a_line_begins_with_the_next() -> None:
    end = pages.end_of(b"\x9f half\nwhole\n", is_whole=False)

    assert end.lines == ["whole"]


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("\x1b[1;31mred\x1b[0m", "red"),
        ("\x1b]8;;http://bad.example\x07link\x1b]8;;\x07", "link"),
        ("10 %\r50 %\r100 %\r", "100 %"),
        ("bell\x07 and\ttab", "bell and\ttab"),
        ("x" * 3000, "x" * 2000 + "…"),
    ],
)
def test_a_line_is_shown_as_a_terminal_ends_up_with_it(raw: str, shown: str) -> None:
    assert pages.plain(raw) == shown
