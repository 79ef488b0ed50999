"""`CHANGES_ANALYTICS.json`: rows for a table of somebody else's. Pure."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, BinaryIO

from changes.results.formats import json_document
from changes.results.formats.excerpt import clip_name
from changes.results.formats.seen import Malformed

SIZE_MAX_BYTES = 70 * 1024 * 1024
ENTRIES_MAX = 5000
DRY_RUN = "DRY_RUN:"
TABLE_NAME_CHARS = 128


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


def check_table(found: Analytics, known: Collection[str]) -> None:
    """Where nobody said which tables there are, each may be one."""
    if known and found.table not in known:
        name = clip_name(found.table, TABLE_NAME_CHARS)
        raise Malformed(f"table {name!r} is none of those that rows are taken for", 1)
