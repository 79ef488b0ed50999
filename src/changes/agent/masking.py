"""Hides secrets in what leaves the agent, however they are written, and across the borders of reads.

A secret is looked for as it is and in the forms that programs print it in by accident: base64 at each
of its three alignments (also broken into lines, as the tools do it), hexadecimal, URL-encoded, inside
JSON, quoted for a shell. Nothing is hidden from somebody who wants to print it: a form of his own
invention gets through, which is why untrusted steps get no secrets at all.

The search ignores case, so that one pass finds `%2F` and `%2f`; each form is looked for by the
machine's own substring search, which is faster than one regular expression for all.
"""

import base64
import json
import shlex
from collections.abc import Collection, Iterable, Iterator
from urllib.parse import quote, quote_plus

MASK = b"***"
# What is shorter would be found where it is none; the server takes no secrets as short as that.
SHORTEST_BYTES = 6
# Longer forms are looked for in blocks, so that little has to be held back between two reads.
BLOCK_BYTES = 256
# Where `base64` and the writers of PEM files begin a new line.
LINE_WIDTHS = (64, 76)
BITS, BITS_OF_BASE64 = 8, 6


def forms(secret: str) -> set[bytes]:
    """All that is looked for, in lower case."""
    raw = secret.encode(errors="surrogateescape")
    found = {written for part in (raw, raw.strip()) for written in _written(part)}
    # Nobody prints a key of many lines as one; each of its lines is a secret, too.
    found |= set(raw.splitlines())
    return {block for written in found for block in _blocks(written.lower())}


def _written(part: bytes) -> Iterator[bytes]:
    text = part.decode(errors="surrogateescape")
    yield part
    yield part.hex().encode()
    yield from _as_base64(part)
    yield quote(part, safe="").encode()
    yield quote(part).encode()
    yield quote_plus(part).encode()
    for is_ascii in (True, False):
        written = json.dumps(text, ensure_ascii=is_ascii)[1:-1].encode(errors="surrogateescape")
        yield written
        yield written.replace(b"/", rb"\/")
    yield shlex.quote(text).strip("'").encode(errors="surrogateescape")
    # As bash traces commands (`set -x`) and prints variables (`declare -p`).
    yield part.replace(b"\\", rb"\\").replace(b'"', rb"\"").replace(b"$", rb"\$").replace(b"`", rb"\`")
    yield part.replace(b"'", rb"'\''")


def _as_base64(part: bytes) -> Iterator[bytes]:
    """What does not depend on the bytes before and behind it."""
    for before in range(3):
        encoded = base64.b64encode(bytes(before) + part)
        first = -(-before * BITS // BITS_OF_BASE64)
        whole = (before + len(part)) * BITS // BITS_OF_BASE64
        for written in (encoded[first:whole], encoded[first:whole].translate(bytes.maketrans(b"+/", b"-_"))):
            yield written
            if before == 0:
                for width in LINE_WIDTHS:
                    yield from (written[at : at + width] for at in range(0, len(written), width))


def _blocks(written: bytes) -> Iterator[bytes]:
    if len(written) < SHORTEST_BYTES:
        return
    for start in range(0, len(written), BLOCK_BYTES):
        # The last block is as long as the others and overlaps the one before.
        yield written[max(0, min(start, len(written) - BLOCK_BYTES)) :][:BLOCK_BYTES]


class Masker:
    """A stream of its own: `mask` takes what was read and gives back what may be shown by now."""

    def __init__(self, secrets: Iterable[str]) -> None:
        everything = {form for secret in secrets for form in forms(secret)}
        # Whatever has another form in it is found by that.
        self._forms = sorted(everything, key=len, reverse=True)
        self._longest = max(map(len, self._forms), default=0)
        self._by_start: dict[bytes, list[bytes]] = {}
        for form in self._forms:
            for length in (1, 2):
                self._by_start.setdefault(form[:length], []).append(form)
        self._held = b""

    def mask(self, data: bytes) -> bytes:
        """Holds back an end that may be the beginning of a secret."""
        if not self._forms:
            return data
        text = self._held + data
        lowered = text.lower()
        spans = _merged(self._spans(lowered))
        end = self._unfinished(lowered)
        # What may be part of something longer stays with it.
        end = min([end, *(start for start, stop in spans if start < end < stop)])
        self._held = text[end:]
        return _without(text[:end], [span for span in spans if span[1] <= end])

    def rest(self) -> bytes:
        """At the end: the beginning of a secret that nothing followed is hidden like a whole one."""
        held, self._held = self._held, b""
        spans = _merged(self._spans(held.lower()))
        begun = self._unfinished(held.lower())
        if len(held) - begun >= SHORTEST_BYTES:
            spans = _merged([*spans, (begun, len(held))])
        return _without(held, spans)

    def _spans(self, lowered: bytes) -> Iterator[tuple[int, int]]:
        for form in self._forms:
            at = lowered.find(form)
            while at >= 0:
                yield at, at + len(form)
                # Overlapping ones count: of `aXaXa` nothing may be left.
                at = lowered.find(form, at + 1)

    def _unfinished(self, lowered: bytes) -> int:
        """From where on the text may be the beginning of a secret."""
        end = len(lowered)
        for at in range(max(0, end - self._longest + 1), end):
            for form in self._by_start.get(lowered[at : at + 2], ()):
                if len(form) > end - at and form.startswith(lowered[at:]):
                    return at
        return end


def masked(text: str, secrets: Collection[str]) -> str:
    """Of a text that is whole."""
    if not secrets:
        return text
    masker = Masker(secrets)
    data = text.encode(errors="surrogateescape")
    return (masker.mask(data) + masker.rest()).decode(errors="replace")


def _merged(spans: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    merged: list[tuple[int, int]] = []
    for start, end in sorted(spans):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(merged[-1][1], end))
        else:
            merged.append((start, end))
    return merged


def _without(text: bytes, spans: list[tuple[int, int]]) -> bytes:
    if not spans:
        return text
    starts = [0, *(end for _, end in spans)]
    ends = [*(start for start, _ in spans), len(text)]
    return MASK.join(text[start:end] for start, end in zip(starts, ends, strict=True))
