"""No sandbox at all but an own session, and an own account where the agent is root.

What runs here can reach whatever its account can: the sockets of a server that runs under the same
one, for instance. It is for projects that are trusted.
"""

import errno
import os
import resource
import subprocess
import time
from contextlib import suppress
from dataclasses import replace
from typing import Any

from changes.agent.processes import Identity, Tree, identity, kill_tree, may_have_orphans
from changes.agent.sandboxes.role import (
    UMASK,
    Ended,
    Ground,
    Running,
    Start,
    end_group,
    entering,
    odd_variables,
    return_code,
)

# A fork of another step may hold a fresh script open for writing until its exec, some microseconds later.
BUSY_TRIES, BUSY_PAUSE_S = 20, 0.005
MS_PER_S = 1000


class Child:
    """A process of ours, and what the system counted of it and of all its children that it waited for."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process
        self.leader: Identity | None = identity(process.pid)

    def wait(self) -> Ended:
        _, status, used = os.wait4(self._process.pid, 0)
        code = os.waitstatus_to_exitcode(status)
        # Popen would otherwise wait for it, too, one day.
        self._process.returncode = code
        # A child begins as a copy of us; below that size nobody knows how large it was.
        own_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        peak_kb = used.ru_maxrss if used.ru_maxrss > own_kb else None
        return Ended(code, round((used.ru_utime + used.ru_stime) * MS_PER_S), peak_kb)

    def sign_of_end(self) -> int | None:
        if not hasattr(os, "pidfd_open"):
            return None
        # Some containers allow it to nobody.
        with suppress(OSError):
            return os.pidfd_open(self._process.pid)
        return None


class Client:
    """What talks to a container: what it used itself says nothing about the command."""

    def __init__(self, child: Child) -> None:
        self._child = child
        self.leader = child.leader

    def wait(self) -> Ended:
        return Ended(return_code(self._child.wait().return_code))

    def sign_of_end(self) -> int | None:
        return self._child.sign_of_end()


def start_child(argv: list[str], ground: Ground, start: Start, **more: Any) -> Child:
    output = os.open(start.output, os.O_WRONLY)
    try:
        errors = os.open(start.errors, os.O_WRONLY)
    except OSError:
        os.close(output)
        raise
    try:
        return Child(
            popen(
                [*entering(ground), *argv],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=errors,
                start_new_session=True,
                umask=UMASK,
                **more,
            )
        )
    finally:
        os.close(output)
        os.close(errors)


def popen(argv: list[str], **how: Any) -> subprocess.Popen[bytes]:
    for tries_left in reversed(range(BUSY_TRIES)):
        try:
            return subprocess.Popen(argv, **how)
        except OSError as error:
            if error.errno != errno.ETXTBSY or not tries_left:
                raise
            time.sleep(BUSY_PAUSE_S)
    raise AssertionError("the last try returns or raises")


class ProcessSandbox:
    kind = "process"

    def __init__(self, ground: Ground) -> None:
        self._ground = ground
        self._tree = Tree(ground.mark)

    def start(self, start: Start) -> Running:
        argv = list(start.argv)
        if self._ground.group is not None:
            # The shell that joins the group would drop these.
            argv = [*odd_variables(start.env), *argv]
        child = start_child(argv, self._ground, start, cwd=start.folder, env=dict(start.env))
        self._tree = self._tree.with_leader(child.leader)
        return child

    def stop(self) -> None:
        kill_tree(self._tree)
        if self._ground.group is not None:
            self._ground.group.kill()

    def end(self, *, is_alone: bool) -> None:
        group = self._ground.group
        if may_have_orphans() or (group is not None and group.members()):
            kill_tree(replace(self._tree, is_alone=is_alone))
        end_group(group)


def quiet_run(argv: list[str], timeout_s: float, **how: Any) -> subprocess.CompletedProcess[bytes] | None:
    """None where it cannot be run, or does not come to an end."""
    with suppress(OSError, subprocess.TimeoutExpired):
        return subprocess.run(
            argv, check=False, capture_output=True, stdin=subprocess.DEVNULL, timeout=timeout_s, **how
        )
    return None
