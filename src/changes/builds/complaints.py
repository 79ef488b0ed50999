"""What is wrong with the data of a step or with what a collecting command printed. Pure.

Each complaint knows the way to the value it is about, so that a form can put it beside its
field and `.changes.yml` can name its line.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import PurePosixPath
from typing import Any

from changes.base.errors import Invalid

# Names and positions, as in ("commands", 1, "script"); positions count from 0.
Way = tuple[str | int, ...]
SINGULAR = {"commands": "command", "other_repos": "repository", "tests": "test", "steps": "step"}
NUMBER_MAX = 2**31 - 1


@dataclass(frozen=True)
class Wrong:
    way: Way
    text: str

    @property
    def field(self) -> str:
        """`commands.1.script`: what a form calls the value."""
        return ".".join(str(each) for each in self.way)

    @property
    def sentence(self) -> str:
        """Positions count from 1 for people, and the innermost name stands in the text itself."""
        places = [
            f"{SINGULAR.get(str(name), name)} {number + 1}: "
            for name, number in zip(self.way, self.way[1:], strict=False)
            if isinstance(number, int)
        ]
        return "".join(places) + self.text


class WrongData(Invalid):
    """Everything that is wrong at once; `problems` names the fields, one for each complaint."""

    def __init__(self, wrong: Sequence[Wrong], prefix: str) -> None:
        super().__init__(
            prefix + "; ".join(each.sentence for each in wrong),
            list(dict.fromkeys(["data", *(f"data.{each.field}" for each in wrong if each.way)])),
        )
        self.wrong = list(wrong)


def unknown_names(fields: Mapping[str, Any], allowed: Collection[str], way: Way = ()) -> list[Wrong]:
    return [
        Wrong((*way, name), f"unknown field {name!r}{meant(name, allowed)}")
        for name in sorted(set(fields) - set(allowed))
    ]


def meant(name: str, allowed: Collection[str]) -> str:
    near = get_close_matches(name, allowed, n=1)
    hint = f", did you mean {near[0]!r}?" if near else ""
    return f"{hint} (allowed: {', '.join(sorted(allowed))})"


def wrong_number(fields: Mapping[str, Any], name: str, most: int = NUMBER_MAX, way: Way = ()) -> list[Wrong]:
    value = fields.get(name, 0)
    # Not isinstance: True is an int, and nobody means 1 by it.
    if type(value) is int and 0 <= value <= most:
        return []
    return [Wrong((*way, name), f"{name} must be a whole number from 0 to {most}")]


def wrong_text(fields: Mapping[str, Any], name: str, way: Way = ()) -> list[Wrong]:
    if isinstance(fields.get(name), str | None):
        return []
    return [Wrong((*way, name), f"{name} must be text")]


def wrong_flag(fields: Mapping[str, Any], name: str, way: Way = ()) -> list[Wrong]:
    if isinstance(fields.get(name, False), bool):
        return []
    return [Wrong((*way, name), f"{name} must be true or false")]


def wrong_path(fields: Mapping[str, Any], name: str, way: Way = ()) -> list[Wrong]:
    wrong = wrong_text(fields, name, way)
    if wrong:
        return wrong
    try:
        inside(fields.get(name) or "")
    except Invalid as error:
        return [Wrong((*way, name), error.message)]
    return []


def wrong_texts(fields: Mapping[str, Any], name: str, what: str, way: Way = ()) -> list[Wrong]:
    value = fields.get(name, [])
    if isinstance(value, list) and all(isinstance(each, str) for each in value):
        return []
    return [Wrong((*way, name), f"{name} must be a list of {what}")]


def wrong_variables(fields: Mapping[str, Any], name: str = "env", way: Way = ()) -> list[Wrong]:
    env = fields.get(name, {})
    if not isinstance(env, dict) or any(isinstance(value, (dict, list)) for value in env.values()):
        return [Wrong((*way, name), f"{name} must be a mapping of names to plain values")]
    if any(not each or "=" in each for each in env):
        return [Wrong((*way, name), f"{name} has a name that no variable can have")]
    return []


def inside(path: str) -> str:
    """Paths are relative to the checkout and stay in it."""
    parts = PurePosixPath(path)
    if parts.is_absolute() or ".." in parts.parts:
        raise Invalid(f"path {path!r} must stay inside the checkout")
    return "" if str(parts) == "." else str(parts)
