"""What is wrong with a file of YAML, in words for whoever wrote it; pure."""

import yaml

from changes.base.errors import Invalid
from changes.base.plain import DEPTH_MAX

TOO_DEEP = f"values are nested more than {DEPTH_MAX} deep"
HINTS = {
    "'\\t' that cannot start any token": "indent with spaces, not with tabs",
    "mapping values are not allowed here": "a text with a colon in it needs quotes",
    "expected a single document": "only one document is read, so without ---",
}


def told(error: Exception, text: str) -> str:
    if isinstance(error, yaml.MarkedYAMLError):
        return at(error.problem_mark or error.context_mark, marked(error))
    if isinstance(error, yaml.reader.ReaderError):
        line = text.count("\n", 0, error.position) + 1
        return f"line {line}: it holds the character #x{error.character:04x}, which no text may hold"
    if isinstance(error, RecursionError):
        return TOO_DEEP
    return " ".join(str(error).split())


def marked(error: yaml.MarkedYAMLError) -> str:
    problem = ", ".join(part for part in (error.context, error.problem) if part)
    hint = next((words for sign, words in HINTS.items() if sign in problem), "")
    return f"{problem} ({hint})" if hint else problem


def value_refused(mark: yaml.Mark | None, error: ValueError) -> Invalid:
    """What looks like a number or a date, and is none."""
    words = "a number is too large" if "digits" in str(error) else str(error)
    return Invalid(at(mark, words))


def at(mark: yaml.Mark | None, words: str) -> str:
    return f"line {mark.line + 1}, column {mark.column + 1}: {words}" if mark else words
