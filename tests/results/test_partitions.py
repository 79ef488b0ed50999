from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from changes.results import partitions, run_numbers

A_MONTH, THE_NEXT = datetime(2031, 12, 1, tzinfo=UTC), datetime(2032, 1, 1, tzinfo=UTC)


def add_run(session: Session, at: datetime) -> None:
    number = run_numbers.batch(at, 7)
    session.execute(text(f"insert into test_run (id, test_id, result) values ({number}, 1, 1)"))


def where_runs_are(session: Session) -> list[str]:
    return list(session.execute(text("select tableoid::regclass::text from test_run order by id")).scalars())


def test_every_run_finds_its_month(session: Session) -> None:
    partitions.make(session, A_MONTH, THE_NEXT)

    add_run(session, datetime(2031, 12, 31, 23, 59, 59, tzinfo=UTC))
    add_run(session, THE_NEXT)

    assert where_runs_are(session) == ["months.test_run_2031_12", "months.test_run_2032_01"]


def test_a_month_that_was_not_made_takes_no_run(session: Session) -> None:
    with pytest.raises(IntegrityError):
        add_run(session, datetime(2040, 1, 1, tzinfo=UTC))


def test_only_what_is_missing_is_made(session: Session) -> None:
    both = partitions.make(session, A_MONTH, THE_NEXT)

    assert (both, partitions.make(session, A_MONTH, THE_NEXT)) == (4, 0)


def test_a_server_whose_clock_is_wrong_makes_the_months_of_the_database(session: Session) -> None:
    with time_machine.travel(datetime.now(UTC) + timedelta(days=400), tick=True):
        assert partitions.make_ahead(session) == 0


def test_this_month_and_the_next_ones_are_there_from_the_beginning(session: Session) -> None:
    assert partitions.make_ahead(session) == 0
    add_run(session, datetime.now(UTC))
