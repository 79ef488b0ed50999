import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session
from tests import factories
from tests.builds import agents

from changes.base import events
from changes.base.errors import Conflict, Gone, Invalid, NotFound
from changes.base.paging import Page
from changes.builds import retry, settle
from changes.builds.models import Build, JobStep
from changes.builds.rules import Origin, Status
from changes.results import cards
from changes.results.card_models import Card
from changes.results.cards import CardSaid
from changes.results.events import CardPosted


@pytest.fixture
def step(session: Session) -> JobStep:
    return agents.a_taken_step(session)


def said(session: Session, step: JobStep) -> list[tuple[str, str, str]]:
    return [(card.key, card.style, card.text) for card in cards.of_build(session, step.job.build_id)]


def say(session: Session, step: JobStep, key: str, text: str, style: str = "info") -> Card | None:
    return cards.post(session, step, CardSaid(key, text, style))


def add(session: Session, step: JobStep, key: str, text: str) -> Card | None:
    return cards.post(session, step, CardSaid(key, text, is_added=True))


def test_the_same_key_replaces_a_card_where_it_stands(session: Session, step: JobStep) -> None:
    say(session, step, "first", "one")
    say(session, step, "second", "two")

    say(session, step, "first", "three")

    assert said(session, step) == [("first", "info", "three"), ("second", "info", "two")]


def test_what_is_added_stands_behind_what_was_said(session: Session, step: JobStep) -> None:
    cards.post(session, step, CardSaid("lint", "one", "warning", "Lint"))

    card = add(session, step, "lint", "two")

    assert card is not None
    assert (card.text, card.title, card.version) == ("one\ntwo", "Lint", 2)


def test_without_a_text_a_card_is_taken_back(session: Session, step: JobStep) -> None:
    say(session, step, "lint", "one")

    assert say(session, step, "lint", " \n") is None

    assert said(session, step) == []


def test_errors_come_first(session: Session, step: JobStep) -> None:
    for style in ("success", "info", "error", "warning"):
        say(session, step, style, "x", style=style)

    assert [key for key, _, _ in said(session, step)] == ["error", "warning", "info", "success"]


def test_of_an_attempt_that_was_made_again_nothing_is_shown_or_added_to(
    session: Session, step: JobStep
) -> None:
    say(session, step, "lint", "of the first")
    say(session, step, "size", "of the first")
    again = retry.repeat(session, settle.lock_step(session, step.id) or step, Origin.ASKED)

    add(session, again, "lint", "of the second")

    assert said(session, again) == [("lint", "info", "of the second")]
    with pytest.raises(Conflict, match="made again"):
        say(session, step, "lint", "late")


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (CardSaid("", "x"), "A key has"),
        (CardSaid("a b", "x"), "A key has"),
        (CardSaid("../a", "x"), "A key has"),
        (CardSaid("a" * 65, "x"), "A key has"),
        (CardSaid("a", "x", style="loud"), "style must be one of"),
        (CardSaid("a", "x", title="one\ntwo"), "on one line"),
        (CardSaid("a", "x\0y"), "without NULs"),
        (CardSaid("a", "x" * 100_001), "at most 100 kB"),
        (CardSaid("a", "é" * 60_000), "at most 100 kB"),
    ],
)
def test_what_is_no_card_is_refused_in_words(
    session: Session, step: JobStep, wrong: CardSaid, words: str
) -> None:
    with pytest.raises(Invalid, match=words):
        cards.post(session, step, wrong)


def test_a_card_does_not_grow_without_end(session: Session, step: JobStep) -> None:
    say(session, step, "a", "x" * 99_999)

    with pytest.raises(Invalid, match="at most 100 kB"):
        add(session, step, "a", "more")


def test_a_build_has_only_so_many_cards(
    session: Session, step: JobStep, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cards, "CARDS_MAX", 2)
    say(session, step, "a", "x")
    say(session, step, "b", "x")

    say(session, step, "b", "y")

    with pytest.raises(Conflict, match="at most 2 cards"):
        say(session, step, "c", "x")


def test_all_cards_of_a_build_together_have_a_limit(
    session: Session, step: JobStep, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cards, "BUILD_MAX_BYTES", 10)
    say(session, step, "a", "x" * 6)

    with pytest.raises(Conflict, match="All cards"):
        say(session, step, "b", "x" * 6)


def test_an_agent_speaks_only_for_a_step_it_holds(session: Session, step: JobStep) -> None:
    another = factories.a_node(session)

    with pytest.raises(NotFound, match="not yours"):
        cards.post_for_agent(session, another.id, step.id, CardSaid("a", "x"))


def test_a_step_that_is_over_says_nothing_more(session: Session, step: JobStep) -> None:
    assert step.node_id is not None
    step.status = Status.FINISHED

    with pytest.raises(Gone):
        cards.post_for_agent(session, step.node_id, step.id, CardSaid("a", "x"))


def test_whoever_passes_cards_on_hears_of_each(session: Session, step: JobStep) -> None:
    events.forget_listeners()
    agents.listen(CardPosted)

    say(session, step, "a", "x")
    say(session, step, "a", "")

    told = select(events.Outbox.data).where(events.Outbox.type == events.name_of(CardPosted))
    first, second = session.execute(told.order_by(events.Outbox.id)).scalars()
    events.forget_listeners()
    assert (first["key"], first["version"], first["build_id"]) == ("a", 1, str(step.job.build_id))
    assert second["card_id"] is None


def test_a_list_has_pages(session: Session, step: JobStep) -> None:
    for key in "abc":
        say(session, step, key, "x")

    part = cards.listed(session, step.job.build_id, Page(2, 2))

    assert ([card.key for card in part.rows], part.has_next, part.has_previous) == (["c"], False, True)


def test_cards_go_with_their_build(session: Session, step: JobStep) -> None:
    say(session, step, "a", "x")

    session.delete(session.get_one(Build, step.job.build_id))
    session.flush()

    assert session.execute(select(Card)).all() == []
