"""A step of a plan as fields of a form, and back. Pure.

An empty line separates commands; lines that stand together are one script. What these fields
cannot say (a label, a type, a folder for one command) is edited as JSON instead.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from changes.base.errors import Invalid
from changes.builds import recipes
from changes.web.pages.forms import Wrong

FIELDS = ("commands", "artifacts", "timeout", "env", "path")
VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
BLANK_LINES = re.compile(r"\n(?:[ \t]*\n)+")


@dataclass(frozen=True)
class StepFields:
    commands: str = ""
    artifacts: str = ""
    timeout: str = ""
    env: str = ""
    path: str = ""


def to_data(fields: StepFields, kept: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """`kept` is what the step said before; what the form does not show stays."""
    wrong = wrong_fields(fields)
    if wrong:
        raise Wrong(wrong)
    said = {
        "commands": scripts_in(fields.commands),
        "artifacts": lines_in(fields.artifacts),
        "timeout": int(fields.timeout.strip() or 0),
        "env": variables_in(fields.env),
        "path": fields.path.strip(),
    }
    others = {name: value for name, value in (kept or {}).items() if name not in FIELDS}
    return {name: value for name, value in said.items() if value} | others


def wrong_fields(fields: StepFields) -> dict[str, str]:
    found = {
        "commands": "" if scripts_in(fields.commands) else "A plan needs at least one command.",
        "timeout": wrong_timeout(fields.timeout.strip()),
        "env": wrong_variables(fields.env),
        "path": wrong_path(fields.path.strip()),
    }
    return {name: words for name, words in found.items() if words}


def wrong_timeout(text: str) -> str:
    most = recipes.TIMEOUT_MAX_MIN
    is_right = not text or (text.isdecimal() and len(text) <= len(str(most)) and int(text) <= most)
    return "" if is_right else f"Whole minutes, at most {most:,} (a week)."


def wrong_variables(text: str) -> str:
    for line in lines_in(text):
        name, equals, _ = line.partition("=")
        if not equals or VARIABLE.fullmatch(name.strip()) is None:
            return f"“{line}” is not NAME=value."
    return ""


def wrong_path(text: str) -> str:
    try:
        recipes.inside(text)
    except Invalid:
        return "A folder inside of the checkout, such as server/tests."
    return ""


def scripts_in(text: str) -> list[str]:
    blocks = BLANK_LINES.split(text.replace("\r\n", "\n"))
    return [block.strip("\n") for block in blocks if block.strip()]


def lines_in(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.strip()]


def variables_in(text: str) -> dict[str, str]:
    pairs = (line.partition("=") for line in lines_in(text))
    return {name.strip(): value.strip() for name, _, value in pairs}


def from_data(implementation: str, data: Mapping[str, Any]) -> StepFields | None:
    """None where the fields cannot say all of it: reading them back would run something else."""
    try:
        meant = recipes.read(implementation, data)
        fields = written(data)
        said = recipes.read(implementation, to_data(fields, data))
    except Invalid:
        return None
    return fields if said == meant else None


def written(data: Mapping[str, Any]) -> StepFields:
    commands = [recipes.written_out(command)["script"] for command in data.get("commands", [])]
    return StepFields(
        commands="\n\n".join(script.strip("\n") for script in commands),
        artifacts="\n".join(data.get("artifacts", [])),
        timeout=str(data.get("timeout") or ""),
        env="\n".join(f"{name}={value}" for name, value in data.get("env", {}).items()),
        path=data.get("path") or "",
    )


def as_json(data: Mapping[str, Any]) -> str:
    return json.dumps(data, indent=2, ensure_ascii=False)


def from_json(text: str) -> dict[str, Any]:
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise Wrong({"data": f"This is not JSON: {error}."}) from None
    if not isinstance(data, dict):
        raise Wrong({"data": 'This must be a JSON object, such as {"commands": ["make test"]}.'})
    return data
