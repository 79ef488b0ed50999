"""What was fetched is shared, looked at again, and goes when there is no room."""

import hashlib
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from changes.agent.errors import GivenUp
from changes.agent.keeping.archives import BadArchive
from changes.agent.keeping.stock import Stock

DATA = b"some bytes"
SHA = hashlib.sha256(DATA).hexdigest()


def fetch(part: Path) -> None:
    with part.open("ab") as file:
        file.write(DATA[file.tell() :])


def never() -> bool:
    return False


def test_two_steps_at_once_fetch_it_once(tmp_path: Path) -> None:
    stock, fetched, is_begun, may_go_on = Stock(tmp_path), [], threading.Event(), threading.Event()

    def slowly(part: Path) -> None:
        fetched.append(part)
        is_begun.set()
        assert may_go_on.wait(60)
        fetch(part)

    def read(_number: int) -> bytes:
        with stock.holding(SHA, slowly, never) as path:
            return path.read_bytes()

    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(read, 1)
        assert is_begun.wait(60)
        second = pool.submit(read, 2)
        may_go_on.set()

        assert first.result(60) == second.result(60) == DATA
    assert len(fetched) == 1


def test_a_part_that_is_here_is_gone_on_with(tmp_path: Path) -> None:
    stock = Stock(tmp_path)
    stock.folder.mkdir()
    (stock.folder / f"{SHA}.part").write_bytes(DATA[:4])

    with stock.holding(SHA, fetch, never) as path:
        assert path.read_bytes() == DATA


def test_something_else_than_was_kept_is_refused_and_forgotten(tmp_path: Path) -> None:
    stock = Stock(tmp_path)

    def fetch_another(part: Path) -> None:
        part.write_bytes(b"x")

    with pytest.raises(BadArchive, match="another one"), stock.holding(SHA, fetch_another, never):
        pass

    assert not list(stock.folder.iterdir())


def test_what_somebody_changed_on_disk_is_fetched_again(tmp_path: Path) -> None:
    stock = Stock(tmp_path)
    stock.folder.mkdir()
    (stock.folder / SHA).write_bytes(b"changed")

    with stock.holding(SHA, fetch, never) as path:
        assert path.read_bytes() == DATA


def test_whoever_is_stopped_does_not_wait_for_the_other(tmp_path: Path) -> None:
    stock = Stock(tmp_path)

    with stock.alone(SHA, never), pytest.raises(GivenUp), stock.holding(SHA, fetch, lambda: True):
        pass


def test_what_was_used_longest_ago_goes_and_what_is_read_stays(tmp_path: Path) -> None:
    stock = Stock(tmp_path, room_bytes=2 * len(DATA))
    stock.folder.mkdir()
    for number in range(3):
        path = stock.folder / str(number)
        path.write_bytes(DATA)
        os.utime(path, (number + 1, number + 1))

    with stock.holding(SHA, fetch, never):
        pass

    assert {each.name for each in stock.folder.iterdir()} == {"2", SHA}
