"""Names of tests as a tree."""

import pytest

from changes.results import testtree

TESTS = {
    "app.api.test_carts.test_add": 30,
    "app.api.test_carts.test_empty": 20,
    "app.api.test_users.test_sign_in": 100,
    "app.core.deep.test_one": 5,
}


def paths(parent: str = "", tests: dict[str, int] | None = None) -> list[str]:
    return [each.path for each in testtree.groups(tests or TESTS, ".", parent)]


def test_what_is_no_choice_is_left_out() -> None:
    assert paths() == ["app"]
    assert paths("app") == ["app.api", "app.core.deep.test_one"]


def test_the_slowest_part_comes_first_with_all_that_lies_in_it() -> None:
    first = testtree.groups(TESTS, ".", "app")[0]

    assert (first.name, first.path, first.total_ms, first.count) == ("api", "app.api", 150, 3)


def test_a_part_of_a_single_test_leads_to_it() -> None:
    (alone,) = [each for each in testtree.groups(TESTS, ".", "app") if each.count == 1]

    assert (alone.name, alone.only) == ("core.deep.test_one", "app.core.deep.test_one")


def test_a_test_whose_name_is_a_package_of_others_stays() -> None:
    assert paths(tests={"a.b": 1, "a.b.c": 2, "a.b.d": 3, "z": 0}) == ["a.b", "z"]


def test_below_what_nothing_is_called_like_there_is_nothing() -> None:
    assert paths("app.nowhere") == paths("ap") == []


@pytest.mark.parametrize(
    ("name", "sep", "short"),
    [
        ("app.api.test_add", ".", "test_add"),
        ("src/cart.test.ts/adds up", "/", "adds up"),
        ("//pkg:target", "/", "pkg:target"),
        ("alone", ".", "alone"),
    ],
)
def test_names_of_paths_are_told_from_dotted_ones(name: str, sep: str, short: str) -> None:
    assert (testtree.separator([name]), testtree.short_name(name)) == (sep, short)


def test_the_way_down_is_told_step_by_step() -> None:
    assert testtree.trail("app.api", ".") == [("app", "app"), ("app.api", "api")]
    assert testtree.trail("", ".") == []


def test_very_many_names_are_read_once() -> None:
    tests = {f"app.p{number % 300}.c{number % 3000}.test_{number}": 1 for number in range(30_000)}

    found = testtree.groups(tests, ".", "app")

    assert (len(found), sum(each.count for each in found)) == (300, 30_000)
