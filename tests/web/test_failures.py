"""Causes of failures, flaky tests and quarantine, by the API and on their pages."""

from typing import Any

import httpx
import pytest
from sqlalchemy.orm import Session
from starlette.testclient import TestClient
from tests import factories
from tests.builds import agents
from tests.web.conftest import API, answered, refused

from changes.base import clock
from changes.builds.models import Build
from changes.people import users
from changes.results import collect, testruns
from changes.results.formats import seen as formats
from changes.results.verdict_models import TestFlakiness as Flakiness
from changes.web import auth

HOSTILE = "<script>alert(1)</script> is broken"
TICKET = "https://bugs.example.com/T7"
A_ONE = formats.TestSeen("a.one", "a", "failed")
FIELDS = {"tests": ["a.one"], "owner": "zoe", "reason": "races"}


@pytest.fixture
def build(session: Session) -> Build:
    """With two failures that have one cause."""
    build = factories.a_build(session, factories.a_project(session, "hello"))
    seen = [formats.TestSeen(name, "a", "failed", message=HOSTILE) for name in ("a.one", "a.two")]
    step = agents.a_taken_step(session, build)
    testruns.store(session, step, seen)
    agents.end(session, step, code=1)
    return build


@pytest.fixture
def person(client: TestClient, session: Session) -> TestClient:
    """In a browser, and with every right."""
    cookie = users.open_session(session, factories.olga(session).id)
    client.cookies.set(auth.COOKIE, cookie)
    client.headers[auth.PROOF_HEADER] = auth.proof_for(cookie)
    return client


def listed(client: TestClient, where: str = "/projects/hello/failures/") -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = answered(client.get(f"{API}{where}")).json()
    return found


def page(client: TestClient, where: str) -> str:
    answer = answered(client.get(where))
    assert answer.status_code == 200, answer.text
    return answer.text


def a_flaky_test(session: Session, build: Build) -> None:
    (run, test, _), *_ = testruns.failures_of_build(session, build.id, limit=1)
    session.add(
        Flakiness(
            test_id=test.id,
            project_id=build.project_id,
            score=61,
            runs=20,
            sources=10,
            split_sources=2,
            passed_again=0,
            lone_failures=1,
            reruns=4,
            red_builds=2,
            lost_ms=90_000,
            last_run=run.id,
            date_modified=clock.now(),
        )
    )
    session.flush()


# --- by the API --------------------------------------------------------------------------


@pytest.mark.usefixtures("build")
@pytest.mark.parametrize("where", ["/failures/", "/projects/hello/failures/"])
def test_one_cause_is_one_row(reader: TestClient, where: str) -> None:
    (seen,) = listed(reader, where)

    assert (seen["headline"], seen["runs"], seen["builds"], seen["changes"]) == (HOSTILE, 2, 1, 1)
    assert seen["project"]["slug"] == "hello"


def test_one_cause_is_told_with_its_tests_and_builds(reader: TestClient, build: Build) -> None:
    (seen,) = listed(reader)

    told = answered(reader.get(f"{API}/projects/hello/failures/{seen['id']}/")).json()
    builds = answered(reader.get(f"{API}/projects/hello/failures/{seen['id']}/builds/")).json()

    assert sorted(test["name"] for test in told["tests"]) == ["a.one", "a.two"]
    assert told["message"] == HOSTILE
    assert [each["id"] for each in builds] == [build.id.hex]


@pytest.mark.usefixtures("build")
def test_a_verdict_is_kept_with_who_said_it(admin: TestClient) -> None:
    (seen,) = listed(admin)
    said = {"note": "The disk is full", "trackerUrl": TICKET, "verdict": "infra"}

    told = answered(admin.post(f"{API}/projects/hello/failures/{seen['id']}/", json=said)).json()

    assert {name: told[name] for name in said} == said
    assert told["notedBy"]
    assert listed(admin, "/projects/hello/failures/?only=unknown") == []


@pytest.mark.usefixtures("build")
def test_a_link_that_is_none_is_refused(admin: TestClient) -> None:
    (seen,) = listed(admin)

    answer = admin.post(f"{API}/projects/hello/failures/{seen['id']}/", json={"trackerUrl": "javascript:1"})

    assert refused(answered(answer), 400)["problems"] == ["tracker_url"]


@pytest.mark.usefixtures("build")
def test_only_who_may_change_the_project_says_what_it_is(writer: TestClient) -> None:
    (seen,) = listed(writer)

    said = writer.post(f"{API}/projects/hello/failures/{seen['id']}/", json={"note": "mine"})
    held = writer.post(f"{API}/projects/hello/quarantine/", json=FIELDS)

    assert [answered(said).status_code, answered(held).status_code] == [403, 403]


def test_flaky_tests_are_listed_with_evidence_and_bill(
    reader: TestClient, session: Session, build: Build
) -> None:
    a_flaky_test(session, build)

    told = answered(reader.get(f"{API}/projects/hello/flaky/")).json()

    assert told["bill"] == {"days": 30, "tests": 1, "reruns": 4, "redBuilds": 2, "lostMs": 90_000}
    (each,) = told["tests"]
    assert (each["test"]["name"], each["score"], each["quarantine"]) == ("a.one", 61, None)
    assert each["evidence"][0] == "both passed and failed on 2 revisions"


@pytest.mark.usefixtures("build")
@pytest.mark.parametrize(("test", "count"), [("a.one", 1), (A_ONE.sha1, 1), ("a.other", 0)])
def test_one_test_is_looked_up_in_quarantine_however_many_are_there(
    admin: TestClient, test: str, count: int
) -> None:
    answered(admin.post(f"{API}/projects/hello/quarantine/", json=FIELDS))

    found = answered(admin.get(f"{API}/projects/hello/quarantine/", params={"test": test})).json()

    assert len(found["live"]) == count


@pytest.mark.usefixtures("build")
def test_a_test_goes_into_quarantine_and_comes_out(admin: TestClient) -> None:
    (made,) = answered(admin.post(f"{API}/projects/hello/quarantine/", json=FIELDS)).json()
    live = answered(admin.get(f"{API}/projects/hello/quarantine/")).json()["live"]

    answered(admin.delete(f"{API}/projects/hello/quarantine/{made['id']}/"))

    assert [each["id"] for each in live] == [made["id"]]
    told = answered(admin.get(f"{API}/projects/hello/quarantine/")).json()
    assert (told["live"], told["ended"][0]["endedWhy"]) == ([], "lifted")
    assert told["ended"][0]["endedBy"]


@pytest.mark.usefixtures("build")
@pytest.mark.parametrize(
    ("fields", "status"), [({"tests": ["a.none"]}, 404), ({"owner": ""}, 400), ({"days": 1000}, 400)]
)
def test_a_quarantine_that_makes_no_sense_is_refused(
    admin: TestClient, fields: dict[str, object], status: int
) -> None:
    answer = answered(admin.post(f"{API}/projects/hello/quarantine/", json={**FIELDS, **fields}))

    assert answer.status_code == status


# --- on their pages ----------------------------------------------------------------------


@pytest.mark.usefixtures("build")
def test_what_a_failure_says_is_text_everywhere(person: TestClient) -> None:
    (seen,) = listed(person)

    for where in ("/failures/", "/projects/hello/failures/", f"/projects/hello/failures/{seen['id']}/"):
        assert "&lt;script&gt;alert(1)" in page(person, where)
        assert "<script>alert(1)" not in page(person, where)


def test_a_verdict_stands_beside_the_failures_of_a_build(person: TestClient, build: Build) -> None:
    (seen,) = listed(person)
    fields = {"note": "The disk is full", "tracker_url": TICKET, "verdict": "infra"}

    kept = answered(person.post(f"/projects/hello/failures/{seen['id']}/note/", data=fields))

    assert kept.status_code == 303
    shown = page(person, f"/projects/hello/builds/{build.number}/")
    assert "The disk is full" in shown
    assert f'href="{TICKET}"' in shown


@pytest.mark.usefixtures("build")
def test_a_wrong_link_is_told_beside_its_field(person: TestClient) -> None:
    (seen,) = listed(person)
    fields = {"note": "kept as typed", "tracker_url": "javascript:1"}

    answer = answered(person.post(f"/projects/hello/failures/{seen['id']}/note/", data=fields))

    assert answer.status_code == 400
    assert "kept as typed" in answer.text
    assert "The address of the tracker begins with https://" in answer.text


def quarantined(client: TestClient, **fields: str) -> httpx.Response:
    said = {"tests": "a.one\n", "owner": "zoe", "reason": "races", "days": "7", "passes": "5", **fields}
    return answered(client.post("/projects/hello/flaky/quarantine/", data=said))


def test_tests_are_put_into_quarantine_by_a_form(person: TestClient, session: Session, build: Build) -> None:
    a_flaky_test(session, build)

    assert quarantined(person).status_code == 303

    shown = page(person, "/projects/hello/flaky/")
    assert "in quarantine" in shown
    assert "zoe mends it" in shown


@pytest.mark.usefixtures("build")
@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"tests": "a.none"}, "has no test a.none"),
        ({"days": "soon"}, "A whole number."),
        ({"owner": " "}, "A quarantine needs an owner."),
    ],
)
def test_what_is_wrong_with_it_is_told(person: TestClient, fields: dict[str, str], words: str) -> None:
    answer = quarantined(person, **fields)

    assert (answer.status_code, words in answer.text) == (400, True)


def test_a_step_that_is_excused_says_why_it_passed(
    person: TestClient, session: Session, build: Build
) -> None:
    quarantined(person)
    again = factories.a_build(session, build.project, plans=0)
    step = agents.a_taken_step(session, again)
    failing = b'<testsuite><testcase classname="a" name="one"><failure>no</failure></testcase></testsuite>'
    agents.leave_behind(session, step, failing)
    agents.end(session, step, code=1)
    collect.collect_step(step.id)

    shown = page(person, f"/steps/{step.id.hex}/")

    assert "1 test in quarantine and nothing else: it counts as passed." in shown
    assert "1 failure in quarantine" in page(person, f"/projects/hello/builds/{again.number}/")


@pytest.mark.usefixtures("build")
def test_a_quarantine_is_lifted_by_a_form(person: TestClient) -> None:
    quarantined(person)
    (live,) = answered(person.get(f"{API}/projects/hello/quarantine/")).json()["live"]

    lifted = person.post("/projects/hello/flaky/quarantine/lift/", data={"id": live["id"]})

    assert answered(lifted).status_code == 303
    assert "No test is in quarantine." in page(person, "/projects/hello/flaky/")


def test_an_empty_project_says_so(person: TestClient, session: Session) -> None:
    factories.a_project(session, "empty")

    assert "Nothing failed" in page(person, "/projects/empty/failures/")
    assert "No test is known to be flaky" in page(person, "/projects/empty/flaky/")
