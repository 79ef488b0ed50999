"""When the bytes of a log were read on the machine that ran the step; times by our clock. Pure."""

import re
from datetime import UTC, datetime

TOLD = re.compile(r"\d{1,9}:\d{1,12}(,\d{1,9}:\d{1,12}){0,999}")


def read(text: str, *, offset: int, size: int, now_ms: int) -> list[int]:
    """Bytes and milliseconds since 1970 in turns, as it is stored. What makes no sense is left out: a log
    without times is worth more than none.
    """
    if not TOLD.fullmatch(text):
        return []
    told = (pair.split(":") for pair in text.split(","))
    marks = {offset + int(place): now_ms - int(ago_ms) for place, ago_ms in told if int(place) < size}
    return [number for place in sorted(marks) for number in (place, max(0, marks[place]))]


def since(times: list[int], offset: int) -> list[int]:
    """For the rest of a piece of which the beginning is stored already."""
    pairs = list(zip(times[::2], times[1::2], strict=True))
    before = [at for place, at in pairs if place <= offset]
    first = [(offset, before[-1])] if before else []
    return [number for pair in (*first, *(each for each in pairs if each[0] > offset)) for number in pair]


def pairs(times: list[int] | None) -> list[tuple[int, datetime]]:
    """From which byte on, and when."""
    told = times or []
    return [
        (place, datetime.fromtimestamp(at_ms / 1000, UTC))
        for place, at_ms in zip(told[::2], told[1::2], strict=True)
    ]
