"""`manifest.json`, with which a machine says which step its files belong to. Pure."""

from typing import BinaryIO

from changes.results.formats import json_document

SIZE_MAX_BYTES = 1024 * 1024


def step_id_in(stream: BinaryIO) -> str | None:
    """None for a manifest of something else; web applications have one of this name, too."""
    said = json_document.read(stream, limit_bytes=SIZE_MAX_BYTES).get("job_step_id")
    return None if said is None else str(said)
