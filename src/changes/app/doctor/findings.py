"""What the doctor says: one finding per check."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

EXAMPLES_SHOWN = 5
# More are not counted.
COUNTED_MAX = 1000


class State(StrEnum):
    OK = "ok"
    WARNING = "warning"
    BROKEN = "broken"


@dataclass(frozen=True)
class Finding:
    """`name` is for programs, the rest for people."""

    name: str
    state: State
    text: str
    advice: str = ""
    examples: tuple[str, ...] = ()
    can_be_mended: bool = False


def ok(name: str, text: str) -> Finding:
    return Finding(name, State.OK, text)


def warning(name: str, text: str, advice: str = "") -> Finding:
    return Finding(name, State.WARNING, text, advice)


def broken(name: str, text: str, advice: str = "") -> Finding:
    return Finding(name, State.BROKEN, text, advice)


def counted(rows: Sequence[str]) -> str:
    """`4 are not: a, b, c`."""
    count = f"more than {COUNTED_MAX}" if len(rows) > COUNTED_MAX else str(len(rows))
    more = ", ..." if len(rows) > EXAMPLES_SHOWN else ""
    return f"{count} {'is' if len(rows) == 1 else 'are'} not: {', '.join(rows[:EXAMPLES_SHOWN])}{more}"


def is_sick(findings: Sequence[Finding]) -> bool:
    return any(finding.state == State.BROKEN for finding in findings)
