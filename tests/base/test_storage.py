import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from changes.base.errors import NotFound
from changes.base.storage import Storage


@pytest.fixture(params=["file", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Storage:
    url = (tmp_path / "a folder with blanks").as_uri() if request.param == "file" else "memory:///"
    return Storage(url)


class SenderGone(Exception):
    """Breaks off in the middle."""


async def chunks(*pieces: bytes | Exception) -> AsyncIterator[bytes]:
    for piece in pieces:
        if isinstance(piece, Exception):
            raise piece
        yield piece


def write(store: Storage, key: str, *pieces: bytes | Exception) -> None:
    async def run() -> None:
        await store.write(key, chunks(*pieces))

    asyncio.run(run())


def read(store: Storage, key: str) -> bytes:
    return b"".join(store.read(key))


@pytest.mark.parametrize("pieces", [[], [b""], [b"a", b"b"], [b"x" * 1024 * 1024] * 25])
def test_bytes_are_read_as_they_were_written(store: Storage, pieces: list[bytes]) -> None:
    write(store, "some/key", *pieces)

    assert read(store, "some/key") == b"".join(pieces)


def test_large_things_are_read_piece_by_piece(tmp_path: Path) -> None:
    store = Storage(tmp_path.as_uri())
    store.put("key", bytes(5 * 1024 * 1024))

    assert len(list(store.read("key"))) > 1


def test_writing_again_replaces(store: Storage) -> None:
    store.put("key", b"a longer one")
    store.put("key", b"new")

    assert read(store, "key") == b"new"


def test_what_breaks_off_is_not_there(store: Storage) -> None:
    with pytest.raises(SenderGone):
        write(store, "key", b"x" * 20 * 1024 * 1024, SenderGone())

    with pytest.raises(NotFound):
        read(store, "key")


def test_what_breaks_off_does_not_harm_what_was_there(store: Storage) -> None:
    store.put("key", b"old")

    with pytest.raises(SenderGone):
        write(store, "key", b"new", SenderGone())

    assert read(store, "key") == b"old"


def test_what_was_deleted_is_gone(store: Storage) -> None:
    store.put("key", b"x")

    store.delete("key")

    with pytest.raises(NotFound, match="'key' is gone"):
        read(store, "key")


def test_a_folder_is_made_when_it_is_not_there(tmp_path: Path) -> None:
    Storage((tmp_path / "new" / "folder").as_uri()).put("key", b"x")

    assert (tmp_path / "new" / "folder" / "key").read_bytes() == b"x"


def test_two_processes_share_a_folder(tmp_path: Path) -> None:
    Storage(tmp_path.as_uri()).put("key", b"x")

    assert read(Storage(tmp_path.as_uri()), "key") == b"x"
