"""What a plan lets people choose when they ask for a build: its parameters, and their values. Pure.

A parameter becomes a variable of the plan's commands.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from changes.base.errors import Invalid
from changes.projects.secrets import NAME, TAKEN, TAKEN_PREFIX

TYPES = ("text", "number", "flag", "choice")
KEYS = ("name", "type", "default", "choices", "help")
PARAMETERS_MAX, CHOICES_MAX, VALUE_MAX = 50, 100, 10_000
NUMBER = re.compile(r"-?\d{1,18}(\.\d{1,18})?", re.ASCII)
FLAGS = {"true": "true", "1": "true", "yes": "true", "on": "true"} | {
    "false": "false", "0": "false", "no": "false", "off": "false"
}  # fmt: skip


@dataclass(frozen=True)
class Parameter:
    name: str
    type: str = "text"
    default: str = ""
    choices: tuple[str, ...] = ()
    help: str = ""

    def problem(self, value: str) -> str | None:
        if len(value) > VALUE_MAX:
            return f"{self.name} has at most {VALUE_MAX} characters."
        if "\0" in value:
            return f"{self.name}: no variable can hold a NUL."
        if self.type == "number" and NUMBER.fullmatch(value) is None:
            return f"{self.name} must be a number, such as 3 or 2.5; it is {value[:80]!r}."
        if self.type == "flag" and value.lower() not in FLAGS:
            return f"{self.name} must be true or false; it is {value[:80]!r}."
        if self.type == "choice" and value not in self.choices:
            near = get_close_matches(value, self.choices, n=1)
            hint = f", did you mean {near[0]!r}?" if near else ""
            return f"{self.name} must be one of {', '.join(self.choices)}; it is {value[:80]!r}{hint}."
        return None

    def written(self, value: str) -> str:
        """As commands find it."""
        return FLAGS[value.lower()] if self.type == "flag" else value


def values_of(declared: Sequence[Parameter], given: Mapping[str, str]) -> dict[str, str]:
    """The variables of a plan: what was given, else its defaults. Raises Invalid in words."""
    found = {}
    for each in declared:
        value = given.get(each.name, each.default)
        problem = each.problem(value)
        if problem is not None:
            raise Invalid(problem, ["parameters", each.name])
        found[each.name] = each.written(value)
    return found


def read(said: Any) -> list[Parameter]:
    """Raises Invalid with what is wrong with the first that is wrong."""
    if not isinstance(said, list):
        raise Invalid(f"parameters must be a list of mappings with {', '.join(KEYS)}")
    if len(said) > PARAMETERS_MAX:
        raise Invalid(f"a plan has at most {PARAMETERS_MAX} parameters")
    found = [read_one(each) for each in said]
    names = [each.name for each in found]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise Invalid(f"parameters have one name twice: {', '.join(twice)}")
    return found


def read_one(said: Any) -> Parameter:
    if not isinstance(said, dict):
        raise Invalid(f"parameters must be a list of mappings with {', '.join(KEYS)}")
    unknown = sorted(str(key) for key in set(said) - set(KEYS))
    if unknown:
        near = get_close_matches(unknown[0], KEYS, n=1)
        hint = f", did you mean {near[0]!r}?" if near else ""
        raise Invalid(f"a parameter has an unknown key {unknown[0]!r}{hint} (allowed: {', '.join(KEYS)})")
    name = said.get("name")
    if not isinstance(name, str) or NAME.fullmatch(name) is None:
        raise Invalid("a parameter needs a name of letters, digits and _, none of them first a digit")
    if name in TAKEN or name.startswith(TAKEN_PREFIX):
        raise Invalid(f"{name} is a variable that is taken")
    choices = choices_of(name, said.get("choices"))
    kind = said.get("type", "choice" if choices else "text")
    if kind not in TYPES or (kind == "choice") != bool(choices):
        raise Invalid(f"{name}: type must be one of {', '.join(TYPES)}, and a choice has choices")
    help_text = said.get("help") or ""
    if not isinstance(help_text, str):
        raise Invalid(f"{name}: help must be text")
    usual = {"number": "0", "flag": "false", "choice": choices[0] if choices else ""}.get(kind, "")
    found = Parameter(name, kind, text_of(name, said.get("default", usual)), choices, help_text)
    problem = found.problem(found.default)
    if problem is not None:
        raise Invalid(f"the default of {problem.rstrip('.')}")
    return found


def choices_of(name: str, said: Any) -> tuple[str, ...]:
    if said is None:
        return ()
    if not isinstance(said, list) or not 0 < len(said) <= CHOICES_MAX:
        raise Invalid(f"{name}: choices must be a list of up to {CHOICES_MAX} values")
    return tuple(text_of(name, each) for each in said)


def text_of(name: str, value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if not isinstance(value, str | int | float):
        raise Invalid(f"{name}: a value is text, a number, true or false")
    return str(value)


def of_text(text: str) -> list[Parameter]:
    """Of a plan on the server, whose option holds them as JSON."""
    if not text.strip():
        return []
    try:
        said = json.loads(text)
    except (ValueError, RecursionError):
        raise Invalid('parameters must be JSON, such as [{"name": "LEVEL", "default": "1"}]') from None
    return read(said)
