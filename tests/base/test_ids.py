import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from changes.base import ids
from changes.base.errors import Invalid


def test_ids_grow_with_time() -> None:
    made = [ids.new() for _ in range(1000)]

    assert made == sorted(made)
    assert len(set(made)) == 1000


def test_an_id_carries_its_time_of_birth() -> None:
    before_ms, made, after_ms = time.time_ns() // 10**6, ids.new(), time.time_ns() // 10**6

    assert made.version == 7
    assert before_ms <= made.int >> 80 <= after_ms


@given(st.uuids())
def test_an_id_is_read_with_and_without_dashes(some: object) -> None:
    assert ids.parse(str(some)) == ids.parse(str(some).replace("-", "")) == some


@pytest.mark.parametrize("text", ["", "5", "g" * 32, "0" * 33, "' or 1=1"])
def test_what_is_no_id_is_refused_in_words(text: str) -> None:
    with pytest.raises(Invalid, match="is not an id: 32 hexadecimal digits are expected"):
        ids.parse(text)
