import io
import os
from pathlib import Path

from changes.app.up import output
from changes.app.up.output import BoundedLog, Output, Terminal

LINE = b"0123456789\n"


class Closed(io.StringIO):
    def write(self, _text: str) -> int:
        raise BrokenPipeError


def test_a_full_log_is_set_aside_and_no_more_than_two_are_kept(tmp_path: Path) -> None:
    log = BoundedLog(tmp_path / "web.log", max_bytes=len(LINE) * 2)

    for _ in range(7):
        log.write(LINE)
    log.close()

    sizes = {path.name: path.stat().st_size // len(LINE) for path in tmp_path.iterdir()}
    assert sizes == {"web.log": 1, "web.log.1": 2}


def test_a_log_goes_on_where_an_earlier_run_ended(tmp_path: Path) -> None:
    for _ in range(2):
        log = BoundedLog(tmp_path / "web.log")
        log.write(LINE)
        log.close()

    assert (tmp_path / "web.log").read_bytes() == LINE * 2


def test_a_log_that_cannot_be_written_stops_nobody(tmp_path: Path) -> None:
    BoundedLog(tmp_path / "missing" / "web.log").write(LINE)


def test_a_log_that_a_server_holds_open_is_cut_in_place(tmp_path: Path) -> None:
    path = tmp_path / "postgres.log"
    with path.open("ab", buffering=0) as held:
        held.write(LINE * 3)

        output.bound_in_place(path, max_bytes=len(LINE) * 3)

        held.write(LINE)
    assert path.read_bytes() == LINE
    assert (tmp_path / "postgres.log.1").read_bytes() == LINE * 3


def test_a_small_log_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "postgres.log"
    path.write_bytes(LINE)

    output.bound_in_place(path)

    assert path.read_bytes() == LINE


def test_a_closed_terminal_does_not_stop_the_reading(tmp_path: Path) -> None:
    read_end, write_end = os.pipe()
    with os.fdopen(write_end, "wb") as source:
        source.write(LINE * 3)

    reader = Output(os.fdopen(read_end, "rb"), "web", Terminal(Closed()), BoundedLog(tmp_path / "web.log"))
    reader.drain(5)

    assert (tmp_path / "web.log").read_bytes() == LINE * 3


def test_bytes_that_are_no_text_are_shown_all_the_same(tmp_path: Path) -> None:
    printed = io.StringIO()
    read_end, write_end = os.pipe()
    with os.fdopen(write_end, "wb") as source:
        source.write(b"\xff ok\r\n")

    reader = Output(os.fdopen(read_end, "rb"), "web", Terminal(printed), BoundedLog(tmp_path / "web.log"))
    reader.drain(5)

    assert printed.getvalue() == "web     | \ufffd ok\n"
