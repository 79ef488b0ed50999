from collections.abc import Mapping

from hypothesis import given
from hypothesis import strategies as st

from changes.builds import needs
from changes.builds.rules import Result

NAMES = st.sampled_from("abcdef")


def test_plans_that_need_others_of_the_build_are_fine() -> None:
    assert needs.problems({"build": [], "test": ["build"], "release": ["build", "test"]}) == {}


def test_a_plan_that_is_not_there_is_named_and_those_that_are() -> None:
    assert needs.problems({"test": ["biuld"], "build": []}) == {
        "test": "it needs 'biuld', which is no plan of this build (there are: build, test)"
    }


def test_a_circle_is_told_by_its_names() -> None:
    wrong = needs.problems({"a": ["b"], "b": ["c"], "c": ["a"], "d": ["a"]})

    assert wrong["a"] == "its needs go in a circle: a → b → c → a"
    assert set(wrong) == {"a", "b", "c"}


def test_a_plan_that_needs_itself_is_a_circle() -> None:
    assert needs.problems({"a": ["a"]}) == {"a": "its needs go in a circle: a → a"}


@given(st.sets(st.tuples(NAMES, NAMES)), st.sets(NAMES))
def test_doomed_is_what_leads_to_something_that_ended_badly_by_a_reason_that_is_there(
    pairs: set[tuple[str, str]], ended_badly: set[str]
) -> None:
    found = needs.doomed(sorted(pairs), sorted(ended_badly))

    assert all((name, needed) in pairs for name, needed in found.items())
    reached = set(ended_badly)
    while more := {name for name, needed in pairs if needed in reached} - reached:
        reached |= more
    assert reached - ended_badly <= set(found) <= reached


def order_of(graph: Mapping[str, list[str]]) -> list[str]:
    """Those that can be put in order, one by one."""
    done: list[str] = []
    while ready := [name for name in graph if name not in done and set(graph[name]) <= set(done)]:
        done += ready
    return done


@given(st.dictionaries(NAMES, st.lists(NAMES, max_size=3)))
def test_without_problems_every_plan_gets_its_turn(graph: dict[str, list[str]]) -> None:
    if not needs.problems(graph):
        assert sorted(order_of(graph)) == sorted(graph)


@given(st.dictionaries(NAMES, st.lists(NAMES, max_size=3)))
def test_a_circle_is_found_wherever_there_is_one(graph: dict[str, list[str]]) -> None:
    if all(set(each) <= set(graph) for each in graph.values()):
        assert bool(needs.problems(graph)) == (len(order_of(graph)) < len(graph))


def test_nothing_is_built_upon_what_did_not_pass() -> None:
    assert needs.may_run([Result.PASSED, Result.QUARANTINED_FAILED])
    assert not needs.may_run([Result.PASSED, Result.SKIPPED])
    assert not needs.may_run([Result.INFRA_FAILED])
