"""A whole file of JSON, which cannot be read piece by piece and so has to be small. Pure."""

import json
from typing import Any, BinaryIO

from changes.base import plain
from changes.results.formats.seen import Malformed


def read(stream: BinaryIO, *, limit_bytes: int) -> dict[str, Any]:
    """An object of values that can be stored; Malformed says where it is none."""
    data = stream.read(limit_bytes + 1)
    if len(data) > limit_bytes:
        raise Malformed(f"the file is larger than {limit_bytes // 1024**2} MiB", 1)
    try:
        found = json.loads(data)
    except json.JSONDecodeError as error:
        raise Malformed(f"it is not JSON: {error.msg} (column {error.colno})", error.lineno) from None
    except (RecursionError, ValueError) as error:
        # Nested too deep, a number of thousands of digits, or bytes that are no text.
        raise Malformed(f"it is not JSON: {error}", 1) from None
    if not isinstance(found, dict):
        raise Malformed("it must be a JSON object", 1)
    problem = plain.problem(found)
    if problem:
        raise Malformed(problem, 1)
    return found
