"""One program that the supervisor runs, in a session of its own."""

import os
import signal
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field

from changes.app.embedded import processes
from changes.app.embedded.home import Home
from changes.app.up.output import BoundedLog, Output, Terminal

DRAIN_MAX_S = 0.5
# Of the steps of `nice`: a third of the processor where there is not enough for both.
WAY_GIVEN = 5


@dataclass(frozen=True)
class Child:
    """`env` is added to the environment of all. Children of a lower `stop_rank` are stopped
    before those of a higher one; equal ranks stop together.
    """

    name: str
    argv: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict)
    stop_signal: int = signal.SIGTERM
    stop_within_s: float = 5.0
    stop_rank: int = 0
    # Started once the web server answers: for programs that would only complain until then, or
    # take from it the processors that it needs to start.
    after_web: bool = False
    # Leaves the processors to those that somebody waits for.
    gives_way: bool = False


class ChildProcess:
    def __init__(self, child: Child, env: Mapping[str, str], home: Home, terminal: Terminal) -> None:
        self.child = child
        self._env = {**env, **child.env}
        self._log = home.logs / f"{child.name}.log"
        self._terminal = terminal
        self._process: subprocess.Popen[bytes] | None = None
        self._output: Output | None = None
        self.identity: processes.Identity | None = None

    @property
    def name(self) -> str:
        return self.child.name

    def start(self) -> None:
        self._process = subprocess.Popen(
            self.child.argv,
            env=self._env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        self.identity = processes.identify(self._process.pid)
        if self.child.gives_way:
            processes.give_way(self._process.pid, WAY_GIVEN)
        if self._process.stdout is not None:
            log = BoundedLog(self._log)
            self._output = Output(self._process.stdout, self.name, self._terminal, log)

    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def ask_to_stop(self) -> None:
        """Only the program itself: it knows best in which order its own children should go."""
        if self._process is not None and self.is_running():
            self._process.send_signal(self.child.stop_signal)

    def end(self) -> None:
        """Kill whatever is left of the whole group, its leader included."""
        if self._process is None:
            return
        processes.kill_group(self._process.pid)
        self._process.wait()
        if self._output is not None:
            self._output.drain(DRAIN_MAX_S)
        self._process = self.identity = None

    def how_it_ended(self) -> str:
        code = self._process.returncode if self._process is not None else None
        if code is None:
            return "could not be started"
        return f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"


def environment(*added: Mapping[str, str]) -> dict[str, str]:
    env = dict(os.environ)
    for more in added:
        env.update(more)
    return env
