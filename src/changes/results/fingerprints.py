"""What two failures have in common: what was said, without what differs each time, and where. Pure.

A fingerprint is made of the words of the failure and of the innermost place in the project's own code.
The test itself is no part of it: forty tests that cannot reach the database are one cause. Where it
was raised in the test itself, that place tells the tests apart. Numbers of lines are no part either, as
they move with every edit above.
"""

import hashlib
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice

HEAD_CHARACTERS, TAIL_CHARACTERS = 16_384, 16_384
LINE_CHARACTERS = 1000
LINES_MAX = 6
HEADLINE_CHARACTERS = 200
LINES_KNOWN = 2048

# XML cannot hold an escape, so Go's reports have a replacement for it.
ESCAPES = re.compile(
    r"\x1b(?:\[[0-9;:?]{0,40}[@-~]|\][^\x07\x1b]{0,400}(?:\x07|\x1b\\)|[@-Z\\-_])|\ufffd\[[0-9;:?]{0,40}[@-~]"
)
# As formats write the parts of a message: " failure ", between equals signs.
HEADING = re.compile(r"^=+ ([A-Za-z][\w-]{0,40}) =+$")
TELLING = frozenset({"failure", "error", "failed"})

# What differs each time, the longest first. Each stands for itself and cannot backtrack far.
VARIABLE = (
    (re.compile(r"\b[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}\b"), "<id>"),
    (
        re.compile(
            r"\b\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:[.,]\d{1,9})?)?)?(?: ?(?:Z|UTC|[+-]\d\d:?\d\d)\b)?"
        ),
        "<time>",
    ),
    (re.compile(r"\b\d\d:\d\d:\d\d(?:[.,]\d{1,9})?\b"), "<time>"),
    (re.compile(r"\b0x[0-9a-fA-F]{1,32}\b"), "<hex>"),
    (re.compile(r"@[0-9a-f]{4,16}\b"), "@<hex>"),
    (re.compile(r"\b(?=[0-9a-f]{0,63}\d)(?=[0-9]{0,63}[a-f])[0-9a-f]{7,64}\b"), "<hex>"),
    # Where it lies differs from machine to machine; what it is called says more.
    (
        re.compile(r"(?:(?<=[\s\"'`(=,\[])|^)(?:[A-Za-z]:)?(?:[/\\][^\s/\\\"'`:,()<>\[\]]{1,200}){2,40}"),
        "<path>",
    ),
    (re.compile(r"\d+(?:[.,]\d+)*"), "<n>"),
)
SPACES = re.compile(r"\s+")

PYTHON = re.compile(r'^\s*File "(?P<file>[^"]{1,500})", line \d+(?:, in (?P<name>\S{1,200}))?')
PYTEST = re.compile(r"^(?P<file>[^\s:][^:]{0,300}\.py):\d+: (?:in (?P<name>\S{1,200})|\w*)\s*$")
NAMED = re.compile(
    r"^\s+(?:at |in )(?P<name>[^()]{1,300}?)\s?\((?P<file>[^()]{0,500}?)(?::\d+){0,2}\)"
    r"(?: in (?P<where>.{1,400}?):line \d+)?\s*$"
)
BARE_AT = re.compile(r"^\s+at (?P<file>\S[^()]{0,500}?):\d+(?::\d+)?\s*$")
NUMBERED = re.compile(
    r"^\s*(?:#\d* )?"
    r"(?P<file>[\w./\\@+~-]{1,300}\.(?:go|rs|cc|cpp|cxx|c|h|hpp|rb|php|ex|exs|kt|swift|ts|js|py))"
    r"(?::\d+|\(\d+\))(?::\d+)?(?P<rest>[: ].{0,200}|)$"
)
PANICKED = re.compile(r"panicked at (?:'[^']{0,200}', )?(?P<file>[\w./\\-]{1,300}):\d+")
FRAMES = (PYTHON, PYTEST, NAMED, BARE_AT, NUMBERED)
# Those languages tell the innermost place last.
INNERMOST_LAST = (PYTHON, PYTEST)

VENDORED = re.compile(
    r"site-packages|dist-packages|node_modules|/python\d|/lib/ruby/|/gems/|/vendor/|/go/pkg/mod/|/usr/local/go/"
    r"|/usr/lib/|/rustc/|/\.cargo/|<frozen|<string>|^node:|^internal/|_pytest|/unittest/|^runtime/|^testing\.go"
    r"|NativeMethodAccessor|Native Method"
)
VENDORED_NAME = re.compile(
    r"^(?:java|javax|jdk|sun|com\.sun|org\.junit|junit|org\.testng|org\.hamcrest|org\.assertj|org\.opentest4j"
    r"|org\.apache\.maven|org\.gradle|org\.mockito|kotlin|scala|groovy|System|Xunit|NUnit|Microsoft|runtime|testing"
    r"|std|core)[.:/]"
)
PYTEST_LINE = re.compile(r"^E {1,3}(?=\S)|^E {4,}")
CAUSED_BY = re.compile(r"^\s*Caused by: ")
PANICS = ("panic: ", "fatal error: ")
# The line of code that pytest and Jest point at; a test without a name for its place is told by it.
POINTED = re.compile(r"^(?:>[ \t]+(?!\d+ \|)|\s*>\s*\d+ \|)\s*(?P<code>\S.*)$")
NAMELESS = frozenset({"", "Object.<anonymous>", "<anonymous>"})
# What runners say around the words of a test, Go's with its name.
AROUND = (
    *("note: run with", "stack backtrace:", "[Previous line repeated"),
    *("=== RUN ", "=== PAUSE ", "=== CONT ", "=== NAME ", "--- FAIL: ", "--- PASS: ", "--- SKIP: "),
)
# What gotestsum has for a message.
SAYS_NOTHING = "Failed"


@dataclass(frozen=True, slots=True)
class Frame:
    file: str
    name: str
    is_innermost_last: bool

    @property
    def is_own(self) -> bool:
        return not VENDORED.search(self.file) and not VENDORED_NAME.match(self.name)

    @property
    def place(self) -> str:
        """The file by its last two names: the folders above are those of a machine."""
        parts = self.file.replace("\\", "/").split("/")
        return f"{'/'.join(parts[-2:])} {self.name}".strip()


@dataclass(frozen=True, slots=True)
class Print:
    """`headline` and `place` are for people: what the first that was seen said, and where in the code."""

    fingerprint: str
    headline: str
    place: str = ""


def of(message: str) -> Print | None:
    """None for a failure that says nothing: nothing is known to be in common with others."""
    lines = lines_of(message)
    whole = "\n".join(lines)
    said = words(lines, whole)
    place = place_of(lines, whole)
    if not said and not place:
        return None
    normal = [normalised(line) for line in said]
    digest = hashlib.sha1("\n".join([*normal, place]).encode(errors="replace"), usedforsecurity=False)
    return Print(digest.hexdigest(), headline(said) or place, for_people(place))


def lines_of(message: str) -> list[str]:
    """Of the part that tells of the failure, without colours; of a long one both ends."""
    text = message
    if len(text) > HEAD_CHARACTERS + TAIL_CHARACTERS:
        text = f"{text[:HEAD_CHARACTERS]}\n{text[-TAIL_CHARACTERS:]}"
    # Surefire forgets the end of a line there.
    text = without_colours(text).replace("\tat ", "\n\tat ")
    lines = text.splitlines()
    if max(map(len, lines), default=0) > LINE_CHARACTERS:
        lines = [line[:LINE_CHARACTERS] for line in lines]
    lines = list(map(str.rstrip, lines))
    # Most have one, and it stands first.
    asked = enumerate(lines if "\n=" in text else lines[:1])
    headings = [number for number, line in asked if line[:1] == "=" and HEADING.match(line)]
    return telling(lines, headings) or without(lines, headings)


def telling(lines: Sequence[str], headings: Sequence[int]) -> list[str]:
    """What was printed beside it says less, and is different each time."""
    found: list[str] = []
    for begin, end in zip(headings, [*headings[1:], len(lines)], strict=False):
        if lines[begin].strip("= ").lower() in TELLING:
            found += lines[begin + 1 : end]
    return found


def without(lines: Sequence[str], headings: Sequence[int]) -> list[str]:
    left_out = set(headings)
    return [line for number, line in enumerate(lines) if number not in left_out]


def without_colours(text: str) -> str:
    return ESCAPES.sub("", text) if "\x1b" in text or "\ufffd[" in text else text


# Failures of one report go through the same lines.
@lru_cache(maxsize=LINES_KNOWN)
def frame_of(line: str) -> Frame | None:
    panicked = PANICKED.search(line)
    if panicked is not None:
        return Frame(panicked["file"], "", is_innermost_last=False)
    for pattern in FRAMES:
        found = pattern.match(line)
        if found is not None:
            groups = found.groupdict()
            name = normalised(groups.get("name") or "")
            return Frame(groups.get("where") or groups["file"], name, pattern in INNERMOST_LAST)
    return None


def pointed_at(lines: Sequence[str]) -> str:
    found = [each["code"] for line in lines if (each := POINTED.match(line))]
    return found[-1] if found else ""


def with_mark(mark: str, lines: Sequence[str], text: str) -> Sequence[str]:
    """What a line must have is looked for before its pattern, and in all lines at once, as most have none."""
    return [line for line in lines if mark in line] if mark in text else []


def place_of(lines: Sequence[str], text: str) -> str:
    """The innermost in the project's own code. Others' code is no place: it moves with its version."""
    innermost = own_frame(reversed(lines))
    if innermost is None:
        return ""
    if not innermost.is_innermost_last:
        innermost = own_frame(lines) or innermost
    place = innermost.place
    if innermost.name in NAMELESS:
        place = f"{place} {pointed_at(with_mark('>', lines, text))}".strip()
    return re.sub(r"\d+", "<n>", place)


def own_frame(lines: Iterable[str]) -> Frame | None:
    """The first of them; a traceback of thousands is mostly done after a few lines."""
    return next((frame for line in lines if (frame := frame_of(line)) is not None and frame.is_own), None)


def words(lines: Sequence[str], text: str) -> list[str]:
    """What was said, without the code around it."""
    panics = [line for mark in PANICS for line in with_mark(mark, lines, text) if line.startswith(mark)]
    if panics:
        return panics[:1]
    marked = with_mark("E ", lines, text)
    of_pytest = [PYTEST_LINE.sub("", line).strip() for line in marked if PYTEST_LINE.match(line)]
    if of_pytest:
        return [line for line in of_pytest if line][:LINES_MAX]
    caused = with_mark("Caused by: ", lines, text)
    roots = [CAUSED_BY.sub("", line).strip() for line in caused if CAUSED_BY.match(line)]
    if roots:
        return roots[-1:]
    end = traceback_end(lines, text)
    said = after_traceback(lines[end:]) if end else around_frames(lines)
    told = (line for line in said if line != SAYS_NOTHING and not line.startswith(AROUND))
    return list(islice(told, LINES_MAX))


def traceback_end(lines: Sequence[str], text: str) -> int:
    """The number of the line after the last frame of Python; 0 where there is none."""
    frames = [line for line in with_mark('File "', lines, text) if PYTHON.match(line)]
    return len(lines) - lines[::-1].index(frames[-1]) if frames else 0


def after_traceback(rest: Sequence[str]) -> Iterator[str]:
    """Below the last frame stands its code, further in; then, at the margin, what went wrong."""
    begins = next((number for number, line in enumerate(rest) if line and not line[0].isspace()), len(rest))
    return (line.strip() for line in rest[begins:] if line.strip())


def around_frames(lines: Sequence[str]) -> Iterator[str]:
    """Go and googletest say what went wrong in or below the line that says where, the others above it."""
    for line in lines:
        frame = frame_of(line)
        if frame is None and line.strip() and not (">" in line and POINTED.match(line)):
            yield line.strip()
        elif frame is not None:
            numbered = NUMBERED.match(line)
            said = numbered["rest"].strip(": ") if numbered else ""
            if said and not said.startswith(("+", "in ")):
                yield said


def headline(said: Sequence[str]) -> str:
    return for_people(next((line for line in said if any(letter.isalpha() for letter in line)), ""))


def for_people(found: str) -> str:
    clean = found
    if not found.isprintable():
        clean = "".join(letter if letter.isprintable() else " " for letter in found)
    text = SPACES.sub(" ", clean).strip()
    return text if len(text) <= HEADLINE_CHARACTERS else f"{text[: HEADLINE_CHARACTERS - 1]}…"


@lru_cache(maxsize=LINES_KNOWN)
def normalised(line: str) -> str:
    for pattern, stand_in in VARIABLE:
        line = pattern.sub(stand_in, line)
    return SPACES.sub(" ", line).strip()
