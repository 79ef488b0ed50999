"""Characters that are not seen, or turn round what is seen: a reader must be told of them. Pure."""

import re
from collections.abc import Iterator

# What a terminal or an editor would obey or swallow, what turns the direction of writing, what takes no room;
# and, as half of a pair that there cannot be, each byte that is no character (errors="surrogateescape").
UNSEEN = re.compile(
    "([\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b"
    "\u200e\u200f\u2028-\u202e\u2060-\u206f\u3164\ufeff\uffa0\ufff9-\ufffb\U000e0000-\U000e0fff])\\1*|[\udc80-\udcff]+"
)
NAMES = {"\0": "NUL", "\r": "CR", "\x1b": "ESC", "\x7f": "DEL"}
FIRST_ESCAPED, BYTES_NAMED = 0xDC00, 8


def parts(text: str) -> Iterator[tuple[str, bool]]:
    """The text in order, and between it the names of what is not seen, which are told by True."""
    end = 0
    for odd in UNSEEN.finditer(text):
        if odd.start() > end:
            yield text[end : odd.start()], False
        yield name(odd), True
        end = odd.end()
    if end < len(text):
        yield text[end:], False


def name(odd: re.Match[str]) -> str:
    """One name for a row of the same; bytes that are no text are told one by one, unless there are many."""
    count = odd.end() - odd.start()
    if odd[1] is None:
        told = "".join(f"\\x{ord(each) - FIRST_ESCAPED:02x}" for each in odd[0][:BYTES_NAMED])
        return told if count <= BYTES_NAMED else f"{told} and {count - BYTES_NAMED:,} bytes more"
    each = NAMES.get(odd[1]) or f"U+{ord(odd[1]):04X}"
    return each if count == 1 else f"{each}, {count:,} times"
