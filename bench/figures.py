"""What a benchmark answers: our figure, the bare limit of the same run, their ratio, the goal."""

import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal


@dataclass(frozen=True)
class Goal:
    """`next_value` is what comes after the first one is reached."""

    kind: Literal["at most", "at least"]
    value: float
    next_value: float | None = None

    def is_reached(self, measured: float) -> bool:
        return measured <= self.value if self.kind == "at most" else measured >= self.value

    def __str__(self) -> str:
        sign = "<=" if self.kind == "at most" else ">="
        then = f", then {self.next_value:g}" if self.next_value is not None else ""
        return f"{sign} {self.value:g}{then}"


@dataclass(frozen=True)
class Limit:
    """The same thing with nothing of ours in it, measured in the same run."""

    what: str
    value: float


@dataclass(frozen=True)
class Figure:
    name: str
    value: float
    unit: str
    count: int = 1
    p99: float | None = None
    limit: Limit | None = None
    goal: Goal | None = None
    remark: str = ""

    @property
    def ratio(self) -> float | None:
        return self.value / self.limit.value if self.limit and self.limit.value else None

    def line(self) -> str:
        spread = f" (p99 {shown(self.p99)}, n={self.count})" if self.p99 is not None else f" (n={self.count})"
        parts = [f"{self.name:<38} {shown(self.value):>8} {self.unit}{spread:<22}"]
        if self.limit is not None and self.ratio is not None:
            parts.append(f"{self.limit.what} {shown(self.limit.value)}, ratio {shown(self.ratio)}")
        if self.goal is not None:
            verdict = "reached" if self.goal.is_reached(self.value) else "not reached"
            parts.append(f"goal {self.goal}: {verdict}")
        return "; ".join([*parts, *([self.remark] if self.remark else [])])

    def as_json(self) -> dict[str, Any]:
        is_reached = self.goal.is_reached(self.value) if self.goal else None
        return {**asdict(self), "ratio": self.ratio, "goal": str(self.goal or ""), "is_reached": is_reached}


def shown(value: float) -> str:
    """Three figures are all that a run on a shared machine can tell."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def median(values: Sequence[float]) -> float:
    return statistics.median(values)


def p99(values: Sequence[float]) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))]
