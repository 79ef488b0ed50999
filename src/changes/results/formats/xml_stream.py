"""XML of other people, read in one pass and bounded memory: no entities, no network, no DOCTYPE.

A target hears the parser and gathers tests; what a fault in the file leaves of them is handed on.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from threading import Lock
from typing import BinaryIO, Protocol, cast

from lxml import etree

from changes.results.formats.seen import Malformed, Refused, TestSeen

READ_BYTES = 64 * 1024
# Where the first element usually is.
FIRST_BYTES = 4 * 1024
# lxml lets other threads run, and takes the interpreter back for each element of whom it tells us. Two files
# that are parsed at the same time hand it to each other so often that both together take a fifth longer.
ONE_AT_A_TIME = Lock()
DECLARED_ENCODING = re.compile(
    rb"""^(?:\xef\xbb\xbf)?<\?xml[^>]*?\sencoding\s*=\s*["']([A-Za-z0-9._:-]+)["']"""
)


class Target(Protocol):
    """Hears the parser and gathers finished tests until they are taken."""

    def take(self) -> list[TestSeen]: ...
    def take_all(self) -> list[TestSeen]: ...
    def start(self, tag: str, attributes: Mapping[str, str]) -> None: ...
    def data(self, text: str) -> None: ...
    def end(self, tag: str) -> None: ...
    def doctype(self, *names: str) -> None: ...
    def close(self) -> None: ...


class Gathering:
    """What targets have in common."""

    def __init__(self) -> None:
        self.finished: list[TestSeen] = []

    def take(self) -> list[TestSeen]:
        taken, self.finished = self.finished, []
        return taken

    def take_all(self) -> list[TestSeen]:
        """Also what waits for something that will not come any more: the file is at its end, or broken."""
        return self.take()

    def doctype(self, *_names: str) -> None:
        # A report needs none, and entities are declared in nothing else.
        raise Refused("the file has a DOCTYPE, which is not allowed")

    def close(self) -> None:
        """The parser asks every target for this."""


def read(stream: BinaryIO, new_target: Callable[[], Target]) -> Iterator[TestSeen]:
    """The tests in the order of the file; Malformed comes after those before the fault."""
    began_at, target = stream.tell(), new_target()
    try:
        for _ in _fed(stream.read, target):
            yield from target.take()
        yield from target.take_all()
    except etree.XMLSyntaxError as error:
        yield from target.take_all()
        raise Malformed(_first_line(error.msg), error.lineno or 1) from None
    except Refused as refusal:
        yield from target.take_all()
        stream.seek(began_at)
        raise Malformed(str(refusal), _refused_line(stream, new_target())) from None


def root_of(stream: BinaryIO, *, look_at_bytes: int) -> str | None:
    """The name of the first element, if it comes soon; the stream is where it was."""
    began_at = stream.tell()
    try:
        chunk = stream.read(FIRST_BYTES)
        parser = _parser(_FirstElement(), chunk)
        while chunk and stream.tell() - began_at < look_at_bytes:
            parser.feed(chunk)
            chunk = stream.read(FIRST_BYTES)
    except (etree.XMLSyntaxError, Refused):
        # Whoever reads the file tells what is wrong, and where.
        return None
    except _Found as found:
        return found.name
    finally:
        stream.seek(began_at)
    return None


def local_name(tag: str) -> str:
    return tag.rpartition("}")[2] if tag.startswith("{") else tag


class _Found(Exception):
    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name


class _FirstElement(Gathering):
    def start(self, tag: str, _attributes: Mapping[str, str]) -> None:
        raise _Found(local_name(tag))

    def data(self, _text: str) -> None:
        """Nothing is kept."""

    def end(self, _tag: str) -> None:
        """Never reached: the first start ends it."""


def _fed(read: Callable[[int], bytes], target: Target) -> Iterator[bytes]:
    """Feeds the file in parts; yields each when it is done."""
    chunk = read(READ_BYTES)
    if not chunk:
        raise Refused("the file is empty")
    parser = _parser(target, chunk)
    while chunk:
        with ONE_AT_A_TIME:
            parser.feed(chunk)
        yield chunk
        chunk = read(READ_BYTES)
    parser.close()


def _refused_line(stream: BinaryIO, target: Target) -> int:
    """Once more and line by line, as only our own parsers know what they refuse, and not where it stands.

    It takes three times as long, which is why it is not done for files that are read.
    """
    line = 1
    try:
        for part in _fed(stream.readline, target):
            target.take()
            line += part.endswith(b"\n")
    except (etree.XMLSyntaxError, Refused):
        pass
    return line


def _parser(target: Target, beginning: bytes) -> etree.XMLParser:
    # huge_tree stays off: libxml2's own limits on one tag, comment or CDATA section are wanted.
    # resolve_entities is left at "internal", for without it an attribute's `&amp;` arrives as `&#38;`;
    # nothing else can be resolved, as entities are declared in a DOCTYPE and the target refuses that.
    return etree.XMLParser(
        target=cast("etree.ParserTarget", target),
        encoding=_encoding_to_force(beginning),
        no_network=True,
        load_dtd=False,
        huge_tree=False,
    )


def _encoding_to_force(beginning: bytes) -> str | None:
    """UTF-8 where the declared encoding does not exist, or cannot be true of these bytes."""
    match = DECLARED_ENCODING.match(beginning)
    if match is None:
        return None
    declared = match[1].decode("ascii")
    # Who can read the declaration byte by byte is not looking at UTF-16 or UTF-32.
    if declared.lower().startswith(("utf-16", "utf16", "utf-32", "utf32", "ucs")):
        return "utf-8"
    try:
        etree.XMLParser(encoding=declared)
    except LookupError:
        return "utf-8"
    return None


def _first_line(text: str | None) -> str:
    return (text or "not XML").partition("\n")[0]
