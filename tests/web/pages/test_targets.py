"""The targets of Bazel of a build, on its page and by the API."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy.orm import Session
from starlette.testclient import TestClient
from tests.factories import a_build, a_project
from tests.web.conftest import first_step

from changes.builds.bazel import ResultSource
from changes.builds.models import BazelTarget, Build, JobPhase
from changes.builds.rules import Result
from changes.web.pages.targets import message_in_a_line

HERE = "/projects/server/builds/1/targets/"
HOSTILE = "//a:<script>alert(1)</script>"


@pytest.fixture
def build(session: Session) -> Build:
    """One passed, one failed, one taken over from the build below, one left out."""
    build = a_build(session, a_project(session, "server"))
    step = first_step(session, build)
    ran = {"job_id": step.job_id, "step_id": step.id}
    session.add_all(
        [
            BazelTarget(**ran, name="//web:page_test", result=Result.PASSED, duration_ms=1500),
            BazelTarget(
                **ran, name=HOSTILE, result=Result.FAILED, duration_ms=20, message="Affected by\na.c"
            ),
            BazelTarget(
                job_id=step.job_id,
                name="//db:rows_test",
                result=Result.PASSED,
                source=ResultSource.FROM_PARENT,
                message="It is not affected; this is its result in build #0 of the commit below.",
            ),
            BazelTarget(
                job_id=step.job_id, name="//db:slow_test", result=Result.SKIPPED, message="Excluded."
            ),
        ]
    )
    collected = {"kind": "collect_bazel_targets", "names": 3, "messages": ["2 of 3 are <affected>."]}
    session.get_one(JobPhase, step.phase_id).data = {"collected": collected}
    session.flush()
    return build


def names(page: str) -> list[str]:
    return re.findall(r'class="main-link"[^>]*>(.*?)</', page.partition("<tbody>")[2])


def listed(client: TestClient, build: Build, question: str = "") -> list[dict[str, Any]]:
    answer = client.get(f"/api/0/builds/{build.id.hex}/targets/{question}")
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()
    return found


def test_what_failed_comes_first_and_what_was_not_run_says_why(browser: TestClient, build: Build) -> None:
    page = browser.get(HERE).text

    assert names(page)[0] == "//a:&lt;script&gt;alert(1)&lt;/script&gt;"
    assert "in build #0 of the commit below" in page
    assert "2 of 3 are &lt;affected&gt;." in page
    assert "2 are run by this build, 1 is not affected and taken over, 1 is left out." in page
    assert "<script>alert(1)" not in page


def test_of_many_files_behind_a_target_the_first_few_are_named() -> None:
    files = "\n".join(f"{letter}.c" for letter in "abcdef")

    assert message_in_a_line(f"By:\n{files}") == "By: a.c, b.c, c.c, d.c and 2 more"
    assert message_in_a_line("") == ""


def test_filters_stand_in_the_address(browser: TestClient, build: Build) -> None:
    assert names(browser.get(f"{HERE}?query=DB:").text) == ["//db:rows_test", "//db:slow_test"]
    assert names(browser.get(f"{HERE}?result=skipped").text) == ["//db:slow_test"]
    assert names(browser.get(f"{HERE}?sort=duration").text)[0] == "//web:page_test"
    assert "Show all targets" in browser.get(f"{HERE}?query=%25").text
    assert browser.get(f"{HERE}?result=purple").status_code == 400


def test_build_and_tests_lead_there(browser: TestClient, build: Build) -> None:
    assert f'<a href="{HERE}">4 targets of Bazel</a>' in browser.get("/projects/server/builds/1/tests/").text


def test_a_build_without_targets_says_what_makes_some(browser: TestClient, session: Session) -> None:
    a_build(session, a_project(session, "other"))

    assert "collect_bazel_targets" in browser.get("/projects/other/builds/1/targets/").text


def test_the_page_asks_no_more_than_six_questions(questions: Callable[[str], int], build: Build) -> None:
    assert questions(HERE) <= 6


def test_the_slowest_come_first_by_the_api(reader: TestClient, build: Build) -> None:
    found = listed(reader, build)

    assert [each["name"] for each in found[:2]] == ["//web:page_test", HOSTILE]
    assert (found[0]["status"]["id"], found[0]["resultSource"]["id"]) == ("finished", "from_self")
    assert [each["step"] is None for each in found] == [False, False, True, True]


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ("?sort=name&per_page=1", [HOSTILE]),
        ("?sort=name&reverse=1&per_page=1", ["//web:page_test"]),
        ("?result=failed", [HOSTILE]),
        ("?query=SLOW", ["//db:slow_test"]),
        ("?query=_", ["//web:page_test", "//db:rows_test", "//db:slow_test"]),
    ],
)
def test_the_api_narrows_and_sorts(
    reader: TestClient, build: Build, question: str, expected: list[str]
) -> None:
    assert [each["name"] for each in listed(reader, build, question)] == expected


@pytest.mark.parametrize("question", ["?result=purple", "?sort=beauty", "?page=0"])
def test_what_makes_no_sense_is_refused(reader: TestClient, build: Build, question: str) -> None:
    assert reader.get(f"/api/0/builds/{build.id.hex}/targets/{question}").status_code == 400


def test_the_message_of_a_target_is_known_by_the_build_it_is_in(
    reader: TestClient, session: Session, build: Build
) -> None:
    (failed,) = listed(reader, build, "?result=failed")
    other = a_build(session, a_project(session, "other"))

    said = reader.get(f"/api/0/builds/{build.id.hex}/targets/{failed['id']}/messages/").json()
    elsewhere = reader.get(f"/api/0/builds/{other.id.hex}/targets/{failed['id']}/messages/")

    assert [each["text"] for each in said] == ["Affected by\na.c"]
    assert elsewhere.status_code == 404


def test_what_the_collector_said_is_listed(reader: TestClient, build: Build) -> None:
    here = f"/api/0/builds/{build.id.hex}/messages/"

    said, beyond = reader.get(here).json(), reader.get(f"{here}?page=2").json()

    assert [(each["text"], each["build"]["id"]) for each in said] == [
        ("2 of 3 are <affected>.", build.id.hex)
    ]
    assert beyond == []


def test_targets_of_an_attempt_that_was_made_again_are_not_counted(
    reader: TestClient, session: Session, build: Build
) -> None:
    step = first_step(session, build)
    step.replacement_id = step.id
    session.flush()

    assert [each["name"] for each in listed(reader, build)] == ["//db:rows_test", "//db:slow_test"]
