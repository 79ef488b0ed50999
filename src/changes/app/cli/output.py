"""How commands speak: data on standard output, everything else on standard error."""

import json
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

REFUSED = 1
WRONG_USAGE = 2
NOT_REACHABLE = 3
NOT_ALLOWED = 4
# Names of tests, messages and labels are other people's: a terminal must not obey them, nor turn them around.
CONTROLS = (*range(0x20), *range(0x7F, 0xA0), *range(0x202A, 0x202F), *range(0x2066, 0x206A))
HARMLESS = dict.fromkeys(CONTROLS, "\N{REPLACEMENT CHARACTER}") | {ord("\n"): "\n", ord("\t"): "\t"}


def fail(text: str, code: int = REFUSED) -> NoReturn:
    sys.stderr.write(f"changes: {harmless(text)}\n")
    raise SystemExit(code)


def say(text: str) -> None:
    write(harmless(text))


def tell(text: str) -> None:
    """Progress, for people; never mixed into what a script reads."""
    sys.stderr.write(f"{harmless(text)}\n")
    sys.stderr.flush()


def say_json(data: Any) -> None:
    write(json.dumps(data, indent=2, ensure_ascii=False))


def write(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def harmless(text: str) -> str:
    return text.translate(HARMLESS)


def table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Columns as wide as their widest word; nothing more is needed to read them."""
    lines = [list(head), *([" ".join(str(cell).splitlines()) for cell in row] for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    for line in lines:
        say("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


def minute_of(time: str | None) -> str:
    """Of a time as the API has it (UTC), what people read; empty where there was none."""
    return (time or "")[:16].replace("T", " ")
