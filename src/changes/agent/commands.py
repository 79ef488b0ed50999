"""Runs one command of a step: a process in a session of its own, with nothing of ours in its environment."""

import errno
import os
import subprocess
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from changes.agent.errors import BadOffer
from changes.agent.offers import folder_of
from changes.agent.processes import AFTER_KILL_S, MARK_NAME, Identity, Tree, identity, kill_tree
from changes.agent.spool import Running, StepFolder
from changes.agent.stopping import StopOrder
from changes.protocol import CommandOffer

BASE_ENVIRONMENT = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "LANG": "C.UTF-8",
    "TERM": "dumb",
    "CI": "true",
}
OUTPUT_MAX_BYTES = 10 * 1024 * 1024
# A fork of another step may hold a fresh script open for writing until its exec, some microseconds later.
BUSY_TRIES, BUSY_PAUSE_S = 20, 0.005

Ending = Literal["exited", "stopped", "timed_out", "not_started"]


@dataclass(frozen=True)
class Place:
    """Where and as what the commands of one step run."""

    folder: StepFolder
    source: Path
    env: dict[str, str]
    mark: str
    console: int


@dataclass(frozen=True)
class Outcome:
    """`return_code` is minus the signal for a killed process, None for one that never was."""

    ending: Ending
    return_code: int | None
    duration_ms: int
    output: str | None = None
    problem: str | None = None
    leader: Identity | None = None

    @property
    def is_success(self) -> bool:
        return self.ending == "exited" and self.return_code == 0


def run_command(command: CommandOffer, place: Place, order: StopOrder, ends_at: float | None) -> Outcome:
    started_at = time.monotonic()
    captured = place.folder.path / "captured" if command.captures_output else None
    try:
        process = _start(command, place, captured)
    except (OSError, ValueError, BadOffer) as error:
        return Outcome("not_started", None, _since_ms(started_at), problem=str(error))
    leader = identity(process.pid)
    place.folder.note_running(Running(place.mark, leader))
    ending = _wait(process, Tree(place.mark).with_leader(leader), order, ends_at)
    output = _read_captured(captured) if captured else None
    return Outcome(ending, process.returncode, _since_ms(started_at), output, leader=leader)


def environment(command: CommandOffer, place: Place) -> dict[str, str]:
    return {
        **BASE_ENVIRONMENT,
        "HOME": str(place.folder.home),
        "TMPDIR": str(place.folder.temporary),
        **place.env,
        **command.env,
        MARK_NAME: place.mark,
    }


def interpreter(script: str) -> list[str]:
    """A script with a first line of its own is executed as it is."""
    if script.startswith("#!"):
        return []
    return ["/bin/bash", "-eu"] if Path("/bin/bash").exists() else ["/bin/sh", "-eu"]


def _start(command: CommandOffer, place: Place, captured: Path | None) -> subprocess.Popen[bytes]:
    script = place.folder.scripts / command_file_name(command)
    script.write_text(command.script, errors="surrogateescape")
    script.chmod(0o700)
    working_folder = folder_of(command, place.source)
    output = os.open(captured, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600) if captured else place.console
    try:
        for tries_left in reversed(range(BUSY_TRIES)):
            try:
                return subprocess.Popen(
                    [*interpreter(command.script), str(script)],
                    cwd=working_folder,
                    env=environment(command, place),
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=place.console,
                    start_new_session=True,
                )
            except OSError as error:
                if error.errno != errno.ETXTBSY or not tries_left:
                    raise
                time.sleep(BUSY_PAUSE_S)
    finally:
        if captured:
            os.close(output)
    raise AssertionError("the last try returns or raises")


def command_file_name(command: CommandOffer) -> str:
    """Ids come from the server, but a file name is made of them."""
    return "".join(each for each in command.id if each.isalnum())[:64] or "script"


def _wait(process: subprocess.Popen[bytes], tree: Tree, order: StopOrder, ends_at: float | None) -> Ending:
    def wait() -> None:
        process.wait()
        order.look()

    waiter = threading.Thread(target=wait, daemon=True, name="waiter")
    waiter.start()
    order.wait_until(lambda: process.returncode is not None, ends_at)
    if process.returncode is not None:
        waiter.join()
        return "exited"
    ending: Ending = "stopped" if order.is_given else "timed_out"
    kill_tree(tree)
    waiter.join(AFTER_KILL_S)
    return ending


def _read_captured(captured: Path) -> str:
    with captured.open("rb") as file:
        # One byte more tells the server that it is too much.
        output = file.read(OUTPUT_MAX_BYTES + 1)
    captured.unlink()
    return output.decode(errors="replace")


def _since_ms(started_at: float) -> int:
    return round((time.monotonic() - started_at) * 1000)
