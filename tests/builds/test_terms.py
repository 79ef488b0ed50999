from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from changes.builds import implementations, terms
from changes.builds.terms import Retry, Terms
from changes.projects import plan_options

FULL = Terms(
    needs=("build", "lint"),
    is_optional=True,
    group="database",
    retry=Retry(times=2, increment_s=60, patterns=("timed out", "connection reset")),
    expects_tests=True,
    timeout_min=15,
)


def test_what_is_frozen_is_thawed_as_it_was() -> None:
    assert terms.thawed({"terms": FULL.frozen()}) == FULL


def test_a_job_from_before_there_were_terms_has_the_usual_ones() -> None:
    assert terms.thawed({"snapshot": {}}) == Terms()


def test_options_say_the_same_as_keys() -> None:
    options = {
        "job.needs": "build\nlint\n",
        "job.optional": "1",
        "job.group": " database ",
        "job.retry-times": "2",
        "job.retry-increment": "60",
        "job.retry-patterns": "timed out\nconnection reset",
        "build.expect-tests": "1",
        "build.timeout": "15",
    }

    assert terms.of_options(options) == FULL


OPTIONS = st.sampled_from(list(plan_options.OF_PLANS))


@given(st.dictionaries(OPTIONS, st.text(max_size=12)))
def test_whatever_an_option_holds_it_means_something_within_bounds(options: dict[str, str]) -> None:
    found = terms.of_options(options)

    assert 0 <= found.retry.times <= plan_options.TIMES_MAX
    assert 0 <= found.retry.increment_s <= plan_options.INCREMENT_MAX_S
    assert 0 <= found.timeout_min <= implementations.TIMEOUT_MAX_MIN


COMPLAINTS: list[tuple[Any, str]] = [
    ({"needs": "build"}, "needs must be a list of names of plans"),
    ({"optional": "yes"}, "optional must be true or false"),
    ({"expect_tests": 1}, "expect_tests must be true or false"),
    ({"group": 5}, "group must be text"),
    ({"group": "g" * 129}, "group must have at most 128 characters"),
    ({"retry": 3}, "retry must be a mapping of times, increment, patterns"),
    ({"retry": {"time": 3}}, "unknown field 'time', did you mean 'times'?"),
    ({"retry": {"times": 11}}, "times must be a whole number from 0 to 10"),
    ({"retry": {"increment": -1}}, "increment must be a whole number"),
    ({"retry": {"patterns": ["("]}}, "the pattern '(' is no regular expression of RE2"),
    ({"retry": {"patterns": ["(?=x)"]}}, "the pattern '(?=x)' is no regular expression of RE2"),
]


@pytest.mark.parametrize(("said", "expected"), COMPLAINTS)
def test_what_is_wrong_is_said(said: dict[str, Any], expected: str) -> None:
    assert any(expected in each.text for each in terms.wrong_keys(said))
