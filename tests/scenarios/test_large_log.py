"""A hundred megabytes of log are stored whole, byte for byte, without filling anybody's memory."""

import hashlib
import sys

import psutil
import pytest
from tests.scenarios.running import Part, RunningSystem

pytestmark = [pytest.mark.system, pytest.mark.long]
FIRST, LINES, LINES_AT_ONCE = 100_000_000, 10_485_760, 65_536
LOG_BYTES = LINES * len(f"{FIRST}\n")
WITHIN_S = 300.0
GROWTH_MAX_BYTES = 50 * 1024 * 1024


def test_a_hundred_megabytes_of_log_arrive_byte_for_byte(system: RunningSystem) -> None:
    script = f"seq {FIRST} {FIRST + LINES - 1}"
    slug = system.project({".changes.yml": f"plans:\n  - {{name: long, commands: [{script}]}}\n"})
    before_bytes = {part.name: memory_of(part) for part in system.parts}

    build = system.api.finished(system.api.build(slug), WITHIN_S)

    assert build["result"]["id"] == "passed"
    (step,) = system.api.attempts(build["id"])
    head, digest, tail = read(system, step["id"], f"$ {script}\n".encode())
    assert head == f"$ {script}\n".encode()
    assert digest == expected_digest()
    assert tail.startswith(b"[passed in ")
    grown = {part.name: memory_of(part) - before_bytes[part.name] for part in system.parts}
    sys.stderr.write(f"grown by (bytes): {grown}\n")
    assert max(grown.values()) < GROWTH_MAX_BYTES, grown


def read(system: RunningSystem, step_id: str, title: bytes) -> tuple[bytes, str, bytes]:
    """What stands before the output, the digest of the output, and what stands after it."""
    digest, head, tail, position = hashlib.sha256(), b"", b"", 0
    for piece in system.api.pieces_of(f"/jobsteps/{step_id}/logs/console/", raw=1, offset=0):
        begins, ends = len(title) - position, len(title) + LOG_BYTES - position
        head += piece[: max(0, begins)]
        digest.update(piece[max(0, begins) : max(0, ends)])
        tail += piece[max(0, ends) :]
        position += len(piece)
    return head, digest.hexdigest(), tail


def expected_digest() -> str:
    digest = hashlib.sha256()
    for start in range(FIRST, FIRST + LINES, LINES_AT_ONCE):
        digest.update("".join(f"{number}\n" for number in range(start, start + LINES_AT_ONCE)).encode())
    return digest.hexdigest()


def memory_of(part: Part) -> int:
    assert part.process is not None
    return int(psutil.Process(part.process.pid).memory_info().rss)
