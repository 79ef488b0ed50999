"""What went wrong and the cards of a build, by the API and on the pages."""

import re
from typing import Any

import pytest
from sqlalchemy.orm import Session
from starlette.testclient import TestClient
from tests import factories
from tests.builds import agents
from tests.results import log_texts
from tests.web.conftest import API, answered, refused

from changes.builds.models import Build, JobStep
from changes.builds.rules import Result, Status
from changes.people import users
from changes.projects import changes
from changes.projects.changes import NewChange
from changes.results import cards, log_error_queries, log_errors, log_scan, logs
from changes.results.cards import CardSaid
from changes.web import auth, log_error_shapes

BROKEN = b"make all\nsrc/a.c:3:5: error: <b>no such</b> thing\nmake: *** [Makefile:3: a.o] Error 1\n"
HOSTILE = "<script>alert(1)</script> [x](javascript:alert(1)) ![y](https://evil.example/y.png)"


@pytest.fixture
def step(session: Session) -> JobStep:
    """Of a build that failed, looked through."""
    return a_failed_step(session, factories.a_build(session, factories.a_project(session, "hello")))


def a_failed_step(session: Session, build: Build, log: bytes = BROKEN) -> JobStep:
    step = agents.a_taken_step(session, build)
    log_texts.add(session, log_texts.an_empty_log(session, step), log, log_texts.PLAIN)
    for whole in (step, step.job, build):
        whole.status, whole.result = Status.FINISHED, Result.FAILED
    session.flush()
    look(session, step)
    return step


def look(session: Session, step: JobStep) -> None:
    sources = logs.sources_of_steps(session, [step.id])[step.id]
    looked = [log_errors.look(session, each, log_scan.engine()) for each in sources]
    log_errors.store(session, step.job.build, looked)


@pytest.fixture
def person(client: TestClient, session: Session) -> TestClient:
    """In a browser, and with every right."""
    cookie = users.open_session(session, factories.olga(session).id)
    client.cookies.set(auth.COOKIE, cookie)
    client.headers[auth.PROOF_HEADER] = auth.proof_for(cookie)
    return client


def listed(client: TestClient, where: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = answered(client.get(f"{API}{where}")).json()
    return found


def page(client: TestClient, where: str) -> str:
    answer = answered(client.get(where))
    assert answer.status_code == 200, answer.text
    return answer.text


def build_page(step: JobStep) -> str:
    return f"/projects/hello/builds/{step.job.build.number}/"


def the_error(client: TestClient) -> str:
    return str(listed(client, "/projects/hello/log_errors/")[0]["id"])


# --- lines -----------------------------------------------------------------------------------


def test_a_build_a_job_and_a_step_tell_their_lines(reader: TestClient, step: JobStep) -> None:
    places = (f"/builds/{step.job.build_id.hex}", f"/jobs/{step.job_id.hex}", f"/jobsteps/{step.id.hex}")

    found = [listed(reader, f"{place}/errors/") for place in places]

    assert found[0] == found[1] == found[2]
    first, second = found[0]
    assert (first["line"], first["isNew"], first["error"]["pattern"]) == (2, True, "compiler")
    assert first["text"] == "src/a.c:3:5: error: <b>no such</b> thing"
    assert second["error"]["pattern"] == "make"


def test_a_project_lists_its_lines_without_those_that_only_follow(
    reader: TestClient, session: Session, step: JobStep
) -> None:
    a_failed_step(session, factories.a_build(session, step.job.build.project))

    [known] = listed(reader, "/projects/hello/log_errors/")

    assert (known["builds"], known["buildsWithin"], known["linesWithin"]) == (2, 2, 2)
    assert len(listed(reader, "/projects/hello/log_errors/?weak=1")) == 2
    assert listed(reader, "/projects/hello/log_errors/?query=nothing") == []
    assert len(listed(reader, f"/projects/hello/log_errors/{known['id']}/builds/")) == 2


@pytest.mark.usefixtures("step")
def test_a_note_is_told_wherever_the_line_is_seen(
    admin: TestClient, person: TestClient, step: JobStep
) -> None:
    said = {"note": "the header is gone", "trackerUrl": "https://bugs.example.com/T7"}

    answered(admin.post(f"{API}/projects/hello/log_errors/{the_error(admin)}/", json=said))

    assert "the header is gone" in page(person, build_page(step))


@pytest.mark.usefixtures("step")
def test_an_address_that_a_browser_would_run_is_refused(admin: TestClient) -> None:
    wrong = {"trackerUrl": "javascript:alert(1)"}

    refused(admin.post(f"{API}/projects/hello/log_errors/{the_error(admin)}/", json=wrong), 400)


def test_a_line_of_another_project_is_not_found(reader: TestClient, session: Session, step: JobStep) -> None:
    factories.a_project(session, "other")

    found = reader.get(f"{API}/projects/other/log_errors/{the_error(reader)}/")

    assert found.status_code == 404


def test_the_page_of_a_build_shows_the_line_with_those_around_it(person: TestClient, step: JobStep) -> None:
    shown = page(person, build_page(step))

    assert "What went wrong" in shown
    assert "&lt;b&gt;no such&lt;/b&gt;" in shown
    assert "make all" in shown
    assert re.search(r'href="/logs/[0-9a-f]{32}/\?line=2#L2"', shown)
    assert ">new</span>" in shown


def test_the_page_of_a_step_leads_to_the_lines_that_say_most(person: TestClient, step: JobStep) -> None:
    shown = page(person, f"/steps/{step.id.hex}/")

    assert "What went wrong" in shown
    assert '<a href="?line=2#L2">line 2</a>' in shown
    assert "<code>src/a.c:3:5: error: &lt;b&gt;no such&lt;/b&gt; thing</code>" in shown


def test_a_line_of_another_stream_is_looked_for_there(
    person: TestClient, session: Session, step: JobStep
) -> None:
    broken = log_texts.an_empty_log(session, step, "made up & odd")
    log_texts.add(session, broken, b"panic: no\n", log_texts.PLAIN)
    look(session, step)

    assert '<a href="?stream=made+up+%26+odd&amp;line=1#L1">' in page(person, f"/steps/{step.id.hex}/")


def test_a_step_that_was_stopped_tells_what_it_had_said(person: TestClient, step: JobStep) -> None:
    for whole in (step, step.job, step.job.build):
        whole.result = Result.ABORTED

    assert "What went wrong" in page(person, f"/steps/{step.id.hex}/")
    assert "no such&lt;/b&gt; thing" in page(person, build_page(step))


def test_a_build_tells_the_line_that_says_most_with_those_around(session: Session, step: JobStep) -> None:
    [told] = map(log_error_shapes.seen, log_error_queries.of_build(session, step.job.build))

    assert (told["line"], told["isNew"]) == (2, True)
    assert told["around"]["firstLine"] == 1
    assert told["around"]["lines"][0] == "make all"


def test_what_was_seen_before_says_so(person: TestClient, session: Session, step: JobStep) -> None:
    again = a_failed_step(session, factories.a_build(session, step.job.build.project))

    assert "seen in 1 other build<" in page(person, build_page(again))


def test_a_build_that_passed_says_nothing_of_lines(
    person: TestClient, session: Session, step: JobStep
) -> None:
    step.job.build.result = Result.PASSED
    session.flush()

    assert "What went wrong" not in page(person, build_page(step))


@pytest.mark.usefixtures("step")
def test_the_pages_of_lines_are_found_and_take_a_note(person: TestClient) -> None:
    shown = page(person, "/projects/hello/log-errors/")
    where = re.search(r'href="(/projects/hello/log-errors/[0-9a-f]{32}/)"', shown)
    assert where is not None

    person.post(f"{where[1]}note/", data={"note": "known since May"})

    assert "known since May" in page(person, where[1])
    assert "No line is like that" in page(person, "/projects/hello/log-errors/?query=nothing")


# --- cards -----------------------------------------------------------------------------------


def test_a_key_posts_a_card_and_takes_it_back(admin: TestClient, step: JobStep) -> None:
    where = f"{API}/jobsteps/{step.id.hex}/cards/"
    said = {"key": "size", "text": "# 12 MB", "style": "warning", "title": "Size"}

    posted = answered(admin.post(where, json=said))

    assert posted.status_code == 201
    [card] = listed(admin, f"/builds/{step.job.build_id.hex}/cards/")
    assert (card["key"], card["style"], card["text"]) == ("size", "warning", "# 12 MB")
    assert listed(admin, f"/jobsteps/{step.id.hex}/cards/") == [card]
    assert admin.post(where, json={"key": "size"}).status_code == 204
    assert listed(admin, f"/builds/{step.job.build_id.hex}/cards/") == []


def test_hostile_markdown_is_text_on_the_pages(person: TestClient, session: Session, step: JobStep) -> None:
    cards.post(session, step, CardSaid("a", HOSTILE, title="<i>T</i>"))

    shown = page(person, build_page(step))

    assert "&lt;script&gt;alert(1)" in shown
    assert "<script>alert" not in shown
    assert 'href="javascript' not in shown
    assert "evil.example" not in shown
    assert "&lt;i&gt;T&lt;/i&gt;" in shown


def test_a_picture_of_the_step_is_shown(person: TestClient, session: Session, step: JobStep) -> None:
    artifact = agents.leave_behind(session, step, b"png", "shots/a.png")
    cards.post(session, step, CardSaid("a", "![before](shots/a.png)"))

    shown = page(person, build_page(step))

    assert f'<img src="/artifacts/{artifact.id.hex}/raw/" alt="before"' in shown


def test_a_long_card_has_a_page_of_its_own(person: TestClient, session: Session, step: JobStep) -> None:
    cards.post(session, step, CardSaid("long", "word " * 15_000, title="All of it"))

    shown = page(person, build_page(step))

    assert "a long card of" in shown
    assert page(person, f"{build_page(step)}cards/long/").count("word") == 15_000
    assert person.get(f"{build_page(step)}cards/none/").status_code == 404


def test_the_page_of_a_change_tells_of_its_newest_build(
    person: TestClient, session: Session, step: JobStep
) -> None:
    cards.post(session, step, CardSaid("a", "of the **card**"))
    project = step.job.build.project
    change = changes.create(session, project.repository, NewChange(title="Mend it", key="D12"))
    changes.add_version(session, change, step.job.build.source)

    shown = page(person, f"/changes/{change.id.hex}/")

    assert "<strong>card</strong>" in shown
    assert "What went wrong" in shown
