from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from sqlalchemy import update
from sqlalchemy.orm import Session

from changes.base import clock, db
from changes.base.errors import TooOften
from changes.people import limits
from changes.people.limits import Limit
from changes.people.models import Tries

THREE = Limit("test of", 3, timedelta(minutes=15))


def use_up(session: Session, whose: str = "olga") -> None:
    for _ in range(THREE.tries):
        limits.count_try(session, THREE, whose)


def age(session: Session, by: timedelta) -> None:
    session.execute(update(Tries).values(date_window_began=clock.now() - by))


def test_one_try_too_many_is_refused_with_how_long_to_wait(session: Session) -> None:
    use_up(session)

    with pytest.raises(TooOften) as refused:
        limits.count_try(session, THREE, "olga")

    assert "15 minutes" in refused.value.message
    assert 890 <= refused.value.retry_after_s <= 900


def test_everybody_is_counted_apart(session: Session) -> None:
    use_up(session)

    limits.count_try(session, THREE, "ravi")
    limits.count_try(session, Limit("other test of", 3, THREE.window), "olga")


def test_a_new_window_begins_when_the_old_one_is_over(session: Session) -> None:
    use_up(session)
    age(session, THREE.window + timedelta(seconds=1))

    use_up(session)


def test_success_forgets_the_tries_before(session: Session) -> None:
    use_up(session)

    limits.forget(session, THREE, "olga")

    use_up(session)


def test_the_last_minute_is_called_one(session: Session) -> None:
    use_up(session)
    age(session, THREE.window - timedelta(seconds=20))

    with pytest.raises(TooOften, match="wait a minute"):
        limits.count_try(session, THREE, "olga")


def test_tries_of_many_processes_count_together(database: db.Database) -> None:
    def attempt(number: int) -> bool:
        try:
            with database.transaction() as session:
                limits.count_try(session, THREE, "olga")
        except TooOften:
            return False
        return True

    with ThreadPoolExecutor(4) as threads:
        let_through = sum(threads.map(attempt, range(12)))

    assert let_through == THREE.tries


def test_old_tries_are_cleaned_away(session: Session) -> None:
    use_up(session)
    assert limits.clean(session) == 0
    age(session, limits.FORGOTTEN_AFTER + timedelta(minutes=1))

    assert limits.clean(session) == 1
    assert session.query(Tries).count() == 0
