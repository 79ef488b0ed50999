"""Parts of stored logs, wherever the chunks end."""

import pytest
from sqlalchemy.orm import Session
from tests.factories import a_build, steps_of
from tests.finished import print_to

from changes.builds.models import JobStep
from changes.results import logparts, logs

PRINTED = b"one\ntwo\nthree\nfour\n"


@pytest.fixture
def step(session: Session) -> JobStep:
    return steps_of(session, a_build(session))[0]


@pytest.mark.parametrize("chunk", [1, 3, 5, 100])
def test_a_window_has_exactly_its_bytes(session: Session, step: JobStep, chunk: int) -> None:
    print_to(session, step, PRINTED, chunk=chunk)
    source = logs.source_of_step(session, step.id, "console")

    assert logparts.window(session, source, 4, 13) == PRINTED[4:13]
    assert logparts.window(session, source, 100, 200) == b""


@pytest.mark.parametrize("chunk", [1, 4, 100])
def test_the_ends_of_several_consoles_come_together(session: Session, chunk: int) -> None:
    steps = steps_of(session, a_build(session, plans=2))
    for each in steps:
        print_to(session, each, PRINTED, chunk=chunk)
    print_to(session, steps[0], b"something else", "kernel")

    tails = logparts.console_tails(session, [each.id for each in steps], bytes_max=5)

    assert tails == {each.id: b"four\n" for each in steps}


def test_a_step_that_printed_nothing_has_no_end(session: Session, step: JobStep) -> None:
    assert logparts.console_tails(session, [step.id], bytes_max=5) == {}
