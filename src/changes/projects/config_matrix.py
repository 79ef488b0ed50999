"""One plan of `.changes.yml` for each combination of values. Pure.

    - name: tests
      matrix:
        PYTHON: ["3.11", "3.14"]
        DATABASE: [postgresql, none]
        exclude: [{PYTHON: "3.11", DATABASE: none}]
      image: "python:{{PYTHON}}"
      commands: [make test]

Values are variables of the commands; `{{NAME}}` stands for them everywhere else.
"""

import re
from collections.abc import Mapping
from itertools import product
from typing import Any

from changes.base.errors import Invalid

AXES_MAX, VALUES_MAX, COMBINATIONS_MAX = 5, 50, 100
# Together they bound what a small file may grow to.
VALUE_LENGTH_MAX, PLACES_MAX = 200, 500
EXCLUDE = "exclude"
AXIS = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}")
# A script finds the values as variables; in it two braces are its own.
LEFT_ALONE = ("commands", "name")

Combination = dict[str, Any]


def combinations(matrix: Any) -> list[Combination]:
    """Raises Invalid in words."""
    if not isinstance(matrix, dict):
        raise Invalid("matrix must be a mapping of names to lists of values")
    axes = {name: values for name, values in matrix.items() if name != EXCLUDE}
    if not axes or len(axes) > AXES_MAX:
        raise Invalid(f"matrix has between 1 and {AXES_MAX} names")
    count = 1
    for name, values in axes.items():
        refuse_axis(name, values)
        count *= len(values)
    # Counted before they are made: five lists of fifty would be three hundred million.
    if count > COMBINATIONS_MAX * 10:
        raise Invalid(f"matrix has {count} combinations; at most {COMBINATIONS_MAX} are possible")
    excluded = exclusions(matrix.get(EXCLUDE, []), axes)
    made = [dict(zip(axes, values, strict=True)) for values in product(*axes.values())]
    left = [each for each in made if not any(fits(each, other) for other in excluded)]
    if not 0 < len(left) <= COMBINATIONS_MAX:
        raise Invalid(f"matrix has {len(left)} combinations; between 1 and {COMBINATIONS_MAX} are possible")
    return left


def refuse_axis(name: str, values: Any) -> None:
    if AXIS.fullmatch(name) is None:
        raise Invalid(f"matrix: {name[:80]!r} is no name that a variable can have")
    if not isinstance(values, list) or not 0 < len(values) <= VALUES_MAX:
        raise Invalid(f"matrix: {name} must be a list of up to {VALUES_MAX} values")
    if any(isinstance(value, dict | list) or value is None for value in values):
        raise Invalid(f"matrix: each value of {name} must be text, a number, true or false")
    if any(len(text_of(value)) > VALUE_LENGTH_MAX for value in values):
        raise Invalid(f"matrix: a value of {name} has more than {VALUE_LENGTH_MAX} characters")


def exclusions(said: Any, axes: Mapping[str, Any]) -> list[Combination]:
    if not isinstance(said, list) or not all(isinstance(each, dict) and each for each in said):
        raise Invalid("matrix: exclude must be a list of mappings of names to values")
    unknown = sorted({name for each in said for name in each} - set(axes))
    if unknown:
        raise Invalid(f"matrix: exclude names {unknown[0]!r}, which the matrix has not")
    return said


def fits(combination: Combination, wanted: Combination) -> bool:
    return all(text_of(combination[name]) == text_of(value) for name, value in wanted.items())


def text_of(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def expanded(plan: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The plan itself where it has no matrix."""
    if "matrix" not in plan:
        return [dict(plan)]
    rest = {key: value for key, value in plan.items() if key != "matrix"}
    if places_in(rest) > PLACES_MAX:
        raise Invalid(f"a plan with a matrix has at most {PLACES_MAX} places for its values")
    return [of_combination(rest, each) for each in combinations(plan["matrix"])]


def of_combination(plan: Mapping[str, Any], combination: Combination) -> dict[str, Any]:
    values = {name: text_of(value) for name, value in combination.items()}
    filled = {key: value if key in LEFT_ALONE else fill(value, values) for key, value in plan.items()}
    name = f"{str(plan['name']).strip()} ({', '.join(values.values())})"
    env = filled.get("env", {})
    # What is no mapping is complained about where the step is read.
    return {**filled, "name": name, "env": {**values, **env} if isinstance(env, dict) else env}


def places_in(value: Any) -> int:
    if isinstance(value, str):
        return value.count("{{")
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return sum(places_in(each) for each in inner)


def fill(value: Any, values: Mapping[str, str]) -> Any:
    if isinstance(value, str):
        for name, each in values.items():
            value = value.replace("{{" + name + "}}", each)
        return value
    if isinstance(value, list):
        return [fill(each, values) for each in value]
    if isinstance(value, dict):
        return {key: each if key == "commands" else fill(each, values) for key, each in value.items()}
    return value
