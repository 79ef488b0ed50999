"""What a reader should see first of a build: lines of its logs that tell what went wrong, and its cards."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import urlencode
from uuid import UUID

from markupsafe import Markup

from changes.base.db import Session
from changes.builds.models import Build, JobStep
from changes.protocol import CONSOLE
from changes.results import artifacts, cards, log_error_queries
from changes.results.card_models import Card
from changes.results.log_error_queries import SeenLine
from changes.results.log_patterns import TEST
from changes.web.pages import links, markdown

# With the lines around them; the others are told in a line each.
WHOLE_SHOWN = 3
# What is more than that is told by its title, and stands on a page of its own.
CARDS_CHARS = 60_000
PICTURES = (".png", ".jpg", ".jpeg", ".gif", ".webp", ".svg")
# A link or a picture that does not lead to the web.
OF_FILES = re.compile(r"\]\((?!https?:|mailto:)|^ {0,3}\[[^\]\n]+\]:", re.MULTILINE)
TONES = {"info": "running", "success": "passed", "warning": "quarantined", "error": "failed"}


@dataclass(frozen=True)
class Novelty:
    text: str
    tone: str = ""
    title: str = ""


@dataclass(frozen=True)
class Wrong:
    """A line that tells what went wrong; `href` leads to it in its log."""

    seen: SeenLine
    novelty: Novelty
    href: str


@dataclass(frozen=True)
class Posted:
    """A card as it is drawn; nothing is drawn of one that is left for its own page."""

    card: Card
    tone: str
    text: Markup | None


@dataclass(frozen=True)
class Told:
    wrong: Sequence[Wrong] = field(default_factory=list)
    posted: Sequence[Posted] = field(default_factory=list)

    @property
    def shown(self) -> Sequence[Wrong]:
        return self.wrong[:WHOLE_SHOWN]

    @property
    def others(self) -> Sequence[Wrong]:
        return self.wrong[WHOLE_SHOWN:]


def of_build(
    session: Session, build: Build, base: Build | None = None, *, has_failed_tests: bool = False
) -> Told:
    """Failed tests are shown as such, so what their runner says of them is not told twice."""
    seen = log_error_queries.of_build(session, build, base.id if base else None)
    shown = [each for each in seen if not has_failed_tests or each.error.rank > TEST + 3]
    return Told([wrong(each, base) for each in shown], posted(session, cards.of_build(session, build.id)))


def of_step(session: Session, step: JobStep) -> list[Wrong]:
    """With places on the page of the step itself, where its logs are shown."""
    return [
        Wrong(seen, novelty(seen, None), f"?{query_of(seen)}#L{seen.line.line}")
        for seen in log_error_queries.best_of_step(session, step)
    ]


def query_of(seen: SeenLine) -> str:
    stream = {} if seen.place.log == CONSOLE else {"stream": seen.place.log}
    return urlencode({**stream, "line": seen.line.line})


def wrong(seen: SeenLine, base: Build | None) -> Wrong:
    line = seen.line.line
    return Wrong(seen, novelty(seen, base), f"{links.log(seen.place.source_id)}?line={line}#L{line}")


def novelty(seen: SeenLine, base: Build | None) -> Novelty:
    """Whether it was there before; what the commit below says, too, is not of this change."""
    if seen.is_on_base and base is not None:
        why = f"Build #{base.number} of the commit below says it, too"
        return Novelty("also without this patch", "quarantined", why)
    if seen.is_new:
        return Novelty("new", "failed", "No earlier build of this project said it")
    others = f"{seen.others:,} other build{'' if seen.others == 1 else 's'}"
    return Novelty(f"seen in {others}", "", f"First on {seen.error.date_first:%d %b %Y}")


def posted(session: Session, found: Sequence[Card], *, is_whole: bool = False) -> list[Posted]:
    """Drawing costs time, so only so much of it is drawn on one page, unless one card is all of it."""
    left = CARDS_CHARS
    shown = []
    for card in found:
        left -= len(card.text)
        is_drawn = is_whole or left >= 0
        text = drawn(session, card) if is_drawn else None
        shown.append(Posted(card, TONES.get(card.style, ""), text))
    return shown


def drawn(session: Session, card: Card) -> Markup:
    names_files = OF_FILES.search(card.text) is not None
    return markdown.drawn(card.text, files_of(session, card.step_id) if names_files else {})


def files_of(session: Session, step_id: UUID) -> Mapping[str, str]:
    """What a card may show or link to: what its own step left behind."""
    return {each.name: address(each.id, each.name) for each in artifacts.of_step(session, step_id)}


def address(artifact_id: UUID, name: str) -> str:
    if name.lower().endswith(PICTURES):
        return f"/artifacts/{artifact_id.hex}/raw/"
    return f"/artifacts/{artifact_id.hex}/"
