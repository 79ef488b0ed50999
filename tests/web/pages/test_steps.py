"""One attempt at one step: commands, artifacts and the end of its log."""

import re
from collections.abc import Callable

import pytest
from sqlalchemy.orm import Session
from starlette.testclient import TestClient
from tests.factories import a_build, a_project
from tests.finished import lose, print_to
from tests.web.conftest import first_step

from changes.base import ids
from changes.builds import queries, reasons
from changes.builds.models import Build, FailureReason, JobStep
from changes.results.models import Artifact

HOSTILE = "<script>alert(1)</script>"


@pytest.fixture
def build(session: Session) -> Build:
    return a_build(session, a_project(session, "client"), commands=("make", "make test"))


@pytest.fixture
def step(session: Session) -> JobStep:
    return first_step(session, a_build(session, a_project(session, "server"), commands=("make test",)))


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


def test_phases_that_a_step_told_of_are_shown_with_it_and_with_its_build(
    browser: TestClient, session: Session, step: JobStep
) -> None:
    told = {"name": f"Link {HOSTILE}", "return_code": 2, "duration_ms": 2500}
    step.data = {**step.data, "phases": [{**told, "name": "Compile", "return_code": 0}, told]}
    session.flush()

    for address in (f"/steps/{step.id.hex}/", "/projects/server/builds/1/"):
        page = browser.get(address).text

        assert "Compile" in page
        assert "Link &lt;script&gt;" in page
        assert "exit 2" in page


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


def test_other_logs_are_tabs(browser: TestClient, session: Session, step: JobStep) -> None:
    print_to(session, step, b"kernel\n", name="kernel messages")

    print_to(session, step, b"hello\n")

    page = browser.get(f"/steps/{step.id.hex}/").text
    other = browser.get(f"/steps/{step.id.hex}/?stream=kernel%20messages").text

    assert '<a href="?stream=kernel%20messages#log">kernel messages</a>' in page
    assert "hello</span>" in page
    assert "kernel</span>" in other


def test_artifacts_can_be_downloaded(browser: TestClient, session: Session, step: JobStep) -> None:
    artifact = leave(session, step, "junit.xml")

    page = browser.get(f"/steps/{step.id.hex}/").text

    assert f'<a href="/artifacts/{artifact.id.hex}/">junit.xml</a>' in page


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


def test_a_long_log_is_read_in_parts_from_both_ends(
    browser: TestClient, session: Session, step: JobStep
) -> None:
    print_to(session, step, b"".join(b"line %04d\n" % number for number in range(1, 1301)))

    here = f"/steps/{step.id.hex}/"
    end = browser.get(here).text
    before = browser.get(here + to_part("prev", end)).text
    beginning = browser.get(f"{here}?line=1").text
    after = browser.get(here + to_part("next", beginning)).text

    assert [numbers(page) for page in (end, before, beginning, after)] == [
        (1001, 1300),
        (501, 1000),
        (1, 500),
        (501, 1000),
    ]
    assert "line 0501" in before


def to_part(which: str, page: str) -> str:
    return str(re.findall(f'href="([^"]*)#log" rel="{which}"', page)[0])


def numbers(page: str) -> tuple[int, int]:
    """Of the first and the last line on the page; each has the text of its own number."""
    found = re.findall(r'<li id="L(\d+)".*?line (\d+)</span>', page)
    assert all(int(number) == int(text) for number, text in found)
    return int(found[0][0]), int(found[-1][0])


@pytest.mark.parametrize("place", ["line=99999999", "line=2", "stream=no-such-log", "q=first&after=1"])
def test_any_place_in_a_log_can_be_asked_for(
    browser: TestClient, session: Session, step: JobStep, place: str
) -> None:
    print_to(session, step, b"first\nsecond\n")

    assert browser.get(f"/steps/{step.id.hex}/?{place}").status_code == 200


@pytest.mark.parametrize("place", ["line=0", "line=word", "line=9007199254740992", "after=-1"])
def test_a_place_that_cannot_be_is_refused(browser: TestClient, step: JobStep, place: str) -> None:
    assert browser.get(f"/steps/{step.id.hex}/?{place}").status_code == 400


def test_every_attempt_leads_to_the_others(browser: TestClient, session: Session, step: JobStep) -> None:
    again = lose(session, step)

    first, second = (browser.get(f"/steps/{each.id.hex}/").text for each in (step, again))

    assert f'<a href="/steps/{again.id.hex}/">attempt 2</a>' in first
    assert f'<a href="/steps/{step.id.hex}/">attempt 1</a>' in second


def test_a_failing_command_is_open_and_others_can_be_opened(
    browser: TestClient, session: Session, build: Build
) -> None:
    step = first_step(session, build)
    good, bad = queries.commands_of(session, [step.id])
    good.return_code, bad.return_code = 0, 3
    session.flush()

    page = browser.get(f"/steps/{step.id.hex}/").text

    assert re.findall(r"<details( open)?>.*?command-label\">(.*?)<", page, re.DOTALL) == [
        ("", "make"),
        (" open", "make test"),
    ]
    assert "exit 3" in page


def test_a_step_asks_few_questions(session: Session, step: JobStep, questions: Callable[[str], int]) -> None:
    print_to(session, step, b"line\n" * 3000, chunk=5000)
    leave(session, step, "one")
    lose(session, step)

    where = f"/steps/{step.id.hex}/"

    # Eight as any page, and of a log where its lines are and what they say.
    assert questions(where) <= 12
    assert questions(f"{where}?line=1") <= 12
