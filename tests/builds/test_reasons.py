from string import Formatter

import pytest

from changes.builds import reasons

IDS = [value for name, value in vars(reasons).items() if name.isupper() and isinstance(value, str)]
KNOWN = [reason for reason in IDS if reason != reasons.UNKNOWN]


@pytest.mark.parametrize("reason", KNOWN)
def test_every_reason_has_a_sentence(reason: str) -> None:
    assert reason in reasons.SENTENCES


@pytest.mark.parametrize("reason", sorted(reasons.SENTENCES))
def test_a_sentence_shows_every_fact_it_asks_for(reason: str) -> None:
    wanted = [name for _, name, _, _ in Formatter().parse(reasons.SENTENCES[reason]) if name]
    facts = {name: f"<the {name}>" for name in wanted}

    text = reasons.sentence(reason, facts)

    assert all(fact in text for fact in facts.values())


@pytest.mark.parametrize("reason", sorted(reasons.SENTENCES))
def test_a_reason_stored_without_its_facts_is_shown_all_the_same(reason: str) -> None:
    assert reasons.sentence(reason, {})


def test_braces_in_a_fact_are_only_text() -> None:
    facts = {"message": "{0.__class__} {node}"}

    assert reasons.sentence(reasons.INVALID_CONFIG, facts) == "{0.__class__} {node}"


def test_a_reason_of_another_version_shows_its_message() -> None:
    assert reasons.sentence("from_the_future", {"message": "It rained."}) == "It rained."


@pytest.mark.parametrize(
    ("count", "told"), [(1, "1 test failed."), (3, "3 tests failed."), ("?", "? tests failed.")]
)
def test_one_is_not_many(count: object, told: str) -> None:
    assert reasons.sentence(reasons.TEST_FAILURES, {"count": count}) == told


def test_a_figure_is_as_short_as_it_can_be() -> None:
    assert "limit of 1.5 minutes" in reasons.sentence(reasons.TIMEOUT, {"limit_min": 1.5})
    assert "limit of 60 minutes" in reasons.sentence(reasons.TIMEOUT, {"limit_min": 60.0})
