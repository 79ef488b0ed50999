"""What a test said, put together of parts with headings, as the original showed it. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from changes.results.formats.excerpt import Excerpt, excerpt
from changes.results.formats.seen import Limits, storable

HEADING_COLUMNS = 78


@dataclass(frozen=True, slots=True)
class Part:
    """What one element inside a test case says."""

    tag: str
    headline: str
    excerpt: Excerpt

    def text(self, limit_chars: int) -> str:
        body = self.excerpt.text().strip("\n")
        if not body.strip():
            body = ""
        # Most runners repeat the message as the first line of the text; say it once.
        if self.headline and self.headline not in body:
            body = f"{excerpt(self.headline, limit_chars)}\n{body}".rstrip("\n")
        return under_heading(self.tag, body)


@dataclass(slots=True)
class Words:
    """Texts with a heading each, added in any order and number; so many are kept, so long each."""

    limits: Limits
    pieces: list[str] = field(default_factory=list)
    left_out: int = 0

    def add(self, heading: str, text: str) -> None:
        if not text.strip():
            return
        if len(self.pieces) >= self.limits.parts:
            self.left_out += 1
            return
        body = excerpt(storable(text).strip("\n"), self.limits.text_chars)
        self.pieces.append(under_heading(heading, body))

    def text(self) -> str:
        return joined(self.pieces, self.left_out)


def under_heading(heading: str, body: str) -> str:
    line = f" {heading[:HEADING_COLUMNS]} ".center(HEADING_COLUMNS, "=")
    return f"{line}\n{body}" if body else ""


def joined(pieces: Sequence[str], left_out: int) -> str:
    more = [f" -- {left_out} more parts left out --"] if left_out else []
    return "\n".join(piece for piece in [*pieces, *more] if piece)
