"""`.changes.yml` as a JSON Schema, for editors: made of what the server itself checks. Pure."""

from typing import Any

from changes.builds import coverage_gate, housing, terms, triggers_rules
from changes.builds.implementations import BY_NAME, DEFAULT, Field
from changes.builds.rules import CommandType
from changes.projects import config, config_matrix, log_lines, parameters
from changes.projects.options import COVERAGE_WAYS, PERCENT_MAX
from changes.projects.plan_options import (
    GROUP_MAX,
    INCREMENT_MAX_S,
    LOOK_TESTS_LIMIT,
    LOOK_TIMES_MAX,
    TIMES_MAX,
    VANISHED_WAYS,
)

Schema = dict[str, Any]

TEXT: Schema = {"type": "string"}
TEXTS: Schema = {"type": "array", "items": TEXT}
PLAIN: Schema = {"type": ["string", "number", "boolean", "null"]}
VARIABLES: Schema = {"type": "object", "additionalProperties": PLAIN}


def schema() -> Schema:
    step = {each.name: of_field(each) for each in BY_NAME[DEFAULT].fields}
    plan = {"name": {**TEXT, "minLength": 1, "maxLength": config.NAME_MAX}, **step, **of_job()}
    plan["steps"] = {
        "type": "array",
        "maxItems": config.STEPS_MAX,
        "description": "Phases, one after the other; each has the keys of a step.",
        "items": {"type": "object", "properties": step, "additionalProperties": False},
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": config.FILE_NAME,
        "description": "Plans of Changes that live in the repository.",
        "type": "object",
        "required": ["plans"],
        "additionalProperties": False,
        "properties": {
            "plans": {
                "type": "array",
                "maxItems": config.PLANS_MAX,
                "items": {
                    "type": "object",
                    "required": ["name"],
                    "additionalProperties": False,
                    "properties": plan,
                },
            },
            "result": {"enum": list(config.RESULTS), "description": "What a build needs to pass."},
        },
    }


def of_field(field: Field) -> Schema:
    said: dict[str, Schema] = {
        "commands": {"type": "array", "items": {"anyOf": [TEXT, command()]}},
        "number": {"type": "integer", "minimum": 0, "maximum": field.most},
        "flag": {"type": "boolean"},
        "variables": VARIABLES,
        "patterns": TEXTS,
        "paths": TEXTS,
        "mapping": {"type": "object"},
        "repositories": {"type": "array", "items": {"type": "object", "required": ["repo", "path"]}},
    }
    found = said.get(field.kind, {})
    if field.name == "sandbox":
        found = {"enum": list(housing.SANDBOXES)}
    elif not found:
        # What kinds there will be is not known here; whatever is none of these is checked by the server.
        found = TEXT if field.kind in ("text", "path") else {}
    return {**found, "description": field.help}


def command() -> Schema:
    return {
        "type": "object",
        "required": ["script"],
        "additionalProperties": False,
        "properties": {
            "script": TEXT,
            "label": TEXT,
            "path": TEXT,
            "env": VARIABLES,
            "artifacts": TEXTS,
            "type": {"enum": [each.name.lower() for each in CommandType]},
        },
    }


def of_job() -> dict[str, Schema]:
    flag: Schema = {"type": "boolean"}
    return {
        "needs": {**TEXTS, "description": "Names of plans whose jobs must pass first."},
        "optional": {**flag, "description": "Its failure does not count where only the required ones do."},
        "group": {**TEXT, "maxLength": GROUP_MAX, "description": "Steps that name it share its limit."},
        "retry": retry(),
        "second_look": second_look(),
        "expect_tests": {**flag, "description": "A last step that reports no tests has failed."},
        "vanished_tests": {
            "enum": list(VANISHED_WAYS),
            "description": "What becomes of a job without tests that ran before.",
        },
        "cancel_superseded": {**flag, "description": "A newer build of the branch ends this job."},
        "selective": {**flag, "description": "Targets of Bazel that are not affected are not run."},
        "coverage": coverage(),
        "triggers": triggers(),
        "parameters": of_parameters(),
        "owners": {**TEXTS, "description": "Whom to ask about it."},
        "log_errors": of_log_errors(),
        "matrix": matrix(),
    }


def retry() -> Schema:
    return {
        "type": "object",
        "additionalProperties": False,
        "properties": {
            "times": {"type": "integer", "minimum": 0, "maximum": TIMES_MAX},
            "increment": {"type": "integer", "minimum": 0, "maximum": INCREMENT_MAX_S},
            "patterns": TEXTS,
        },
    }


def second_look() -> Schema:
    return {
        "type": "object",
        "additionalProperties": False,
        "description": "New failures are run again alone before their step has failed.",
        "properties": {
            "times": {"type": "integer", "minimum": 0, "maximum": LOOK_TIMES_MAX},
            "command": {**TEXT, "description": "With {tests}; without it the whole step is run once more."},
            "tests_max": {"type": "integer", "minimum": 0, "maximum": LOOK_TESTS_LIMIT},
        },
    }


def coverage() -> Schema:
    percent = {"type": "integer", "minimum": 0, "maximum": PERCENT_MAX}
    least, of_patch, below = coverage_gate.FIELDS
    return {
        "type": "object",
        "additionalProperties": False,
        "description": "How much of the code has to run, in percent.",
        "properties": {
            least: percent,
            of_patch: {**percent, "description": "Of the lines that the change adds."},
            below: {"enum": list(COVERAGE_WAYS)},
        },
    }


def triggers() -> Schema:
    events = {"type": "array", "items": {"enum": [kind.value for kind in triggers_rules.Kind]}}
    keys = {key: events if key == "events" else TEXTS for key in terms.TRIGGER_KEYS}
    told = "For what it is run: empty is everything."
    return {"type": "object", "additionalProperties": False, "properties": keys, "description": told}


def of_parameters() -> Schema:
    return {
        "type": "array",
        "maxItems": parameters.PARAMETERS_MAX,
        "description": "What may be chosen when a build is asked for; variables of the commands.",
        "items": {
            "type": "object",
            "required": ["name"],
            "additionalProperties": False,
            "properties": {
                "name": {**TEXT, "pattern": "^[A-Za-z_][A-Za-z0-9_]*$"},
                "type": {"enum": list(parameters.TYPES)},
                "default": PLAIN,
                "choices": {"type": "array", "items": PLAIN, "maxItems": parameters.CHOICES_MAX},
                "help": TEXT,
            },
        },
    }


def of_log_errors() -> Schema:
    pattern = {**TEXT, "minLength": 1, "maxLength": log_lines.PATTERN_MAX}
    name = {**TEXT, "maxLength": log_lines.NAME_MAX}
    severity = {"enum": list(log_lines.SEVERITIES)}
    mapping: Schema = {
        "type": "object",
        "required": ["pattern"],
        "additionalProperties": False,
        "properties": {"pattern": pattern, "name": name, "severity": severity},
    }
    return {
        "type": "array",
        "maxItems": log_lines.PATTERNS_MAX,
        "description": "Regular expressions (RE2) of lines that tell what went wrong.",
        "items": {"anyOf": [pattern, mapping]},
    }


def matrix() -> Schema:
    values = {"type": "array", "minItems": 1, "maxItems": config_matrix.VALUES_MAX, "items": PLAIN}
    exclude = {"type": "array", "items": {"type": "object"}}
    return {
        "type": "object",
        "description": "One plan for each combination of these values.",
        "properties": {config_matrix.EXCLUDE: exclude},
        "additionalProperties": values,
    }
