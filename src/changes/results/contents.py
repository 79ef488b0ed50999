"""Bytes that were left behind, wherever they lie: a name, a size, and a way to read a part of them."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from changes.base import storage
from changes.base.errors import Gone, NotFound
from changes.results.models import Artifact

Span = tuple[int, int]


class Lost(NotFound):
    """The row is there, and the bytes are not."""


@dataclass(frozen=True)
class Content:
    name: str
    size_bytes: int
    sha256: str
    # From the first byte on, or of a span from its begin to before its end.
    read_span: Callable[[Span | None], Iterator[bytes]]

    def read(self, span: Span | None = None) -> Iterator[bytes]:
        return self.read_span(span)

    def beginning(self, size_max_bytes: int) -> bytes:
        end = min(self.size_bytes, size_max_bytes)
        return b"".join(self.read((0, end))) if end else b""


def of_artifact(artifact: Artifact) -> Content:
    """Gone when it was cleaned away."""
    if artifact.date_removed is not None:
        raise Gone(f"It was kept until {artifact.date_removed:%Y-%m-%d}, and is removed.")
    key, is_empty = artifact.key, not artifact.size_bytes

    def read(span: Span | None) -> Iterator[bytes]:
        if is_empty:
            return iter(())
        try:
            return storage.storage.get().read(key, span)
        except NotFound as error:
            raise Lost(f"The bytes of {artifact.name!r} are lost.") from error

    return Content(artifact.name, artifact.size_bytes, artifact.sha256, read)
