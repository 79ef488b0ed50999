"""A program of its own: tells of which kind each piece of a line of code is, and is ended if that takes long.

The code is somebody else's, and no regular expression is safe from all of it; so what reads it is a
process that may be killed, and that knows nothing but the text. Reads JSON, `[[language, text], ...]`,
and answers of each text its lines as `[[kind, length], ...]`. Started by its path, without any part of ours.
"""

import json
import resource
import sys

from pygments.lexers import find_lexer_class_by_name
from pygments.token import Comment, Keyword, Literal, Name, Number, Operator, String, _TokenType

CPU_MAX_S = 2
MEMORY_MAX_BYTES = 1024 * 1024 * 1024
KINDS = {
    Comment: "comment",
    Comment.Preproc: "builtin",
    Keyword: "keyword",
    Literal.Date: "number",
    Name.Attribute: "name",
    Name.Builtin: "builtin",
    Name.Class: "name",
    Name.Decorator: "name",
    Name.Exception: "builtin",
    Name.Function: "name",
    Name.Tag: "keyword",
    Number: "number",
    Operator.Word: "keyword",
    String: "string",
}
Lines = list[list[tuple[str, int]]]


def main() -> None:
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_MAX_S, CPU_MAX_S))
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_MAX_BYTES, MEMORY_MAX_BYTES))
    json.dump([lines(language, text) for language, text in json.load(sys.stdin.buffer)], sys.stdout)


def lines(language: str, text: str) -> Lines:
    lexer = find_lexer_class_by_name(language)()
    told: Lines = [[]]
    for _, token, value in lexer.get_tokens_unprocessed(text):
        kind = kind_of(token)
        first, *rest = value.split("\n")
        add(told[-1], kind, first)
        for piece in rest:
            told.append([])
            add(told[-1], kind, piece)
    return told


def kind_of(token: _TokenType) -> str:
    """Of its own, or of what it is a kind of."""
    return next((KINDS[each] for each in reversed(token.split()) if each in KINDS), "")


def add(line: list[tuple[str, int]], kind: str, piece: str) -> None:
    if line and line[-1][0] == kind:
        line[-1] = (kind, line[-1][1] + len(piece))
    elif piece:
        line.append((kind, len(piece)))


if __name__ == "__main__":
    main()
