"""When the lines of the demo's logs were printed: evenly, from the beginning of an attempt to its end."""

from datetime import datetime, timedelta

MS_PER_S = 1000


def read_times(text: bytes, offset: int, size: int, began: datetime, took: timedelta) -> list[int]:
    """Of each line that begins in this part, as logs keep it: bytes and milliseconds in turns."""
    began_ms, took_ms = began.timestamp() * MS_PER_S, took.total_seconds() * MS_PER_S
    times, at = [], offset
    while at < offset + size:
        times += [at, round(began_ms + took_ms * at / len(text))]
        at = text.find(b"\n", at) + 1 or len(text)
    return times
