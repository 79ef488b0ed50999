"""Any CI tells of its builds by the API: all at once with curl, or bit by bit while they run."""

from collections.abc import Callable
from concurrent.futures import Future
from typing import Any
from uuid import UUID

import httpx
import pytest
from tests.factories import A_SHA, a_project, a_token, as_caller, steps_of
from tests.web.conftest import API, Agent, Live, answered, refused, wait_until

from changes.base import jobs
from changes.base.settings import Settings
from changes.base.task import Task, TaskState
from changes.builds import cancel, queries
from changes.builds.models import Build
from changes.people.rules import Scope
from changes.projects.rules import ProjectStatus

WHERE = f"{API}/builds/outside/"
GREEN = b'<testsuite><testcase classname="a" name="one"/><testcase classname="a" name="two"/></testsuite>'
RED = b'<testsuite><testcase classname="a" name="one"><failure>no</failure></testcase></testsuite>'
COVERAGE = b"<coverage/>"


@pytest.fixture
def project(live: Live) -> str:
    with live.database.transaction() as session:
        return a_project(session).slug


def report(live: Live, project: str, **fields: Any) -> httpx.Response:
    asked = {"project": project, "sha": A_SHA, **fields}
    return answered(live.http.post(WHERE, json=asked, headers=live.admin))


def reported(live: Live, project: str, **fields: Any) -> dict[str, Any]:
    answer = report(live, project, **fields)
    assert answer.status_code == 200, answer.text
    told: dict[str, Any] = answer.json()
    return told


def read_results(live: Live) -> None:
    """What a worker does."""
    with live.database.transaction() as session:
        waiting = session.query(Task).filter(Task.state == TaskState.WAITING).all()
    for task in waiting:
        jobs.run(task.id)


def shown(live: Live, build: dict[str, Any]) -> dict[str, Any]:
    told: dict[str, Any] = live.http.get(f"{API}/builds/{build['id']}/", headers=live.admin).json()
    return told


def log_of(live: Live, step_id: str, name: str = "console") -> bytes:
    where = f"{API}/jobsteps/{step_id}/logs/{name}/"
    return answered(live.http.get(where, params={"raw": 1, "offset": 0}, headers=live.admin)).content


# --- all at once -------------------------------------------------------------------------


def test_one_form_with_everything_makes_a_finished_build(live: Live, project: str) -> None:
    fields = {"project": project, "sha": A_SHA, "branch": "main", "url": "https://ci.example.com/7"}
    files = [
        ("log", ("out.txt", b"hello\n")),
        ("junit", ("a.xml", GREEN)),
        ("junit", ("b.xml", GREEN.replace(b"one", b"three"))),
        ("coverage", ("c.xml", COVERAGE)),
    ]

    made = live.http.post(WHERE, data=fields, files=files, headers=live.admin).json()
    read_results(live)

    build = shown(live, made)
    assert (build["status"]["id"], build["result"]["id"]) == ("finished", "passed")
    assert build["stats"]["test_count"] == 3
    assert log_of(live, made["step"]["id"]) == b"hello\n"
    found = live.get(f"/jobsteps/{made['step']['id']}/artifacts/").json()["artifacts"]
    assert [each["name"] for each in found] == ["2.junit.xml", "coverage.xml", "junit.xml"]


def test_test_reports_alone_decide_when_no_verdict_is_told(live: Live, project: str) -> None:
    made = reported(live, project, junit=RED.decode())
    read_results(live)

    build = shown(live, made)
    assert (build["result"]["id"], [why["id"] for why in build["failures"]]) == ("failed", ["test_failures"])


def test_a_verdict_alone_is_enough(live: Live, project: str) -> None:
    made = reported(live, project, result="failed", failure="Out of paper")

    assert (made["result"]["id"], made["status"]["id"]) == ("failed", "finished")
    assert shown(live, made)["failures"][0]["text"] == "Where it ran they say: Out of paper"


def test_the_same_report_again_is_the_same_build_and_doubles_nothing(live: Live, project: str) -> None:
    everything = {"external_id": "run 7", "junit": GREEN.decode(), "log": "hello\n"}

    first = reported(live, project, **everything)
    again = reported(live, project, **everything)
    read_results(live)
    third = reported(live, project, **everything)

    assert first["id"] == again["id"] == third["id"]
    assert shown(live, first)["stats"]["test_count"] == 2
    assert log_of(live, first["step"]["id"]) == b"hello\n"


def test_a_report_that_broke_off_goes_on_where_it_was(live: Live, project: str) -> None:
    begun = reported(live, project, external_id="run 7", log="hel")

    ended = reported(live, project, external_id="run 7", log="hello\n", result="passed")

    assert begun["status"]["id"] == "in_progress"
    assert (ended["id"], ended["result"]["id"]) == (begun["id"], "passed")
    assert log_of(live, ended["step"]["id"]) == b"hello\n"


def test_a_test_report_that_comes_after_the_end_is_refused_and_not_lost(live: Live, project: str) -> None:
    told = reported(live, project, external_id="run 7", junit=GREEN.decode())
    where = f"{WHERE}steps/{told['step']['id']}/artifacts/late.junit.xml"

    refused(answered(live.http.put(where, content=RED, headers=live.admin)), 410)
    again = report(live, project, external_id="run 7", junit=GREEN.decode())

    assert again.status_code == 200


def test_an_idempotency_key_that_is_no_name_is_refused_in_words(live: Live, project: str) -> None:
    headers = {**live.admin, "Idempotency-Key": "x" * 5000}
    asked = {"project": project, "sha": A_SHA, "result": "passed"}

    told = refused(answered(live.http.post(WHERE, json=asked, headers=headers)), 400)

    assert told["problems"] == ["external_id"]


def test_an_idempotency_key_serves_as_the_id(live: Live, project: str) -> None:
    headers = {**live.admin, "Idempotency-Key": "of this run"}
    asked = {"project": project, "sha": A_SHA, "result": "passed"}

    first = live.http.post(WHERE, json=asked, headers=headers).json()
    again = live.http.post(WHERE, json=asked, headers=headers).json()

    assert first["id"] == again["id"]
    assert first["outside"]["externalId"] == "of this run"


def test_parts_of_one_build_are_told_by_different_machines(live: Live, project: str) -> None:
    jobs_ = ["unit", "lint"]
    unit = reported(live, project, external_id="run 7", job="unit", jobs=jobs_, result="passed")
    lint = reported(live, project, external_id="run 7", job="lint", jobs=jobs_, result="passed")

    assert unit["status"]["id"] != "finished"
    assert (lint["id"], lint["status"]["id"]) == (unit["id"], "finished")
    assert [each["name"] for each in lint["jobs"]] == jobs_


# --- bit by bit --------------------------------------------------------------------------


def test_a_running_build_is_told_bit_by_bit(live: Live, project: str) -> None:
    step_id = reported(live, project)["step"]["id"]
    steps = f"{WHERE}steps/{step_id}"

    for offset, data in ((0, b"one\n"), (4, b"two\n"), (4, b"two\n")):
        sent = live.http.post(
            f"{steps}/logs/console/", params={"offset": offset}, content=data, headers=live.admin
        )
        assert sent.status_code == 200, sent.text
    live.http.put(f"{steps}/artifacts/out/junit.xml", content=GREEN, headers=live.admin)
    ended = live.http.post(f"{steps}/report/", json={"status": "finished"}, headers=live.admin)
    read_results(live)

    assert ended.status_code == 200, ended.text
    assert log_of(live, step_id) == b"one\ntwo\n"
    assert log_of(live, step_id).count(b"two") == 1
    after = live.http.get(f"{API}/jobsteps/{step_id}/", headers=live.admin).json()
    assert (after["status"]["id"], after["result"]["id"]) == ("finished", "passed")


def test_bytes_that_were_left_out_are_asked_for(live: Live, project: str) -> None:
    step_id = reported(live, project)["step"]["id"]

    answer = live.http.post(
        f"{WHERE}steps/{step_id}/logs/console/?offset=10", content=b"late", headers=live.admin
    )

    assert refused(answer, 409)
    assert answer.json()["offset"] == 0


def test_after_a_cancel_every_further_word_is_answered_with_gone(live: Live, project: str) -> None:
    made = reported(live, project)
    with live.database.transaction() as session:
        cancel.cancel_build(session, queries.build(session, UUID(made["id"])))
    steps = f"{WHERE}steps/{made['step']['id']}"

    alive = live.http.post(f"{steps}/report/", json={"status": "in_progress"}, headers=live.admin)
    log = live.http.post(f"{steps}/logs/console/?offset=0", content=b"x", headers=live.admin)
    ended = live.http.post(
        f"{steps}/report/", json={"status": "finished", "result": "passed"}, headers=live.admin
    )

    assert [alive.status_code, log.status_code, ended.status_code] == [410, 410, 410]
    assert shown(live, made)["result"]["id"] == "aborted"


def test_a_step_that_an_agent_runs_takes_no_word_from_elsewhere(live: Live, agent: Agent) -> None:
    build_id = live.build()
    with live.database.transaction() as session:
        step_id = steps_of(session, session.get_one(Build, build_id))[0].id.hex
    steps = f"{WHERE}steps/{step_id}"

    told = [
        live.http.post(
            f"{steps}/report/", json={"status": "finished", "result": "passed"}, headers=live.admin
        ),
        live.http.post(f"{steps}/logs/console/?offset=0", content=b"x", headers=live.admin),
        live.http.put(f"{steps}/artifacts/a.txt", content=b"x", headers=live.admin),
    ]

    assert [answer.status_code for answer in told] == [404, 404, 404]
    assert [offer["id"] for offer in agent.next()] == [step_id]


def test_an_agent_cannot_speak_for_a_build_that_runs_elsewhere(
    live: Live, agent: Agent, project: str
) -> None:
    step_id = reported(live, project)["step"]["id"]

    answer = agent.report(step_id, "finished", "failed")

    refused(answer, 404)
    assert agent.next() == []


def test_files_beyond_the_limit_are_refused(live: Live, project: str, settings: Settings) -> None:
    object.__setattr__(settings, "max_artifact_bytes", 10)
    step_id = reported(live, project)["step"]["id"]

    answer = live.http.put(f"{WHERE}steps/{step_id}/artifacts/a.bin", content=b"x" * 11, headers=live.admin)

    refused(answer, 413)


# --- what is refused ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"url": "javascript:alert(1)"}, "url"),
        ({"url": "data:text/html,x"}, "url"),
        ({"url": "https://user:secret@example.com/"}, "url"),
        ({"url": "https://example.com/ \n"}, "url"),
        ({"url": "https://"}, "url"),
        ({"job": "two\nlines"}, "job"),
        ({"job": "\u202ereversed"}, "job"),
        ({"jobs": ["fine", "  "]}, "jobs"),
        ({"external_id": "a\0b"}, "external_id"),
        ({"external_id": "x" * 256}, "external_id"),
        ({"sha": "main"}, "sha"),
        ({"result": "great"}, "result"),
        ({"author": "nobody"}, "author"),
        ({"commands": [{"name": "x", "return_code": 2**40}]}, "commands"),
        ({"date_started": "yesterday"}, "date_started"),
        ({"date_started": "0001-01-01T00:00:00+14:00"}, "date_started"),
    ],
)
def test_what_makes_no_sense_is_refused_by_name(
    live: Live, project: str, fields: dict[str, Any], problem: str
) -> None:
    told = refused(report(live, project, **fields), 400)

    assert any(problem in each for each in told["problems"]), told


def test_hostile_words_are_shown_as_words(live: Live, project: str) -> None:
    name = "<script>alert(1)</script>"
    made = reported(
        live,
        project,
        job=name,
        label=name,
        message=name,
        url='https://example.com/"onclick=x',
        result="passed",
    )

    page = live.http.get(f"/projects/{project}/builds/{made['number']}/", headers=live.admin)

    assert page.status_code == 200
    assert "<script>alert(1)" not in page.text
    assert 'com/"onclick' not in page.text
    assert "&lt;script&gt;alert(1)" in page.text


def test_a_project_that_is_not_there_or_not_active_is_said(live: Live, project: str) -> None:
    with live.database.transaction() as session:
        a_project(session, "asleep").status = ProjectStatus.INACTIVE

    for slug in ("nothing", "asleep"):
        assert "no active project" in refused(report(live, slug), 400)["error"]


def test_who_may_only_read_may_not_report(live: Live, project: str) -> None:
    with live.database.transaction() as session:
        reader = as_caller(a_token(session, Scope.READ))

    answer = live.http.post(WHERE, json={"project": project, "sha": A_SHA}, headers=reader)

    refused(answer, 403)


# --- how it is shown ---------------------------------------------------------------------


def test_the_build_says_where_it_ran(live: Live, project: str) -> None:
    made = reported(live, project, external_id="run 7", url="https://ci.example.com/7", result="passed")

    assert shown(live, made)["outside"]["url"] == "https://ci.example.com/7"
    page = live.http.get(f"/projects/{project}/builds/{made['number']}/", headers=live.admin).text
    assert 'href="https://ci.example.com/7"' in page


def test_a_build_of_our_own_ran_nowhere_else(live: Live) -> None:
    build_id = live.build()

    assert shown(live, {"id": build_id.hex})["outside"] is None


def test_who_looks_at_a_build_learns_of_its_end_at_once(
    live: Live, project: str, together: Callable[..., Future[Any]]
) -> None:
    begun = reported(live, project, external_id="run 7")
    waiting = together(live.get, f"/builds/{begun['id']}/", wait_s=15)
    wait_until(lambda: live.is_waited_for(f"build:{begun['id']}"))

    reported(live, project, external_id="run 7", result="passed")

    assert waiting.result().json()["status"]["id"] == "finished"
