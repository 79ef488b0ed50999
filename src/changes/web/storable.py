"""What can be kept and told again: JSON can say more than PostgreSQL and other JSON readers hold."""

from typing import Any

from changes.base.errors import Invalid

DEPTH_MAX = 64
INTEGER_MAX = 2**63 - 1


def refuse_others(value: Any, name: str, depth: int = 0) -> None:
    """`name` is the parameter that is complained about."""
    if depth > DEPTH_MAX:
        raise Invalid(f"{name} is nested deeper than {DEPTH_MAX} levels.", [name])
    if isinstance(value, str):
        refuse_odd_text(value, name)
    elif isinstance(value, (int, float)):
        if not abs(value) <= INTEGER_MAX:
            raise Invalid(f"{name} has a number that is too large.", [name])
    elif isinstance(value, dict):
        for key, each in value.items():
            refuse_odd_text(str(key), name)
            refuse_others(each, name, depth + 1)
    elif isinstance(value, list):
        for each in value:
            refuse_others(each, name, depth + 1)


def refuse_odd_text(text: str, name: str) -> None:
    if "\0" in text:
        raise Invalid(f"{name} has a NUL character, which no text may have.", [name])
    try:
        text.encode()
    except UnicodeEncodeError:
        raise Invalid(f"{name} has half of a surrogate pair, which is no character.", [name]) from None


def without_nul(value: Any) -> Any:
    """For messages of programs, which must arrive whatever a command of theirs printed."""
    if isinstance(value, str):
        return value.replace("\0", "\N{REPLACEMENT CHARACTER}")
    if isinstance(value, dict):
        return {without_nul(key): without_nul(each) for key, each in value.items()}
    return [without_nul(each) for each in value] if isinstance(value, list) else value
