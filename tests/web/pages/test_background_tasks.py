"""The page of background work."""

from collections.abc import Callable

from sqlalchemy.orm import Session
from starlette.testclient import TestClient
from tests.base.test_task_health import a_task
from tests.web.conftest import answered
from tests.web.pages.filling import fill_in

from changes.base.task import TaskState
from changes.people import users
from changes.web.auth import COOKIE


def test_when_nothing_is_to_be_done_the_page_says_so(browser: TestClient) -> None:
    assert "Nothing is to be done" in browser.get("/tasks/").text


def test_failing_and_given_up_tasks_are_shown_with_their_errors(
    browser: TestClient, session: Session
) -> None:
    a_task(session, error="Unreachable: <git.example>", attempts=3)
    a_task(session, TaskState.FAILED, error="OperationalError: gone", attempts=10)

    page = browser.get("/tasks/").text

    assert "Unreachable: &lt;git.example&gt;" in page
    assert "OperationalError: gone" in page
    assert "given up" in page


def test_one_name_is_looked_at_alone(browser: TestClient, session: Session) -> None:
    a_task(session, error="one error", name="one.task")
    a_task(session, error="other error", name="other.task")

    page = browser.get("/tasks/?name=one.task").text

    assert ("one error" in page, "other error" in page) == (True, False)


def test_one_that_was_given_up_is_tried_again_at_a_click(browser: TestClient, session: Session) -> None:
    task = a_task(session, TaskState.FAILED)

    answer = fill_in(browser, "/tasks/", f"/tasks/{task.id.hex}/again/")

    session.refresh(task)
    assert (answer.headers["Location"], task.state) == ("/tasks/", TaskState.WAITING)


def test_one_that_was_given_up_is_forgotten_after_a_question(browser: TestClient, session: Session) -> None:
    task = a_task(session, TaskState.FAILED, error="gone")
    where = f"/tasks/{task.id.hex}/forget/"

    asked = browser.get(where).text
    answer = fill_in(browser, where)

    assert "gone" in asked
    assert answer.status_code == 303
    assert browser.get(where).status_code == 404


def test_only_administrators_look_at_it(browser: TestClient, session: Session) -> None:
    ravi = users.create(session, "ravi@example.com")
    browser.cookies.set(COOKIE, users.open_session(session, ravi.id))

    assert answered(browser.get("/tasks/")).status_code == 403


def test_more_tasks_ask_no_more_questions(session: Session, questions: Callable[[str], int]) -> None:
    a_task(session, TaskState.FAILED)
    few = questions("/tasks/")
    for number in range(3):
        a_task(session, error="e", name=f"t{number}")
        a_task(session, TaskState.FAILED, name=f"t{number}")

    assert questions("/tasks/") == few <= 6
