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


@pytest.mark.parametrize(
    ("held", "owners", "may"),
    [
        (Scope.ADMIN, None, Scope.ADMIN),
        (Scope.ADMIN, Scope.WRITE, Scope.WRITE),
        (Scope.READ, Scope.ADMIN, Scope.READ),
        (Scope.AGENT, Scope.ADMIN, Scope.AGENT),
    ],
)
def test_a_token_never_may_more_than_its_owner(held: Scope, owners: Scope | None, may: Scope) -> None:
    assert rules.scope_of_token(held, owners) == may


@pytest.mark.parametrize(
    ("domains", "hosted_domain", "is_google", "vouched"),
    [
        (["example.com"], None, False, True),
        (["example.com"], "example.com", True, True),
        (["example.com"], None, True, False),
        (["example.com"], "other.com", True, False),
        (["other.com"], None, False, False),
        (["e.com", "ample.com"], None, False, False),
        (["*"], None, True, True),
        ([], None, False, False),
    ],
)
def test_an_account_counts_when_its_domain_is_one_of_ours(
    domains: list[str], hosted_domain: str | None, *, is_google: bool, vouched: bool
) -> None:
    told = rules.vouches_for(
        domains=domains, email="olga@example.com", hosted_domain=hosted_domain, is_google=is_google
    )

    assert told == vouched
