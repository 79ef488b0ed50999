"""How many questions the database is asked must not grow with what is asked about."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy import event
from sqlalchemy.orm import Session
from tests.builds import agents, collecting, queues
from tests.factories import a_build, a_node, a_plan, a_project, a_source, give_to, steps_of

from changes.base import ids
from changes.base.paging import Page
from changes.builds import again, queries, report, waiting
from changes.builds.create import NewBuild, create_build
from changes.builds.models import Build
from changes.protocol import StepReport


@contextmanager
def counted(session: Session) -> Iterator[Callable[[], int]]:
    count = 0

    def note(*_: object) -> None:
        nonlocal count
        count += 1

    connection = session.connection()
    event.listen(connection, "before_cursor_execute", note)
    yield lambda: count
    event.remove(connection, "before_cursor_execute", note)


def questions_to_create(session: Session, *, steps: int, commands: int) -> int:
    project = a_project(session)
    a_plan(session, project, *[{"commands": ["true"] * commands}] * steps)
    source = a_source(session, project)
    asked = NewBuild(source, ids.new(), label="A build", target="", message="", author=None)
    session.flush()
    with counted(session) as count:
        create_build(session, project, asked)
        session.flush()
        return count()


def test_a_build_with_many_steps_and_commands_is_made_by_as_few_questions_as_a_small_one(
    session: Session,
) -> None:
    small = questions_to_create(session, steps=2, commands=1)
    large = questions_to_create(session, steps=6, commands=8)

    assert large == small


def questions_to_finish(session: Session, build: Build) -> int:
    step = give_to(session, steps_of(session, build)[0], node := a_node(session))
    told = StepReport(status="finished", result="failed")
    with counted(session) as count:
        assert report.accept(session, node.id, step.id, told, replace_limit=0)
        session.flush()
        return count()


def test_a_report_of_a_step_with_many_commands_asks_no_more_than_one_with_few(session: Session) -> None:
    small = questions_to_finish(session, a_build(session, commands=["true"]))
    large = questions_to_finish(session, a_build(session, commands=["true"] * 12))

    assert large == small


@pytest.mark.parametrize("builds", [1, 5])
def test_a_list_of_builds_is_one_question(session: Session, builds: int) -> None:
    project = a_project(session)
    for _ in range(builds):
        a_build(session, project)
    session.expunge_all()

    with counted(session) as count:
        found = queries.builds(session, Page(1, 25)).rows

        assert [build.project.slug for build in found] == [project.slug] * builds
        assert count() == 1


def test_why_a_step_waits_is_explained_by_as_few_questions_whatever_else_waits(session: Session) -> None:
    (step,) = steps_of(session, queues.ask_for(session, queues.a_project(session, "p")))
    queues.a_node(session)

    def ask() -> int:
        with counted(session) as count:
            waiting.explain(session, step, silence_s=60)
            return count()

    few = ask()
    for number in range(5):
        queues.a_queue(session, f"p{number}", 5)

    assert ask() <= few


def questions_to_repeat(session: Session, repeat: Callable[[Session, Build], Build], *, jobs: int) -> int:
    build = a_build(session, plans=jobs)
    for step in steps_of(session, build):
        agents.end(session, give_to(session, step, a_node(session)), code=1)
    session.flush()
    with counted(session) as count:
        repeat(session, build)
        session.flush()
        return count()


@pytest.mark.parametrize("repeat", [again.restart, again.repeat_failed], ids=["restart", "failed"])
def test_a_build_of_many_jobs_is_done_again_by_as_few_questions_as_one_of_few(
    session: Session, repeat: Callable[[Session, Build], Build]
) -> None:
    few = questions_to_repeat(session, repeat, jobs=3)
    many = questions_to_repeat(session, repeat, jobs=12)

    assert many == few


def questions_to_release(session: Session, *, waiting: int) -> int:
    plans = [{"name": f"test {number}", "needs": ["make"], "commands": ["true"]} for number in range(waiting)]
    text = json.dumps({"plans": [{"name": "make", "commands": ["make"]}, *plans]})
    build = collecting.build_again(session, a_project(session), text)
    step = give_to(session, steps_of(session, build)[0], a_node(session))
    told = agents.ended(session, step)
    with counted(session) as count:
        assert agents.tell(session, step, told)
        session.flush()
        return count()


def test_a_job_that_many_wait_for_releases_them_by_as_few_questions_as_two(session: Session) -> None:
    two = questions_to_release(session, waiting=2)
    many = questions_to_release(session, waiting=9)

    assert many == two
