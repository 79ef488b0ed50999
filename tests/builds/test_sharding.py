from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from changes.builds import sharding
from changes.builds.sharding import Durations

COSTS = st.dictionaries(st.text(alphabet="abc", min_size=1), st.integers(0, 10_000), min_size=1, max_size=40)
FEW_COSTS = st.lists(st.integers(0, 60), min_size=1, max_size=7)
NAMES = st.lists(st.text(alphabet="ab./:_", min_size=1, max_size=6), min_size=1, max_size=20, unique=True)


def loads(bins: list[list[str]], costs: dict[str, int]) -> list[int]:
    """One more for each name, as `spread` weighs them."""
    return [sum(costs[name] + 1 for name in each) for each in bins]


def best_possible(weights: list[int], count: int) -> int:
    """By trying everything."""
    return min(
        max(
            sum(weight for weight, mine in zip(weights, places, strict=True) if mine == place)
            for place in places
        )
        for places in product(range(count), repeat=len(weights))
    )


@given(
    NAMES, st.dictionaries(st.text(alphabet="ab./:_", max_size=8), st.integers(0, 10**9)), st.integers(1, 9)
)
def test_every_name_is_in_exactly_one_shard(names: list[str], measured: dict[str, int], most: int) -> None:
    shards = sharding.cut(names, Durations(measured, setup_ms=500), most=most)

    assert sorted(name for shard in shards for name in shard.names) == sorted(names)
    assert 1 <= len(shards) <= most
    assert all(shard.names for shard in shards)


@given(FEW_COSTS, st.integers(1, 3))
def test_the_longest_shard_is_at_most_a_third_above_the_best_there_is(costs: list[int], count: int) -> None:
    by_name = {str(number): cost for number, cost in enumerate(costs)}

    longest = max(loads(sharding.spread(by_name, count), by_name))

    best = best_possible([cost + 1 for cost in costs], count)
    assert longest <= best * (4 / 3 - 1 / (3 * count)) + 1e-9


@given(COSTS, st.integers(1, 12))
def test_no_shard_is_longer_than_an_even_share_and_the_longest_test(
    costs: dict[str, int], count: int
) -> None:
    longest = max(loads(sharding.spread(costs, count), costs))

    total, most = sum(costs.values()) + len(costs), max(costs.values()) + 1
    assert longest <= total / count + most * (1 - 1 / count) + 1e-6


def test_without_a_history_shards_have_the_same_number_of_tests() -> None:
    shards = sharding.cut([f"test{number}" for number in range(10)], Durations(), most=3)

    assert sorted(len(shard.names) for shard in shards) == [3, 3, 4]


def test_the_longest_tests_are_kept_apart() -> None:
    measured = {"slow": 100, "slower": 110, "a": 10, "b": 10, "c": 10}

    shards = sharding.cut(list(measured), Durations(measured), most=2)

    assert {frozenset(shard.names) for shard in shards} == {
        frozenset({"slower", "b"}),
        frozenset({"slow", "a", "c"}),
    }


def test_the_same_question_has_the_same_answer_in_whatever_order_it_is_asked() -> None:
    names = [f"test{number}" for number in range(7)]

    one, other = (sharding.cut(each, Durations(), most=3) for each in (names, names[::-1]))

    assert [set(shard.names) for shard in one] == [set(shard.names) for shard in other]


def test_a_shard_runs_its_tests_in_the_order_they_were_collected_in() -> None:
    (shard,) = sharding.cut(["b", "c", "a"], Durations({"a": 3, "b": 2, "c": 1}), most=1)

    assert shard.names == ["b", "c", "a"]


def test_a_file_costs_what_its_tests_cost() -> None:
    measured = {"tests.test_a.TestX.test_one": 20, "tests.test_a.test_two": 5, "tests.test_b.test_one": 7}

    assert sharding.sums(["tests/test_a.py", "tests/test_b.py", "tests", "other"], measured) == {
        "tests/test_a.py": 25,
        "tests/test_b.py": 7,
        "tests": 32,
    }


READINGS = [
    ("tests/test_a.py::TestX::test_one", "tests.test_a.TestX.test_one"),
    ("tests/test_a.py::TestX::test_one", "tests/test_a.py::TestX::test_one"),
    ("tests/test_a.py", "tests.test_a.test_one[1.5]"),
    ("test_a.py", "test_a.test_one"),
    ("./src/foo_test.go", "src/foo_test.go/TestOne"),
    ("pkg.Class", "pkg.Class.works"),
    ("//server:db", "//server:db"),
]


@pytest.mark.parametrize(("collected", "reported"), READINGS)
def test_a_collected_name_is_found_in_what_runners_report(collected: str, reported: str) -> None:
    assert sharding.without_report([collected], [reported]) == []


NOT_ITS_TESTS = [
    ("tests/test_a.py", "tests.test_ab.test_one"),
    ("pkg.mod", "pkg.other.works"),
    ("tests/test_a.py", "other.tests.test_a.works"),
]


@pytest.mark.parametrize(("collected", "reported"), NOT_ITS_TESTS)
def test_a_test_of_another_place_does_not_stand_for_it(collected: str, reported: str) -> None:
    assert sharding.without_report([collected], [reported]) == [collected]


def test_names_that_read_alike_are_both_found() -> None:
    assert sharding.without_report(["a/b.py", "a.b"], ["a.b.test_one"]) == []


def test_an_unknown_test_costs_as_much_as_one_does_on_average() -> None:
    assert sharding.costs_of(["new", "a"], {"a": 10, "b": 30}) == {"new": 20, "a": 10}


def test_short_tests_are_not_worth_many_expensive_set_ups() -> None:
    measured = {f"test{number}": 1000 for number in range(10)}

    shards = sharding.cut(list(measured), Durations(measured, setup_ms=60_000), most=10)

    assert len(shards) == 2
    assert [shard.expected_ms for shard in shards] == [65_000, 65_000]


def test_long_tests_get_every_shard_there_is() -> None:
    measured = {f"test{number}": 600_000 for number in range(10)}

    assert len(sharding.cut(list(measured), Durations(measured, setup_ms=1000), most=10)) == 10


def test_very_many_tests_are_cut_too() -> None:
    names = [f"tests/package_{number % 100}/test_{number}.py" for number in range(20_000)]
    measured = {name.replace("/", ".")[:-3]: number % 1000 for number, name in enumerate(names)}

    shards = sharding.cut(names, Durations(measured, setup_ms=1000), most=1000)

    assert sum(len(shard.names) for shard in shards) == 20_000
