from datetime import datetime, timedelta
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from changes.results import run_numbers

SECONDS_MAX = 2**31 - 1
CLOCKS_WRONG_MAX = timedelta(seconds=run_numbers.CLOCKS_WRONG_MAX_S)
TIMES = st.integers(0, SECONDS_MAX).map(lambda seconds: run_numbers.EPOCH + timedelta(seconds=seconds))


@given(TIMES, st.integers(0, 10**6), st.integers(0, run_numbers.RUNS_MAX - 1))
def test_a_run_knows_its_batch_and_its_second(at: datetime, serial: int, index: int) -> None:
    batch = run_numbers.batch(at, serial)

    assert run_numbers.batch_of(batch + index) == batch
    assert run_numbers.made_at(batch + index) == at


@given(TIMES, TIMES, st.integers(0, 4095), st.integers(0, 4095))
def test_what_is_stored_a_second_later_has_the_greater_number(
    one: datetime, other: datetime, serial: int, other_serial: int
) -> None:
    first, second = sorted([one, other + timedelta(seconds=1)])
    if second - first >= timedelta(seconds=1):
        last_of_first = run_numbers.batch(first, serial) + run_numbers.RUNS_MAX - 1

        assert last_of_first < run_numbers.batch(second, other_serial)


@given(TIMES, st.timedeltas(min_value=-CLOCKS_WRONG_MAX, max_value=timedelta(days=900)))
def test_no_run_of_a_build_has_a_smaller_number_than_its_build_allows(at: datetime, later: timedelta) -> None:
    build_id = UUID(int=int(at.timestamp() * 1000) << 80 | 7 << 76 | 0b10 << 62)

    assert 0 <= run_numbers.least_of_build(build_id) <= max(0, run_numbers.batch(at + later, 0))


def test_an_id_that_tells_no_time_allows_any_number() -> None:
    assert run_numbers.least_of_build(UUID("0" * 12 + "4" + "f" * 3 + "8" + "f" * 15)) == 0


@given(st.integers(0, 2**48 - 1))
def test_any_id_of_a_build_is_a_number_that_can_be_asked_for(made_ms: int) -> None:
    build_id = UUID(int=made_ms << 80 | 7 << 76 | 0b10 << 62)

    assert 0 <= run_numbers.least_of_build(build_id) <= run_numbers.NUMBER_MAX


@given(TIMES)
def test_outside_it_is_an_id_like_any_other(at: datetime) -> None:
    number = run_numbers.batch(at, 7) + 3

    assert len(run_numbers.outside(number).hex) == 32
    assert run_numbers.inside(run_numbers.outside(number)) == number


def test_an_id_of_something_else_is_no_run() -> None:
    assert run_numbers.inside(UUID("019a0000-0000-7000-8000-000000000000")) == run_numbers.NOBODY
