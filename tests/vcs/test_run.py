"""Processes end: in time, in size, with their children, and see nothing of ours."""

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from changes.vcs.errors import TimedOut, TooLarge, ToolMissing
from changes.vcs.lock import locked
from changes.vcs.run import Command, Finished, Limits, inherited_environment, run, split, stream

DEADLINE_S = 200.0
ENVIRONMENT = {"PATH": os.environ["PATH"]}


def shell(script: str, limits: Limits | None = None, stdin: bytes = b"") -> Command:
    return Command(("sh", "-c", script), ENVIRONMENT, stdin, limits or Limits())


def wait_until(condition: Callable[[], bool]) -> None:
    ends_at = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < ends_at
        time.sleep(0.01)


def is_gone(pid: int) -> bool:
    stat = Path(f"/proc/{pid}/stat")
    try:
        # A zombie runs no more; who reaps it is not our business.
        return " Z " in stat.read_text()
    except (FileNotFoundError, ProcessLookupError):
        return True


def accept(finished: Finished) -> None:
    assert finished.exit_code == 0


def test_output_complaint_and_exit_code_come_back() -> None:
    finished = run(shell("cat; echo no >&2; exit 3", stdin=b"yes"))

    assert finished == Finished(3, b"yes", "no")


def test_much_output_on_both_sides_does_not_block() -> None:
    finished = run(shell("head -c 3000000 /dev/zero; head -c 3000000 /dev/zero >&2"))

    assert len(finished.stdout) == 3_000_000


def test_a_process_that_takes_too_long_is_killed_with_its_children(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    script = f"sleep 60 & echo $! > {pids}.new; echo $$ >> {pids}.new; mv {pids}.new {pids}; wait"

    # A slow machine gets more time to start both.
    for timeout_s in (1, 10, 60):
        with pytest.raises(TimedOut):
            run(shell(script, Limits(timeout_s=timeout_s)))
        if pids.exists():
            break

    parent_and_child = [int(pid) for pid in pids.read_text().split()]
    wait_until(lambda: all(is_gone(pid) for pid in parent_and_child))


def test_a_process_that_never_stops_talking_is_timed_out_too() -> None:
    with pytest.raises(TimedOut):
        run(shell("exec yes >&2", Limits(timeout_s=0.2)))


def test_too_much_output_ends_the_process() -> None:
    with pytest.raises(TooLarge):
        run(shell("exec yes", Limits(output_max_bytes=1000)))


def test_closing_a_stream_ends_its_process() -> None:
    chunks = stream(shell("echo $$; exec sleep 60"), accept)
    pid = int(next(chunks))

    chunks.close()  # type: ignore[attr-defined]  # a generator is what an iterator with an end is here

    wait_until(lambda: is_gone(pid))


def test_the_end_of_a_stream_is_judged() -> None:
    seen: list[Finished] = []

    output = b"".join(stream(shell("echo a; echo b >&2; exit 4"), seen.append))

    assert output == b"a\n"
    assert seen == [Finished(4, b"", "b")]


def test_records_are_put_together_across_chunks() -> None:
    assert list(split([b"on", b"e\0tw", b"o\0\0"], b"\0")) == [b"one", b"two", b""]


def test_a_tool_that_is_not_installed_is_named() -> None:
    with pytest.raises(ToolMissing, match="no-such-tool"):
        run(Command(("no-such-tool",), ENVIRONMENT))


def test_our_own_environment_stays_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "secret")
    monkeypatch.setenv("GIT_DIR", "/elsewhere")

    assert not {"DATABASE_URL", "GIT_DIR"} & inherited_environment().keys()


def test_a_lock_that_stays_taken_times_out(tmp_path: Path) -> None:
    with (
        locked(tmp_path / "mirror", 1),
        pytest.raises(TimedOut),
        locked(tmp_path / "mirror", 0.1, shared=True),
    ):
        pass


def test_readers_share_a_lock(tmp_path: Path) -> None:
    mirror = tmp_path / "mirror"

    with locked(mirror, 1, shared=True), locked(mirror, 1, shared=True):
        assert mirror.with_name("mirror.lock").exists()
