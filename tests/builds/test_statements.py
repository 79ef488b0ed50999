"""What every build takes is said to the database in few words: each statement costs more than its rows."""

from collections.abc import Iterator

import pytest
from sqlalchemy import event
from sqlalchemy.orm import Session
from tests import factories
from tests.builds import agents, collecting

from changes.builds import ask, dispatch
from changes.builds.ask import Asked
from changes.builds.models import JobStep

# Rows of more than a few are written by a statement for each table.
FLUSHED_APART = 4


@pytest.fixture
def told(session: Session) -> Iterator[list[str]]:
    """The statements of this session."""
    heard: list[str] = []
    connection = session.connection()

    def hear(*given: object) -> None:
        heard.append(str(given[2]))

    event.listen(connection, "before_cursor_execute", hear)
    yield heard
    event.remove(connection, "before_cursor_execute", hear)


def test_a_build_of_a_known_commit_is_asked_for_in_few_words(session: Session, told: list[str]) -> None:
    project = factories.a_project(session)
    factories.a_plan(session, project, {"commands": ["true"]})
    factories.a_source(session, project)
    asked = Asked(sha=factories.A_SHA, project=project.slug)
    ask.build_what_was_asked(session, asked, timeout_min=60)
    session.flush()
    session.expire_all()
    told.clear()

    ask.build_what_was_asked(session, asked, timeout_min=60)

    assert len(told) <= 7, "\n".join(told)
    assert [text for text in told if "insert into job_step" in text] == [
        text for text in told if "insert into build" in text
    ]


def test_a_report_is_stored_in_few_words(session: Session, told: list[str]) -> None:
    step = agents.a_taken_step(session, factories.a_build(session))
    agents.begin(session, step)
    told.clear()

    agents.end(session, step)

    assert len(told) <= 5, "\n".join(told)


FAN, CHAIN = "first", "plan {before}"


def a_build_of_needing(session: Session, jobs: int, needs: str) -> JobStep:
    """So many jobs that wait for the first one, or each for the one before; the step of the first runs."""
    plans = [
        f"  - {{name: plan {number}, needs: [{needs.format(before=number - 1)}], commands: [x]}}"
        for number in range(1, jobs + 1)
    ]
    first = f"  - {{name: {needs.format(before=0)}, commands: [x]}}"
    config = "\n".join(["plans:", first, *plans])
    build = collecting.build_again(session, factories.a_project(session), config)
    (step,) = collecting.take(session, build)
    agents.begin(session, step)
    session.flush()
    session.expire_all()
    return step


@pytest.mark.parametrize("code", [0, 1], ids=["passes", "fails"])
@pytest.mark.parametrize("needs", [FAN, CHAIN], ids=["all need it", "each needs the one before"])
def test_the_end_of_a_job_takes_as_many_words_for_many_that_need_it_as_for_few(
    session: Session, told: list[str], needs: str, code: int
) -> None:
    taken = []
    for jobs in (3, 40):
        step = a_build_of_needing(session, jobs, needs)
        told.clear()
        agents.end(session, step, code=code)
        session.flush()
        taken.append(len(told))

    few, many = taken
    assert many <= few + FLUSHED_APART, "\n".join(told)


def test_the_values_of_a_hand_out_have_numbers_and_keep_their_order() -> None:
    numbered, names = dispatch.with_numbers("select %(node)s, %(count)s where id = %(node)s")

    assert numbered == b"select $1, $2 where id = $1"
    assert names == ("node", "count")
