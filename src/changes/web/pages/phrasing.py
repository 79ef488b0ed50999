"""Figures and moments as people read them. Pure: whoever knows the clock passes it in."""

import math
import zlib
from datetime import UTC, datetime
from urllib.parse import urlsplit

NOTHING = "\N{EN DASH}"
MINUTE_S, HOUR_S, DAY_S = 60, 3600, 86400
# From here on a date says more than a number of days.
DATE_AFTER_S = 30 * DAY_S
EXACT_BELOW_S = 10
EXACT_BELOW = 10
STALE_AFTER_DAYS = 30
KILO = 1000
GIST_CHARACTERS = 160
UNITS = ("kB", "MB", "GB", "TB")
AVATAR_COLOURS = 8
# Of percent: less is told as no change.
POINTS_LEAST = 0.05


def duration(seconds: float | None) -> str:
    """At most two units, so that a column of them is read at a glance."""
    if seconds is None:
        return NOTHING
    if seconds < 1:
        return f"{max(0, round(seconds * 1000))} ms"
    return f"{seconds:.1f} s" if seconds < EXACT_BELOW_S else long_duration(round(seconds))


def long_duration(seconds: int) -> str:
    if seconds < MINUTE_S:
        return f"{seconds} s"
    if seconds < HOUR_S:
        return two_units(seconds // MINUTE_S, "min", seconds % MINUTE_S, "s")
    if seconds < DAY_S:
        return two_units(seconds // HOUR_S, "h", seconds % HOUR_S // MINUTE_S, "min")
    return two_units(seconds // DAY_S, "d", seconds % DAY_S // HOUR_S, "h")


def two_units(large: int, large_unit: str, small: int, small_unit: str) -> str:
    return f"{large} {large_unit} {small} {small_unit}" if small else f"{large} {large_unit}"


def machine_duration(seconds: float) -> str:
    """As the datetime attribute of a time element wants it."""
    return f"PT{max(0.0, seconds):.3f}S"


def ago(moment: datetime, now: datetime) -> str:
    seconds = (now - moment).total_seconds()
    if abs(seconds) >= DATE_AFTER_S:
        return f"{moment.astimezone(UTC).day} {moment.astimezone(UTC):%b %Y}"
    size = rough(abs(seconds))
    if size is None:
        return "just now"
    return f"{size} ago" if seconds > 0 else f"in {size}"


def stale(last: datetime | None, now: datetime) -> str:
    """What a reader should know before trusting an old verdict; empty where it is fresh."""
    if last is None:
        return "No build yet"
    days = int((now - last).total_seconds() // DAY_S)
    return f"No build in the last {STALE_AFTER_DAYS} days" if days >= STALE_AFTER_DAYS else ""


def share(part: float | None) -> str:
    """Whole percents; all and nothing are only said where they are true."""
    if part is None:
        return NOTHING
    percent = round(part * 100)
    if percent in {0, 100} and part not in {0.0, 1.0}:
        return "< 1 %" if percent == 0 else "> 99 %"
    return f"{percent} %"


def percent(part: float | None) -> str:
    """To a tenth, and never rounded up to all of it."""
    return NOTHING if part is None else f"{math.floor(part * 1000) / 10:.1f} %"


def points(more: float | None) -> str:
    """Of percent, by which something grew."""
    if more is None:
        return NOTHING
    return "no change" if abs(more) < POINTS_LEAST else f"{more:+.1f} points".replace("-", "\N{MINUS SIGN}")


def gist(text: str) -> str:
    """The line of a message that says the most in a list: the first that is no frame or heading."""
    told = [line.strip() for line in text.split("\n") if line.strip()]
    spoken = [line for line in told if line[0].isalnum() or line[0] in "<'\"([{"]
    return (spoken or told or [""])[0][:GIST_CHARACTERS]


def tracker(url: str) -> str:
    """What a ticket is called: where it is, and the end of its address."""
    parts = urlsplit(url)
    end = parts.path.rstrip("/").rpartition("/")[2][:GIST_CHARACTERS]
    return f"{parts.hostname} {end}".strip()


def size(count: int) -> str:
    """Bytes, in units of a thousand."""
    if count < KILO:
        return counted(count, "byte")
    power = min(len(UNITS), (len(str(count)) - 1) // 3)
    value = count / KILO**power
    return f"{value:.1f} {UNITS[power - 1]}" if value < EXACT_BELOW else f"{value:,.0f} {UNITS[power - 1]}"


def rough(seconds: float) -> str | None:
    if seconds < MINUTE_S:
        return None
    for unit_s, name in ((DAY_S, "d"), (HOUR_S, "h"), (MINUTE_S, "min")):
        if seconds >= unit_s:
            return f"{int(seconds // unit_s)} {name}"
    return None


def exact(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def machine_time(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def number(count: int) -> str:
    return f"{count:,}"


def counted(count: int, word: str, plural: str = "") -> str:
    return f"{number(count)} {word if count == 1 else plural or word + 's'}"


def initials(name: str) -> str:
    """Of the first and the last word; an address counts as its part before the @."""
    words = [each for each in name.partition("@")[0].replace(".", " ").replace("_", " ").split() if each]
    if not words:
        return "?"
    return (words[0][0] + (words[-1][0] if len(words) > 1 else "")).upper()


def avatar_colour(name: str) -> int:
    """The same person has the same colour on every page and every machine."""
    return zlib.crc32(name.casefold().encode()) % AVATAR_COLOURS
