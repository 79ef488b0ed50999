"""A store whose disk is full says so in words, and leaves nothing half-written behind."""

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from changes.base import storage
from changes.base.errors import Full
from changes.base.storage import Storage

# On a small disk of its own, which goes with the process. The store of one megabyte gets two.
ON_A_SMALL_DISK = """
set -e
mount -t tmpfs -o size=1m none "$1"
exec "$2" - "$1" <<'END'
import asyncio, pathlib, sys
from changes.base import storage
from changes.base.errors import Full
storage.LEFT_MIN_BYTES = 0
kept = storage.Storage(pathlib.Path(sys.argv[1]).as_uri())
async def pieces():
    for _ in range(32):
        yield bytes(65536)
def told(act):
    try:
        act()
    except Full as error:
        return error.message
print(told(lambda: kept.put("a/one", bytes(2**21))))
print(told(lambda: asyncio.run(kept.write("a/two", pieces()))))
print(told(lambda: kept.put_all({"a/three": bytes(2**21)})))
print(kept.size_of("a/one"), kept.size_of("a/two"), kept.size_of("a/three"))
kept.put("a/four", b"small")
print(kept.size_of("a/four"))
END
"""
NO_ROOM = "There is no room left where files are stored."


async def pieces() -> AsyncIterator[bytes]:
    yield b"data"


@pytest.fixture
def almost_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Storage:
    monkeypatch.setattr(storage, "LEFT_MIN_BYTES", 2**62)
    return Storage((tmp_path / "blobs").as_uri())


def test_what_is_left_is_kept_for_those_who_cannot_wait(almost_full: Storage) -> None:
    with pytest.raises(Full, match="is full"):
        almost_full.put("a", b"data")
    with pytest.raises(Full, match="is full"):
        almost_full.put_all({"a": b"data"})
    with pytest.raises(Full, match="is full"):
        asyncio.run(almost_full.write("a", pieces()))


def test_a_full_store_is_still_read_and_emptied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = Storage((tmp_path / "blobs").as_uri())
    kept.put("a", b"data")
    monkeypatch.setattr(storage, "LEFT_MIN_BYTES", 2**62)

    assert b"".join(kept.read("a")) == b"data"
    kept.delete("a")
    assert kept.size_of("a") is None


def test_a_disk_that_fills_up_on_the_way_is_told(tmp_path: Path) -> None:
    """Where nobody may mount a disk, not even in a world of its own, that is said instead."""
    command = ["unshare", "--mount", *([] if os.geteuid() == 0 else ["--map-root-user"])]
    script = ["bash", "-c", ON_A_SMALL_DISK, "bash", str(tmp_path), sys.executable]

    done = subprocess.run([*command, *script], capture_output=True, text=True, check=False)

    if done.returncode:
        assert "permi" in done.stderr.lower() or "denied" in done.stderr.lower()
    else:
        assert done.stdout.splitlines() == [NO_ROOM, NO_ROOM, NO_ROOM, "None None None", "5"]
