"""Which values we can keep: what comes from files and requests is checked before it reaches a row.

PostgreSQL stores neither NUL nor half of a surrogate pair, and JSON knows no dates and no infinities.
"""

import math
from typing import Any

DEPTH_MAX = 50
NUMBER_MAX = 2**63 - 1


def problem(value: Any, depth: int = 0) -> str | None:
    """The first thing in it that cannot be kept, in words."""
    if depth > DEPTH_MAX:
        return f"values are nested more than {DEPTH_MAX} deep"
    if isinstance(value, dict):
        odd = [f"{name!r} is not text, put it in quotes" for name in value if not isinstance(name, str)]
        return odd[0] if odd else first_problem([*value, *value.values()], depth)
    if isinstance(value, list):
        return first_problem(value, depth)
    return problem_of_one(value)


def first_problem(values: list[Any], depth: int) -> str | None:
    return next(filter(None, (problem(value, depth + 1) for value in values)), None)


def problem_of_one(value: Any) -> str | None:
    if isinstance(value, str):
        return None if is_text(value) else "text holds a character that cannot be stored"
    if isinstance(value, float):
        return None if math.isfinite(value) else f"{value} is not a number"
    if isinstance(value, int):
        return None if abs(value) <= NUMBER_MAX else "a number is too large"
    return None if value is None else f"{value} is no plain value, put it in quotes"


def is_text(value: str) -> bool:
    return "\0" not in value and not any("\ud800" <= character <= "\udfff" for character in value)
