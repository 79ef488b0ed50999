"""`CHANGES_ANALYTICS.json`: rows for a table of somebody else's. Pure."""

from dataclasses import dataclass
from typing import Any, BinaryIO

from changes.results.formats import json_document
from changes.results.formats.seen import Malformed

SIZE_MAX_BYTES = 70 * 1024 * 1024
ENTRIES_MAX = 5000
DRY_RUN = "DRY_RUN:"


@dataclass(frozen=True)
class Analytics:
    table: str
    entries: list[dict[str, Any]]

    @property
    def is_dry_run(self) -> bool:
        """Looked at, and sent nowhere."""
        return self.table.startswith(DRY_RUN)


def read(stream: BinaryIO) -> Analytics:
    document = json_document.read(stream, limit_bytes=SIZE_MAX_BYTES)
    table, entries = document.get("table"), document.get("entries")
    if not isinstance(table, str) or not table.strip():
        raise Malformed("table must be the name of a table", 1)
    if not isinstance(entries, list):
        raise Malformed("entries must be a list", 1)
    if len(entries) > ENTRIES_MAX:
        raise Malformed(f"there are {len(entries)} entries; at most {ENTRIES_MAX} are taken", 1)
    odd = next((place for place, entry in enumerate(entries, 1) if not isinstance(entry, dict)), None)
    if odd is not None:
        raise Malformed(f"entry {odd} is no object", 1)
    return Analytics(table, entries)
