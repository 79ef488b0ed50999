"""The attempts at one piece of work."""

from sqlalchemy.orm import Session
from tests.factories import a_build, steps_of
from tests.finished import lose

from changes.builds import attempts


def test_from_any_attempt_all_are_found_oldest_first(session: Session) -> None:
    step, _ = steps_of(session, a_build(session, plans=2))
    second = lose(session, step)
    chain = [step, second, lose(session, second)]

    found = [list(attempts.of_step(session, each)) for each in chain]

    assert found == [chain, chain, chain]


def test_a_step_that_was_never_lost_stands_alone(session: Session) -> None:
    step = steps_of(session, a_build(session))[0]

    assert list(attempts.of_step(session, step)) == [step]
