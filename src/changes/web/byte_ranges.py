"""Which bytes of a file are asked for, by the header Range. Pure, but for the answers' headers."""

import re
from dataclasses import dataclass

ONE = re.compile(r"bytes=([0-9]{0,18})-([0-9]{0,18})")
WHOLE, PART, NOT_THERE = 200, 206, 416


@dataclass(frozen=True)
class Span:
    """From `begin` to before `end`, of so many."""

    begin: int
    end: int
    size: int
    status: int = WHOLE

    @property
    def headers(self) -> dict[str, str]:
        headers = {"Accept-Ranges": "bytes", "Content-Length": str(self.end - self.begin)}
        if self.status == PART:
            headers["Content-Range"] = f"bytes {self.begin}-{self.end - 1}/{self.size}"
        if self.status == NOT_THERE:
            headers["Content-Range"] = f"bytes */{self.size}"
        return headers


def span_of(asked: str | None, size: int) -> Span:
    """What cannot be understood, or asks for several parts, is answered with the whole, as HTTP allows."""
    found = ONE.fullmatch(asked.replace(" ", "")) if asked else None
    if found is None or not any(found.groups()):
        return Span(0, size, size)
    first, last = found.groups()
    if not first:
        begin, end = max(0, size - int(last)), size
    else:
        begin, end = int(first), min(int(last) + 1, size) if last else size
    if last and first and int(last) < int(first):
        return Span(0, size, size)
    return Span(begin, end, size, PART) if begin < end else Span(0, 0, size, NOT_THERE)
