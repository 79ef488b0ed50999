from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from changes.builds import coverage_gate, terms
from changes.builds.coverage_gate import CoverageGate

KEYS = {"min": 80, "patch_min": 90, "below": "warn"}
OPTIONS = {"coverage.min": "80", "coverage.patch-min": "90", "coverage.below": "warn"}


def test_options_say_the_same_as_keys() -> None:
    assert coverage_gate.of_options(OPTIONS) == coverage_gate.of_keys(KEYS) == CoverageGate(80, 90, "warn")


def test_what_a_plan_asks_is_kept_with_its_jobs() -> None:
    asked = terms.of_options(OPTIONS)

    assert terms.thawed({"terms": asked.frozen()}).coverage == CoverageGate(80, 90, "warn")


def test_a_plan_that_says_nothing_asks_nothing() -> None:
    assert not coverage_gate.of_keys(None).asks
    assert not coverage_gate.of_options({}).asks
    assert "coverage" not in terms.of_options({}).frozen()


@given(st.dictionaries(st.sampled_from([*OPTIONS]), st.text(max_size=5) | st.integers().map(str)))
def test_whatever_an_option_holds_is_a_percentage_or_nothing(options: dict[str, str]) -> None:
    gate = coverage_gate.of_options(options)

    assert {gate.least, gate.least_of_patch} <= {None, *range(101)}


COMPLAINTS: list[tuple[Any, str]] = [
    (80, "coverage must be a mapping of min, patch_min, below"),
    ({"min": 101}, "min must be"),
    ({"min": -1}, "min must be"),
    ({"patch_min": "80"}, "patch_min must be"),
    ({"min": True}, "min must be"),
    ({"below": "ignore"}, "below must be one of"),
    ({"minimum": 80}, "minimum"),
]


@pytest.mark.parametrize(("said", "expected"), COMPLAINTS)
def test_what_is_wrong_is_said(said: Any, expected: str) -> None:
    (wrong,) = coverage_gate.wrong(said)

    assert expected in wrong.text


def test_nothing_is_wrong_with_what_the_guide_says() -> None:
    assert coverage_gate.wrong(None) == coverage_gate.wrong(KEYS) == coverage_gate.wrong({}) == []
