import pytest
from hypothesis import given
from hypothesis import strategies as st

from changes.people import rules
from changes.people.rules import Scope

ORDERED = [Scope.READ, Scope.WRITE, Scope.ADMIN]


@given(st.sampled_from(ORDERED), st.sampled_from(ORDERED))
def test_a_scope_opens_what_the_smaller_ones_open(held: Scope, needed: Scope) -> None:
    assert rules.allows(held, needed) == (ORDERED.index(held) >= ORDERED.index(needed))


@pytest.mark.parametrize("other", ORDERED)
def test_an_agent_is_only_an_agent_and_nobody_else_is_one(other: Scope) -> None:
    assert rules.allows(Scope.AGENT, Scope.AGENT)
    assert not rules.allows(Scope.AGENT, other)
    assert not rules.allows(other, Scope.AGENT)


def test_an_administrator_administers_every_project() -> None:
    assert rules.may_administer_project(is_admin=True, patterns=[], slug="any")


@pytest.mark.parametrize(
    ("patterns", "may"), [([], False), (["web"], True), (["we*", "x"], True), (["w"], False)]
)
def test_others_administer_the_projects_their_patterns_name(patterns: list[str], *, may: bool) -> None:
    assert rules.may_administer_project(is_admin=False, patterns=patterns, slug="web") == may


def test_patterns_mind_capitals() -> None:
    assert not rules.may_administer_project(is_admin=False, patterns=["WEB"], slug="web")
