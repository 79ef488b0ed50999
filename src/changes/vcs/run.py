"""The one place that starts git and hg: a given environment, no terminal, an end in time and size."""

import fcntl
import os
import selectors
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from changes.vcs.errors import TimedOut, TooLarge, ToolMissing
from changes.vcs.interface import DIFF_MAX_BYTES, LOCAL_TIMEOUT_S

READ_BYTES = 64 * 1024
PIPE_BYTES = 1024 * 1024
COMPLAINT_MAX_BYTES = 16 * 1024
RECORD_MAX_BYTES = 1024 * 1024
BLOCK_BYTES = 512 * 1024
# Time to end after closing both outputs.
EXIT_TIMEOUT_S = 10.0

# What an operator sets for the machine; everything else of our environment stays here.
INHERITED = (
    "PATH",
    "SSH_AUTH_SOCK",
    "TMPDIR",
    "http_proxy",
    "https_proxy",
    "HTTPS_PROXY",
    "no_proxy",
    "NO_PROXY",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
)


@dataclass(frozen=True)
class Limits:
    """`timeout_s` is for the whole of a `run`, and for each silence of a `stream`."""

    timeout_s: float = LOCAL_TIMEOUT_S
    output_max_bytes: int = DIFF_MAX_BYTES


USUAL_LIMITS = Limits()


@dataclass(frozen=True)
class Command:
    argv: tuple[str, ...]
    environment: Mapping[str, str]
    stdin: bytes = b""
    limits: Limits = USUAL_LIMITS
    keeps_open: tuple[int, ...] = ()


@dataclass(frozen=True)
class Finished:
    exit_code: int
    stdout: bytes
    complaint: str


def inherited_environment() -> dict[str, str]:
    return {name: os.environ[name] for name in INHERITED if name in os.environ}


def run(command: Command) -> Finished:
    """Run to the end, whatever the exit code; TimedOut or TooLarge kill it with all its children."""
    with begun(command) as finish:
        return finish()


@contextmanager
def begun(command: Command) -> Iterator[Callable[[], Finished]]:
    """The same for who has other things to do meanwhile: the call waits for the end, leaving kills."""
    ends_at = time.monotonic() + command.limits.timeout_s
    with _started(command) as process:
        yield lambda: _finished(process, command.limits, ends_at)


def _finished(process: subprocess.Popen[bytes], limits: Limits, ends_at: float) -> Finished:
    output, complaint = bytearray(), bytearray()
    for chunk in _chunks(process, complaint, lambda: ends_at - time.monotonic()):
        output += chunk
        if len(output) > limits.output_max_bytes:
            raise TooLarge(f"more than {limits.output_max_bytes} bytes")
    exit_code = _wait(process)
    return Finished(exit_code, bytes(output), _text(complaint))


def stream(command: Command, check: Callable[[Finished], None]) -> Iterator[bytes]:
    """The output as it comes; `check` judges the end. Closing the iterator kills the process."""
    with _started(command) as process:
        _widen(_present(process.stdout))
        complaint = bytearray()
        yield from _chunks(process, complaint, lambda: command.limits.timeout_s)
        exit_code = _wait(process)
    check(Finished(exit_code, b"", _text(complaint)))


def split(chunks: Iterable[bytes], separator: bytes) -> Iterator[bytes]:
    """Each record that ends with the separator."""
    begun = bytearray()
    for chunk in chunks:
        head, found, rest = chunk.rpartition(separator)
        # A record of many chunks is put together once, not anew with each of them.
        begun += head if found else rest
        if found:
            yield from bytes(begun).split(separator)
            begun = bytearray(rest)


def texts(chunks: Iterable[bytes], separator: str) -> Iterator[list[str]]:
    """The same as text, many at a time. What is no UTF-8 is replaced; what is too long is cut."""
    begun = bytearray()
    for chunk in _gathered(chunks):
        head, found, rest = chunk.rpartition(separator.encode())
        if not found:
            begun += rest[: max(RECORD_MAX_BYTES - len(begun), 0)]
            continue
        is_cut = len(begun) >= RECORD_MAX_BYTES
        begun += head[len(head.partition(separator.encode())[0]) :] if is_cut else head
        yield begun.decode("utf-8", "replace").split(separator)
        begun = bytearray(rest)


def _gathered(chunks: Iterable[bytes]) -> Iterator[bytearray]:
    """What is read from a pipe comes in small pieces, and each costs as much to cut as a large one."""
    gathered = bytearray()
    for chunk in chunks:
        gathered += chunk
        if len(gathered) >= BLOCK_BYTES:
            yield gathered
            gathered = bytearray()
    if gathered:
        yield gathered


@contextmanager
def _started(command: Command) -> Iterator[subprocess.Popen[bytes]]:
    with tempfile.TemporaryFile() if command.stdin else Path(os.devnull).open("rb") as stdin:
        if command.stdin:
            stdin.write(command.stdin)
            stdin.seek(0)
        process = _start(command, stdin)
    with process:
        try:
            yield process
        finally:
            _kill(process)


def _start(command: Command, stdin: IO[bytes]) -> subprocess.Popen[bytes]:
    try:
        # A session of its own has no terminal to ask for passwords on, and can be killed as a whole.
        return subprocess.Popen(
            command.argv,
            env=dict(command.environment),
            cwd="/",
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
            pass_fds=command.keeps_open,
        )
    except FileNotFoundError as error:
        raise ToolMissing(f"{command.argv[0]} is not installed") from error


def _widen(pipe: IO[bytes]) -> None:
    """So that the tool goes on while we are busy with what it has told. No more than that is lost where the
    system has no room, or is no Linux.
    """
    with suppress(OSError, AttributeError):
        fcntl.fcntl(pipe.fileno(), fcntl.F_SETPIPE_SZ, PIPE_BYTES)


def _kill(process: subprocess.Popen[bytes]) -> None:
    # Until it is waited for, nobody else can have its number.
    if process.poll() is None:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


def _chunks(
    process: subprocess.Popen[bytes], complaint: bytearray, left_s: Callable[[], float]
) -> Iterator[bytes]:
    with selectors.DefaultSelector() as selector:
        for pipe in (process.stdout, process.stderr):
            selector.register(_present(pipe), selectors.EVENT_READ)
        while selector.get_map():
            timeout_s = left_s()
            ready = selector.select(timeout_s) if timeout_s > 0 else []
            if not ready:
                raise TimedOut("the tool took too long and was stopped")
            for key, _ in ready:
                data = os.read(key.fd, READ_BYTES)
                if not data:
                    selector.unregister(key.fileobj)
                elif key.fileobj is process.stdout:
                    yield data
                elif len(complaint) < COMPLAINT_MAX_BYTES:
                    complaint += data


def _present(pipe: IO[bytes] | None) -> IO[bytes]:
    if pipe is None:
        raise ValueError("both outputs are pipes")
    return pipe


def _wait(process: subprocess.Popen[bytes]) -> int:
    try:
        return process.wait(EXIT_TIMEOUT_S)
    except subprocess.TimeoutExpired as error:
        raise TimedOut("the tool did not end and was stopped") from error


def _text(data: bytearray) -> str:
    return bytes(data).decode("utf-8", "replace").strip()
