"""Cards: a step says in Markdown what its readers should see first, on the pages of its build and change.

A card is known by its key within a build: the same key again replaces it or adds to it, also from another
step. Of an attempt that was made again the cards are not shown, for the new one says it anew.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import Select, case, func, select, text
from sqlalchemy.orm import Session, contains_eager

from changes.base import clock, events, ids
from changes.base.errors import Conflict, Gone, Invalid, NotFound
from changes.base.paging import Page, Part
from changes.builds import telling
from changes.builds.models import Build, Job, JobStep
from changes.results.card_models import Card
from changes.results.events import CardPosted

# What matters most comes first.
STYLES = ("error", "warning", "info", "success")
KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
TEXT_MAX_BYTES, TITLE_MAX_CHARS = 100_000, 200
CARDS_MAX, BUILD_MAX_BYTES = 50, 1_000_000
LOCK = text("select pg_advisory_xact_lock(hashtextextended(:name, 0))")


@dataclass(frozen=True)
class CardSaid:
    """Without a text a card is taken back."""

    key: str
    text: str
    style: str = "info"
    title: str = ""
    is_added: bool = False

    def check(self) -> None:
        if KEY.fullmatch(self.key) is None:
            raise Invalid("A key has 1 to 64 letters, digits, dots, dashes or underscores.", ["key"])
        if self.style not in STYLES:
            raise Invalid(f"style must be one of {', '.join(STYLES)}.", ["style"])
        if len(self.title) > TITLE_MAX_CHARS or not self.title.isprintable():
            raise Invalid(f"A title has at most {TITLE_MAX_CHARS} characters, on one line.", ["title"])
        if "\0" in self.text:
            raise Invalid("A card is text, without NULs.", ["text"])
        refuse_long(self.text)


def refuse_long(said: str) -> None:
    if len(said.encode(errors="replace")) > TEXT_MAX_BYTES:
        raise Invalid(f"A card has at most {TEXT_MAX_BYTES // 1000} kB of text.", ["text"])


def post_for_agent(session: Session, node_id: UUID, step_id: UUID, said: CardSaid) -> Card | None:
    """Only while that machine has the step in its hands."""
    step = session.get(JobStep, step_id)
    if step is None or step.node_id != node_id:
        raise NotFound("This step is not yours.")
    if step.is_finished:
        raise Gone("This step is over.")
    return post(session, step, said)


def post(session: Session, step: JobStep, said: CardSaid) -> Card | None:
    """The card as it is now, if there still is one."""
    said.check()
    if step.replacement_id is not None:
        raise Conflict("This attempt was made again; its cards are those of the new one.")
    build = session.get_one(Build, step.job.build_id)
    # One after the other, so that nothing that is added gets lost, and limits are limits.
    session.execute(LOCK, {"name": f"cards {build.id.hex}"})
    mine = select(Card).where(Card.build_id == build.id, Card.key == said.key)
    known = session.execute(mine.execution_options(populate_existing=True)).scalar_one_or_none()
    card = put(session, build, step, known, said) if said.text.strip() else None
    if card is None and known is not None:
        session.delete(known)
    session.flush()
    version = card.version if card else 0
    events.announce(session, CardPosted(build.id, said.key, card.id if card else None, version))
    telling.tell(session, build)
    return card


def put(session: Session, build: Build, step: JobStep, known: Card | None, said: CardSaid) -> Card:
    # What an attempt said that was made again is no beginning for others.
    is_added = said.is_added and known is not None and not is_of_the_past(session, known)
    whole = joined(known.text, said.text) if is_added and known is not None else said.text
    refuse_long(whole)
    refuse_many(session, build, known, whole)
    if known is None:
        known = Card(id=ids.new(), build_id=build.id, key=said.key, version=0, date_created=clock.now())
        session.add(known)
    known.text, known.style, known.step_id = whole, said.style, step.id
    if said.title or not is_added:
        known.title = said.title.strip()
    known.version += 1
    known.date_modified = clock.now()
    return known


def is_of_the_past(session: Session, card: Card) -> bool:
    step = session.get(JobStep, card.step_id)
    return step is None or step.replacement_id is not None


def joined(before: str, more: str) -> str:
    return before + more if before.endswith("\n") else f"{before}\n{more}"


def refuse_many(session: Session, build: Build, known: Card | None, whole: str) -> None:
    others = select(func.count(), func.coalesce(func.sum(func.octet_length(Card.text)), 0))
    others = others.where(Card.build_id == build.id)
    if known is not None:
        others = others.where(Card.id != known.id)
    count, size_bytes = session.execute(others).one()
    if count >= CARDS_MAX:
        raise Conflict(f"A build has at most {CARDS_MAX} cards.")
    if size_bytes + len(whole.encode(errors="replace")) > BUILD_MAX_BYTES:
        raise Conflict(f"All cards of a build have at most {BUILD_MAX_BYTES // 1_000_000} MB of text.")


# --- reading ---------------------------------------------------------------------------------


def of_build(session: Session, build_id: UUID) -> Sequence[Card]:
    return session.execute(shown().where(Card.build_id == build_id)).scalars().all()


def of_step(session: Session, step_id: UUID) -> Sequence[Card]:
    return session.execute(shown().where(Card.step_id == step_id)).scalars().all()


def listed(session: Session, build_id: UUID, page: Page) -> Part[Card]:
    found = shown().where(Card.build_id == build_id).offset(page.offset).limit(page.size + 1)
    rows = session.execute(found).scalars().all()
    return Part(rows[: page.size], has_next=len(rows) > page.size, has_previous=page.number > 1)


def shown() -> Select[Card]:
    """What matters most first, otherwise in the order they were first said."""
    weight = case({style: place for place, style in enumerate(STYLES)}, value=Card.style, else_=len(STYLES))
    found = select(Card).join(JobStep, JobStep.id == Card.step_id).join(Job, Job.id == JobStep.job_id)
    found = found.options(contains_eager(Card.step).contains_eager(JobStep.job))
    return found.where(JobStep.replacement_id.is_(None)).order_by(weight, Card.id)
