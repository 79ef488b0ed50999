"""Runs somebody's command, shows what it prints, and passes a copy on."""

import contextlib
import os
import select
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import FrameType

READ_BYTES = 65536
LOOK_EVERY_S = 0.2
NOT_FOUND, NOT_EXECUTABLE, KILLED = 127, 126, 128
FORWARDED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
NAME_MAX = 120


@dataclass(frozen=True)
class Ended:
    return_code: int
    duration_ms: int
    # Why it did not even start.
    trouble: str = ""


def run(command: list[str], note: Callable[[bytes], None]) -> Ended:
    """Its exit code as a shell would tell it."""
    started = time.monotonic()
    try:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    except OSError as error:
        code = NOT_FOUND if isinstance(error, FileNotFoundError) else NOT_EXECUTABLE
        return Ended(code, 0, f"{command[0]} cannot be started: {error.strerror}")
    with process, forwarding_signals(process):
        for data in output_of(process):
            show(data)
            note(data)
        code = process.wait()
    duration_ms = round((time.monotonic() - started) * 1000)
    return Ended(code if code >= 0 else KILLED - code, duration_ms)


def output_of(process: subprocess.Popen[bytes]) -> Iterator[bytes]:
    """Until it has ended; somebody it left running in the background may hold the pipe for ever."""
    if process.stdout is None:
        return
    handle = process.stdout.fileno()
    while True:
        has_ended = process.poll() is not None
        if select.select([handle], [], [], 0 if has_ended else LOOK_EVERY_S)[0]:
            data = os.read(handle, READ_BYTES)
            if not data:
                return
            yield data
        elif has_ended:
            return


def show(data: bytes) -> None:
    # Whoever read our output may have gone; the command goes on all the same.
    with contextlib.suppress(BrokenPipeError):
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()


@contextlib.contextmanager
def forwarding_signals(process: subprocess.Popen[bytes]) -> Iterator[None]:
    """We end when the command has ended, so that what becomes of it is still told."""

    def forward(number: int, _frame: FrameType | None) -> None:
        process.send_signal(number)

    before = {number: signal.signal(number, forward) for number in FORWARDED}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def name_of(command: list[str]) -> str:
    """For lists: on one line, and not long."""
    text = " ".join(shlex.join(command).split())
    return "".join(c if c.isprintable() else "?" for c in text)[:NAME_MAX]
