"""Reports of coverage in XML, read in one pass and bounded memory, whichever of three formats it is. Pure.

Most of them begin with a DOCTYPE. It may name a file elsewhere, which nobody fetches; what it declares
itself is refused, as entities are declared nowhere else.
"""

import re
from collections.abc import Iterator
from contextlib import suppress
from typing import BinaryIO
from xml.parsers import expat

from changes.results.formats import clover, cobertura, jacoco
from changes.results.formats.coverage_elements import Elements
from changes.results.formats.line_marks import DEFAULT_LIMITS, CoverageLimits, FileSeen
from changes.results.formats.seen import Malformed, Refused

READ_BYTES = 64 * 1024
# Of one tag with its attributes, or whatever else the parser has to see whole.
TOKEN_MAX_BYTES = 1024 * 1024
DEPTH_MAX = 200
ROOTS = ("coverage", "report")
# Which is UTF-8, though no parser knows it by this name.
MISNAMED = re.compile(rb"""^(?:\xef\xbb\xbf)?\s*<\?xml[^>]{0,200}\sencoding\s*=\s*["'](?i:utf8|utf_8)["']""")


def parse(stream: BinaryIO, *, limits: CoverageLimits = DEFAULT_LIMITS) -> Iterator[FileSeen]:
    """In the order of the file; Malformed comes after those before the fault."""
    document = Document(limits)
    chunk = stream.read(READ_BYTES)
    parser = parser_for(document, chunk)
    try:
        for _ in fed(parser, chunk, stream):
            yield from document.take()
    except expat.ExpatError as error:
        yield from document.take_all()
        raise Malformed(expat.ErrorString(error.code), error.lineno) from None
    except (Refused, LookupError, ValueError) as error:
        # Of an encoding that nobody knows, Python tells by an error of its own.
        yield from document.take_all()
        raise Malformed(str(error), parser.CurrentLineNumber) from None


def fed(parser: expat.XMLParserType, chunk: bytes, stream: BinaryIO) -> Iterator[None]:
    """The file in parts, the last of which is empty; after each there may be something to take."""
    fed_bytes, is_last = 0, False
    while not is_last:
        is_last = not chunk
        parser.Parse(chunk, is_last)
        yield
        fed_bytes += len(chunk)
        if not is_last and fed_bytes - parser.CurrentByteIndex > TOKEN_MAX_BYTES:
            raise Refused(f"a tag has more than {TOKEN_MAX_BYTES} bytes")
        chunk = stream.read(READ_BYTES)


def root_of(beginning: bytes) -> str | None:
    """The name of the first element, if it stands there."""
    seen: list[str] = []
    parser = expat.ParserCreate("utf-8" if MISNAMED.match(beginning) else None)
    parser.StartElementHandler = lambda name, _attributes: seen.append(name)
    # Whoever reads the file tells what is wrong, and where.
    with suppress(expat.ExpatError, LookupError, ValueError):
        parser.Parse(beginning)
    return seen[0] if seen else None


def parser_for(document: "Document", beginning: bytes) -> expat.XMLParserType:
    parser = expat.ParserCreate("utf-8" if MISNAMED.match(beginning) else None)
    parser.StartElementHandler = document.start
    parser.EndElementHandler = document.end
    parser.CharacterDataHandler = document.text
    parser.StartDoctypeDeclHandler = refuse_declarations
    return parser


def refuse_declarations(
    _name: str, _system_id: str | None, _public_id: str | None, has_internal_subset: int
) -> None:
    if has_internal_subset:
        raise Refused("its DOCTYPE declares something, which is not allowed")


class Document:
    """Hears the parser, and passes on what it hears to the format that this is."""

    def __init__(self, limits: CoverageLimits) -> None:
        self.limits = limits
        self.depth = 0
        self.elements: Elements | None = None
        self.root = ""
        self.attributes: dict[str, str] = {}

    def start(self, name: str, attributes: dict[str, str]) -> None:
        self.depth += 1
        if self.elements is None:
            if self.depth == 1:
                self.begin(name, attributes)
                return
            self.elements = self.format_with(name)
        elif self.depth > DEPTH_MAX:
            raise Refused(f"its elements are nested more than {DEPTH_MAX} deep")
        self.elements.start(name, attributes)

    def end(self, name: str) -> None:
        self.depth -= 1
        if self.elements is not None:
            self.elements.end(name)

    def text(self, text: str) -> None:
        if self.elements is not None:
            self.elements.text(text)

    def begin(self, name: str, attributes: dict[str, str]) -> None:
        if name not in ROOTS:
            raise Refused(f"it begins with <{name[:80]}>, as no report of coverage does")
        self.root, self.attributes = name, attributes

    def format_with(self, first_child: str) -> Elements:
        """Cobertura and Clover begin with the same word."""
        if self.root == "report":
            return jacoco.JaCoCo(self.limits)
        is_clover = "clover" in self.attributes or first_child in {"project", "testproject"}
        return clover.Clover(self.limits) if is_clover else cobertura.Cobertura(self.limits)

    def take(self) -> list[FileSeen]:
        return self.elements.take() if self.elements else []

    def take_all(self) -> list[FileSeen]:
        """Also the file in whose middle it broke off."""
        return self.elements.take_all() if self.elements else []
