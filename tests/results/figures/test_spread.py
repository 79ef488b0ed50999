import math
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from changes.results.figures import spread


def test_of_nothing_nothing_is_known() -> None:
    assert spread.percentile_ms({}, 50) is None


def test_what_took_no_time_took_none() -> None:
    assert spread.percentile_ms({0: 3}, 95) == 0


@given(st.lists(st.integers(0, 10**8), min_size=1, max_size=200), st.sampled_from([1, 50, 95, 100]))
def test_what_is_told_is_right_within_a_fifth(durations: list[int], percent: int) -> None:
    told = spread.percentile_ms(Counter(map(spread.bucket_of, durations)), percent)

    rank = max(1, math.ceil(len(durations) * percent / 100))
    exact = sorted(durations)[rank - 1]
    assert told is not None
    assert exact / 1.2 - 1 <= told <= exact * 1.2 + 1


@pytest.mark.parametrize(("first", "second"), [([10, 20], [4000]), ([1], [1]), ([0], [60_000, 3])])
def test_days_can_be_added_up(first: list[int], second: list[int]) -> None:
    together = Counter(map(spread.bucket_of, first)) + Counter(map(spread.bucket_of, second))

    assert together == Counter(map(spread.bucket_of, first + second))
