"""Which pieces of a line are keywords, strings, comments: asked of a process of its own (lexing.py)."""

import json
import subprocess
import sys
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import structlog

PROGRAM = Path(__file__).with_name("lexing.py")
# It ends itself by what it computed; this is for a machine on which it does not come to compute.
ANSWER_MAX_S = 10
TEXT_MAX_CHARS = 1_000_000
LINE_MAX_CHARS = 5000
# What people look at again, or reload; a diff never changes.
KEPT = 16
KINDS = frozenset({"builtin", "comment", "keyword", "name", "number", "string"})
BY_NAME = {
    "BUILD": "python",
    "CMakeLists.txt": "cmake",
    "Containerfile": "docker",
    "Dockerfile": "docker",
    "Gemfile": "ruby",
    "GNUmakefile": "make",
    "Jenkinsfile": "groovy",
    "Makefile": "make",
    "Rakefile": "ruby",
    "WORKSPACE": "python",
}
BY_SUFFIX = {
    "bash": "bash",
    "bazel": "python",
    "bzl": "python",
    "c": "c",
    "cc": "cpp",
    "cfg": "ini",
    "cjs": "javascript",
    "clj": "clojure",
    "cmake": "cmake",
    "cpp": "cpp",
    "cs": "csharp",
    "css": "css",
    "cxx": "cpp",
    "dart": "dart",
    "erl": "erlang",
    "ex": "elixir",
    "exs": "elixir",
    "go": "go",
    "gradle": "groovy",
    "groovy": "groovy",
    "h": "c",
    "hh": "cpp",
    "hpp": "cpp",
    "hs": "haskell",
    "htm": "html",
    "html": "html",
    "ini": "ini",
    "java": "java",
    "js": "javascript",
    "json": "json",
    "jsx": "javascript",
    "kt": "kotlin",
    "kts": "kotlin",
    "less": "less",
    "lua": "lua",
    "mjs": "javascript",
    "mk": "make",
    "ml": "ocaml",
    "nix": "nix",
    "php": "php",
    "pl": "perl",
    "pm": "perl",
    "proto": "protobuf",
    "ps1": "powershell",
    "py": "python",
    "pyi": "python",
    "pyx": "cython",
    "r": "r",
    "rb": "ruby",
    "rs": "rust",
    "scala": "scala",
    "scss": "scss",
    "sh": "bash",
    "sql": "sql",
    "svg": "xml",
    "swift": "swift",
    "tf": "terraform",
    "toml": "toml",
    "ts": "typescript",
    "tsx": "typescript",
    "xml": "xml",
    "yaml": "yaml",
    "yml": "yaml",
    "zig": "zig",
    "zsh": "bash",
}

log = structlog.get_logger()


class Piece(NamedTuple):
    text: str
    kind: str = ""


class Block(NamedTuple):
    """Lines that follow each other, of one side of one file."""

    language: str
    lines: Sequence[str]


def language_of(path: str) -> str:
    """Empty where we know none."""
    name = PurePosixPath(path).name
    return BY_NAME.get(name) or BY_SUFFIX.get(name.rpartition(".")[2].lower(), "")


def coloured(blocks: Sequence[Block]) -> list[list[list[Piece]]]:
    """Of each block its lines in pieces; plain ones where it is too much, or nobody could tell in time."""
    plain = [[[Piece(line)] for line in block.lines] for block in blocks]
    asked = {at: block for at, block in enumerate(blocks) if block.language and is_short(block)}
    if not asked or sum(len(line) + 1 for block in asked.values() for line in block.lines) > TEXT_MAX_CHARS:
        return plain
    told = kinds_of(json.dumps([(block.language, text_of(block)) for block in asked.values()]))
    for (at, block), lines in zip(asked.items(), told, strict=False):
        for place, (line, kinds) in enumerate(zip(block.lines, lines, strict=False)):
            plain[at][place] = pieces(line, kinds)
    return plain


def is_short(block: Block) -> bool:
    return all(len(line) <= LINE_MAX_CHARS for line in block.lines)


def text_of(block: Block) -> str:
    """A newline after the last one, too: many languages end a comment by it."""
    return "".join(f"{line.replace(chr(13), ' ')}\n" for line in block.lines)


@lru_cache(maxsize=KEPT)
def kinds_of(asked: str) -> list[list[list[tuple[str, int]]]]:
    """Nothing, where it took too long or ended otherwise; that is remembered as well."""
    command = [sys.executable, "-I", str(PROGRAM)]
    try:
        done = subprocess.run(
            command, input=asked.encode(), capture_output=True, timeout=ANSWER_MAX_S, check=True
        )
    except subprocess.SubprocessError as error:
        log.info("code stays without colours", error=str(error))
        return []
    told: list[list[list[tuple[str, int]]]] = json.loads(done.stdout)
    return told


def pieces(line: str, kinds: Sequence[tuple[str, int]]) -> list[Piece]:
    """What is not told of the end of a line is plain."""
    found, at = [], 0
    for kind, length in kinds:
        found.append(Piece(line[at : at + length], kind if kind in KINDS else ""))
        at += length
    if line[at:]:
        found.append(Piece(line[at:]))
    return found
