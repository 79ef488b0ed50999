"""Phases that a step tells of when it has ended: what one long script did, with times and results. Pure.

The original made JobPhases of them in retrospect, which its own manual calls confusing. Here they
stay with the attempt that told of them, so they neither run nor wait nor come after each other;
readers find them behind the phase of that attempt.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from changes.base import plain
from changes.base.errors import Invalid

FILE = "phases.json"
PHASES_MAX = 500
SIZE_MAX_BYTES = 1024 * 1024
LABEL_MAX = 128
# Longer than any step runs; beyond it a clock is wrong.
DURATION_MAX_S = 30 * 24 * 3600


@dataclass(frozen=True)
class ToldPhase:
    name: str
    return_code: int
    # None where only one of the two times was told.
    duration_ms: int | None

    @property
    def is_failed(self) -> bool:
        return self.return_code != 0


def of(data: Mapping[str, Any]) -> list[ToldPhase]:
    """What is kept beside a step, in the order it was told."""
    return [ToldPhase(**each) for each in data.get("phases", ())]


def read(text: str) -> list[dict[str, Any]]:
    """Name, exit code and how long each took; when, is by the clock of the machine and not kept."""
    if len(text) > SIZE_MAX_BYTES:
        raise Invalid(f"it is larger than {SIZE_MAX_BYTES // 1024} KiB")
    try:
        data = json.loads(text)
    except json.JSONDecodeError as error:
        raise Invalid(f"it is not JSON: line {error.lineno}, column {error.colno}: {error.msg}") from None
    except (RecursionError, ValueError) as error:
        raise Invalid(f"it is not JSON: {error}") from None
    if not isinstance(data, list) or len(data) > PHASES_MAX:
        raise Invalid(f"it must be a list of at most {PHASES_MAX} phases")
    problem = plain.problem(data)
    if problem:
        raise Invalid(problem)
    return [read_phase(number, phase) for number, phase in enumerate(data, start=1)]


def read_phase(number: int, phase: Any) -> dict[str, Any]:
    if not isinstance(phase, dict) or not isinstance(phase.get("name"), str) or not phase["name"].strip():
        raise Invalid(f"phase {number}: it must be a mapping with a name")
    code = phase.get("retcode", 0)
    if type(code) is not int:
        raise Invalid(f"phase {number}: retcode must be a whole number")
    return {
        "name": phase["name"].strip()[:LABEL_MAX],
        "return_code": code,
        "duration_ms": duration_ms(number, phase),
    }


def duration_ms(number: int, phase: Mapping[str, Any]) -> int | None:
    start, end = phase.get("startTime"), phase.get("endTime")
    if start is None or end is None:
        return None
    if not is_moment(start) or not is_moment(end) or not 0 <= end - start <= DURATION_MAX_S:
        raise Invalid(
            f"phase {number}: startTime and endTime must be seconds, the second not before the first"
        )
    took_s: float = end - start
    return round(took_s * 1000)


def is_moment(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def failed(phases: list[dict[str, Any]]) -> dict[str, Any] | None:
    """The first, because what came after it could not go well."""
    return next((phase for phase in phases if phase["return_code"] != 0), None)
