"""Lines of other people's files: numbered, and never more of one in memory than is allowed."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO


@dataclass(frozen=True, slots=True)
class Line:
    number: int
    data: bytes
    # False when the line was longer; the rest of it is passed over.
    is_whole: bool

    @property
    def text(self) -> str:
        return self.data.decode("utf-8-sig" if self.number == 1 else "utf-8", errors="replace").rstrip("\r\n")


def lines_of(stream: BinaryIO, limit_bytes: int) -> Iterator[Line]:
    number = 0
    while data := stream.readline(limit_bytes):
        number += 1
        is_whole = data.endswith(b"\n") or len(data) < limit_bytes
        yield Line(number, data, is_whole)
        while not data.endswith(b"\n") and data:
            data = stream.readline(limit_bytes)
