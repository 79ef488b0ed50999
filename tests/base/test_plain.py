import datetime as dt
import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text
from sqlalchemy.orm import Session

from changes.base import plain

ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.dates() | st.binary(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5) | st.integers(), inner),
    max_leaves=8,
)
KEPT: list[Any] = [None, True, 0, -(2**63) + 1, 1.5, "", "\N{SNOWMAN}\U0001f600", [], {"a": [{"b": None}]}]
REFUSED = [
    math.nan,
    -math.inf,
    2**63,
    "a\0b",
    "\ud800",
    ["\udfff"],
    {"a\0": 1},
    {1: "a"},
    {True: "a"},
    b"bytes",
    {"set"},
    ("tuple",),
    dt.date(2020, 1, 1),
]


@pytest.mark.parametrize("value", KEPT)
def test_plain_values_are_no_problem(value: Any) -> None:
    assert plain.problem(value) is None


@pytest.mark.parametrize("value", REFUSED)
def test_what_a_database_or_json_cannot_keep_is_said(value: Any) -> None:
    assert plain.problem(value)


def test_depth_is_bounded() -> None:
    value: list[Any] = []
    for _ in range(100_000):
        value = [value]

    assert plain.problem(value) == "values are nested more than 50 deep"


@given(ANYTHING)
def test_whatever_is_no_problem_is_json(value: Any) -> None:
    if plain.problem(value) is None:
        assert json.loads(json.dumps(value, allow_nan=False)) == value


@pytest.mark.parametrize("value", KEPT)
def test_whatever_is_no_problem_is_kept_by_postgresql(session: Session, value: Any) -> None:
    kept = session.execute(text("select cast(:value as jsonb)"), {"value": json.dumps(value)}).scalar_one()

    assert kept == value
