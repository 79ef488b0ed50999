"""How commands speak: data on standard output, everything else on standard error."""

import json
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

REFUSED = 1
WRONG_USAGE = 2
NOT_REACHABLE = 3
NOT_ALLOWED = 4


def fail(text: str, code: int = REFUSED) -> NoReturn:
    sys.stderr.write(f"changes: {text}\n")
    raise SystemExit(code)


def say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def tell(text: str) -> None:
    """Progress, for people; never mixed into what a script reads."""
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


def say_json(data: Any) -> None:
    say(json.dumps(data, indent=2, ensure_ascii=False))


def table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Columns as wide as their widest word; nothing more is needed to read them."""
    lines = [list(head), *([str(cell) for cell in row] for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    for line in lines:
        say("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())
