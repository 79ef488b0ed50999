"""Cutting other people's text to size without hiding that it was cut."""

import hashlib

NAME_CUT_NOTE_CHARS = 64


def excerpt(text: str, limit_chars: int) -> str:
    """The text, or its head and tail around a line that says how much is missing."""
    if len(text) <= limit_chars:
        return text
    kept = Excerpt(limit_chars)
    kept.add(text)
    return kept.text()


def clip_name(name: str, limit_chars: int) -> str:
    """Two long names stay two: the digest of what was there is part of what is kept."""
    if len(name) <= limit_chars:
        return name
    half = max(1, (limit_chars - NAME_CUT_NOTE_CHARS) // 2)
    digest = hashlib.sha1(name.encode(), usedforsecurity=False).hexdigest()[:12]
    return f"{name[:half]}[{len(name) - 2 * half} characters left out, {digest}]{name[-half:]}"


class Excerpt:
    """The head and the tail of a text that may come in any number of pieces."""

    def __init__(self, limit_chars: int) -> None:
        self.limit_chars = limit_chars
        self.head = ""
        self.pieces: list[str] = []
        self.pieces_chars = 0
        self.cut_chars = 0

    def add(self, piece: str) -> None:
        self.pieces.append(piece)
        self.pieces_chars += len(piece)
        # Joining only now and then keeps a long text of short lines from costing the square.
        if self.pieces_chars > 2 * self.limit_chars:
            self._shorten()

    def text(self) -> str:
        if len(self.head) + self.pieces_chars > self.limit_chars:
            self._shorten()
        tail = "".join(self.pieces)
        if not self.cut_chars:
            return self.head + tail
        return f"{self.head}\n -- CONTENT TRUNCATED; {self.cut_chars} characters left out --\n{tail}"

    def _shorten(self) -> None:
        half = self.limit_chars // 2
        text = self.head + "".join(self.pieces)
        self.head, rest = text[:half], text[half:]
        tail = rest[-half:]
        self.cut_chars += len(rest) - len(tail)
        self.pieces, self.pieces_chars = [tail], len(tail)
