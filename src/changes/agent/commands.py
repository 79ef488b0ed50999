"""Runs one command of a step in the step's sandbox, with nothing of ours in its environment."""

import os
import select
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from changes.agent import cards
from changes.agent.accounts import Account
from changes.agent.cgroups import Group
from changes.agent.errors import AgentError
from changes.agent.logs import PIPES_FOLDER, make_pipe
from changes.agent.masking import masked
from changes.agent.offers import folder_of
from changes.agent.processes import AFTER_KILL_S, MARK_NAME, Identity
from changes.agent.sandboxes.role import Ended, Running, Sandbox, Start
from changes.agent.spool import Running as Noted
from changes.agent.spool import StepFolder
from changes.agent.stopping import StopOrder, can_be_read
from changes.protocol import CommandOffer

BASE_ENVIRONMENT = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "LANG": "C.UTF-8",
    "TERM": "dumb",
    "CI": "true",
}
OUTPUT_MAX_BYTES = 10 * 1024 * 1024
READ_BYTES = 64 * 1024
# In an image nobody knows before whether there is a bash.
EITHER_SHELL = 'if [ -x /bin/bash ]; then exec /bin/bash -eu "$0"; fi; exec /bin/sh -eu "$0"'

Ending = Literal["exited", "stopped", "timed_out", "not_started"]


@dataclass(frozen=True)
class Place:
    """Where and as what the commands of one step run."""

    folder: StepFolder
    source: Path
    env: dict[str, str]
    mark: str
    sandbox: Sandbox
    account: Account
    # The pipe that their output goes to, and the one of commands that prepare the machine.
    console: Path
    infra: Callable[[], Path]
    group: Group | None = None
    secrets: tuple[str, ...] = ()


@dataclass(frozen=True)
class Outcome:
    """`return_code` is minus the signal for a killed process, None for one that never was."""

    ending: Ending
    return_code: int | None
    duration_ms: int
    output: str | None = None
    problem: str | None = None
    leader: Identity | None = None
    cpu_ms: int | None = None
    peak_memory_kb: int | None = None
    # One of its processes was killed because the step had no memory left.
    is_out_of_memory: bool = False

    @property
    def is_success(self) -> bool:
        return self.ending == "exited" and self.return_code == 0


def run_command(command: CommandOffer, place: Place, order: StopOrder, ends_at: float | None) -> Outcome:
    started_at = time.monotonic()
    capture = Capture(place) if command.captures_output else None
    meter = Meter(place.group)
    try:
        running = place.sandbox.start(_start_of(command, place, capture))
    except (OSError, ValueError, AgentError) as error:
        problem = masked(str(error), place.secrets)
        output = capture.finish() if capture else None
        return Outcome("not_started", None, _since_ms(started_at), output, problem)
    place.folder.note_running(Noted(place.mark, running.leader))
    ending, ended = _wait(running, place.sandbox, order, ends_at)
    return Outcome(
        ending,
        ended.return_code if ended else None,
        _since_ms(started_at),
        masked(capture.finish(), place.secrets) if capture else None,
        leader=running.leader,
        cpu_ms=meter.cpu_ms(ended),
        peak_memory_kb=meter.peak_memory_kb(ended),
        is_out_of_memory=meter.has_memory_kills(),
    )


def environment(command: CommandOffer, place: Place) -> dict[str, str]:
    return {
        **BASE_ENVIRONMENT,
        "HOME": str(place.folder.home),
        "TMPDIR": str(place.folder.temporary),
        "CHANGES_LOGS": str(place.folder.path / "streams"),
        "CHANGES_CARDS": str(place.folder.path / "streams" / cards.FOLDER),
        **place.env,
        **command.env,
        MARK_NAME: place.mark,
    }


def interpreter(script: str, kind: str) -> list[str]:
    """A script with a first line of its own is executed as it is."""
    if script.startswith("#!"):
        return []
    if kind in ("podman", "lxc"):
        return ["/bin/sh", "-c", EITHER_SHELL]
    return ["/bin/bash", "-eu"] if Path("/bin/bash").exists() else ["/bin/sh", "-eu"]


def _start_of(command: CommandOffer, place: Place, capture: "Capture | None") -> Start:
    script = place.folder.scripts / command_file_name(command)
    script.write_text(command.script, errors="surrogateescape")
    script.chmod(0o700)
    place.account.own(script)
    stream = place.infra() if command.type == "infra_setup" else place.console
    return Start(
        argv=[*interpreter(command.script, place.sandbox.kind), str(script)],
        folder=folder_of(command, place.source),
        env=environment(command, place),
        output=capture.pipe if capture else stream,
        errors=stream,
    )


def command_file_name(command: CommandOffer) -> str:
    """Ids come from the server, but a file name is made of them."""
    return "".join(each for each in command.id if each.isalnum())[:64] or "script"


def _wait(
    running: Running, sandbox: Sandbox, order: StopOrder, ends_at: float | None
) -> tuple[Ending, Ended | None]:
    sign = running.sign_of_end()
    if sign is None:
        return _wait_beside(running, sandbox, order, ends_at)
    try:
        if order.wait_for(sign, ends_at):
            return "exited", running.wait()
        ending: Ending = "stopped" if order.is_given else "timed_out"
        sandbox.stop()
        return ending, running.wait() if can_be_read(sign, time.monotonic() + AFTER_KILL_S) else None
    finally:
        os.close(sign)


def _wait_beside(
    running: Running, sandbox: Sandbox, order: StopOrder, ends_at: float | None
) -> tuple[Ending, Ended | None]:
    """Another thread waits for its end, where the system has no sign of it."""
    found: list[Ended] = []

    def wait() -> None:
        found.append(running.wait())
        order.look()

    waiter = threading.Thread(target=wait, daemon=True, name="waiter")
    waiter.start()
    order.wait_until(lambda: bool(found), ends_at)
    if found:
        waiter.join()
        return "exited", found[0]
    ending: Ending = "stopped" if order.is_given else "timed_out"
    sandbox.stop()
    waiter.join(AFTER_KILL_S)
    return ending, found[0] if found else None


class Capture:
    """What a command prints, for the report: as much of it as a report may carry, and one byte more."""

    def __init__(self, place: Place) -> None:
        self.pipe = make_pipe(place.folder.path / PIPES_FOLDER / "captured")
        place.account.own(self.pipe)
        self._read_end = os.open(self.pipe, os.O_RDONLY | os.O_NONBLOCK)
        # While somebody could still write, an empty pipe is not at its end.
        self._write_end = os.open(self.pipe, os.O_WRONLY)
        self._wake_read_end, self._wake_write_end = os.pipe()
        self._found = bytearray()
        self._thread = threading.Thread(target=self._read_on, daemon=True, name="captured")
        self._thread.start()

    def finish(self) -> str:
        """What is in the pipe now is the end of it, whoever holds it open."""
        os.close(self._wake_write_end)
        self._thread.join()
        for descriptor in (self._read_end, self._write_end, self._wake_read_end):
            os.close(descriptor)
        self.pipe.unlink(missing_ok=True)
        return bytes(self._found).decode(errors="replace")

    def _read_on(self) -> None:
        poll = select.poll()
        poll.register(self._read_end, select.POLLIN)
        poll.register(self._wake_read_end, select.POLLIN)
        while True:
            is_closing = any(descriptor == self._wake_read_end for descriptor, _ in poll.poll())
            try:
                piece = os.read(self._read_end, READ_BYTES)
            except BlockingIOError:
                if is_closing:
                    return
                continue
            # One byte more tells the server that it is too much; the rest is thrown away.
            self._found += piece[: OUTPUT_MAX_BYTES + 1 - len(self._found)]
            if is_closing and len(self._found) > OUTPUT_MAX_BYTES:
                return


class Meter:
    """What one command used: counted by the group of its step where there is one, else by the system."""

    def __init__(self, group: Group | None) -> None:
        self._group = group
        self._cpu_ms = self._memory_kills = None
        if group is not None:
            group.forget_peak()
            self._cpu_ms, self._memory_kills = group.cpu_ms(), group.memory_kills()

    def cpu_ms(self, ended: Ended | None) -> int | None:
        now_ms = self._group.cpu_ms() if self._group is not None else None
        if now_ms is None or self._cpu_ms is None:
            return ended.cpu_ms if ended else None
        return max(0, now_ms - self._cpu_ms)

    def peak_memory_kb(self, ended: Ended | None) -> int | None:
        peak_kb = self._group.peak_memory_kb() if self._group is not None else None
        return peak_kb if peak_kb is not None else ended.peak_memory_kb if ended else None

    def has_memory_kills(self) -> bool:
        return self._group is not None and self._group.memory_kills() > (self._memory_kills or 0)


def _since_ms(started_at: float) -> int:
    return round((time.monotonic() - started_at) * 1000)
