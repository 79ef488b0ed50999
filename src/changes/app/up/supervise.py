"""Keeps a handful of programs running, and ends all of them when it is told to."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from changes.app.embedded import processes
from changes.app.embedded.errors import StartRefused
from changes.app.embedded.home import Home
from changes.app.up import output, previous
from changes.app.up.children import Child, ChildProcess
from changes.app.up.output import Terminal
from changes.app.up.previous import Left
from changes.app.up.signals import StopSignals

LOOK_EVERY_S = 0.5
RESTART_MAX_S = 30
# Whoever ran this long starts its count anew.
STEADY_AFTER_S = 60
STOP_ALL_WITHIN_S = 10.0
KEPT_FOR_SERVERS_S = 2.0


class Server(Protocol):
    """A database: it knows by itself how to be started, found and stopped."""

    name: str

    def start(self) -> None: ...
    def stop(self, within_s: float) -> None: ...
    def is_running(self) -> bool: ...


def restart_delay_s(deaths: int) -> int:
    """1, 2, 4 … 30 seconds."""
    return int(min(2 ** (deaths - 1), RESTART_MAX_S))


@dataclass
class Watch:
    """How one of them has been doing."""

    what: Server | ChildProcess
    started_at: float
    deaths: int = 0
    restart_at: float | None = None


class Supervisor:
    def __init__(self, home: Home, terminal: Terminal, signals: StopSignals) -> None:
        self._home = home
        self._terminal = terminal
        self._signals = signals
        self._servers: list[Watch] = []
        self._children: list[Watch] = []

    def start_server(self, server: Server) -> None:
        # Listed first: a start that fails half way is stopped like the others.
        self._servers.append(Watch(server, time.monotonic()))
        server.start()

    def start_children(self, children: Sequence[Child], env: Mapping[str, str]) -> None:
        for child in children:
            process = ChildProcess(child, env, self._home, self._terminal)
            self._children.append(Watch(process, time.monotonic()))
            process.start()
            self._write_down()

    def deaths_of(self, name: str) -> int:
        return sum(watch.deaths for watch in self._children if watch.what.name == name)

    def watch_until(self, is_done: Callable[[], bool], look_every_s: float = LOOK_EVERY_S) -> None:
        """Restart whoever dies, until it is done or we are to stop."""
        while not self._signals.asked_to_stop() and not is_done():
            for watch in [*self._servers, *self._children]:
                self._look_at(watch, time.monotonic())
            for watch in self._servers:
                output.bound_in_place(self._home.logs / f"{watch.what.name}.log")
            self._signals.wait(look_every_s)

    def stop_everything(self) -> None:
        """Children in their order, then the servers, the last started first; all within 10 s."""
        deadline = time.monotonic() + STOP_ALL_WITHIN_S
        children = [watch.what for watch in self._children if isinstance(watch.what, ChildProcess)]
        for rank in sorted({process.child.stop_rank for process in children}):
            same = [process for process in children if process.child.stop_rank == rank]
            _stop_together(same, deadline - KEPT_FOR_SERVERS_S)
        for watch in reversed(self._servers):
            if not isinstance(watch.what, ChildProcess):
                watch.what.stop(within_s=max(1.0, deadline - time.monotonic() - 1.0))
        previous.forget(self._home.path)

    def _look_at(self, watch: Watch, now: float) -> None:
        if watch.restart_at is None:
            if not watch.what.is_running():
                self._note_death(watch, now)
        elif now >= watch.restart_at:
            self._start_again(watch, now)

    def _note_death(self, watch: Watch, now: float) -> None:
        if now - watch.started_at > STEADY_AFTER_S:
            watch.deaths = 0
        watch.deaths += 1
        delay_s = restart_delay_s(watch.deaths)
        watch.restart_at = now + delay_s
        how = "ended unexpectedly"
        if isinstance(watch.what, ChildProcess):
            how = watch.what.how_it_ended()
            watch.what.end()
        self._terminal.say(f"{watch.what.name} {how}; starting it again in {delay_s} s.")

    def _start_again(self, watch: Watch, now: float) -> None:
        watch.restart_at, watch.started_at = None, now
        try:
            watch.what.start()
            self._write_down()
        except (OSError, StartRefused) as error:
            # Not running is seen at the next look, and tried again after a longer pause.
            self._terminal.say(f"{watch.what.name}: {error}")

    def _write_down(self) -> None:
        previous.write(self._home.path, [left for watch in self._children if (left := _as_left(watch))])


def _as_left(watch: Watch) -> Left | None:
    process = watch.what
    if not isinstance(process, ChildProcess) or process.identity is None:
        return None
    child, identity = process.child, process.identity
    return Left(child.name, identity.pid, identity.started, child.stop_rank, int(child.stop_signal))


def _stop_together(children: Sequence[ChildProcess], deadline: float) -> None:
    asked_at = time.monotonic()
    for process in children:
        process.ask_to_stop()
    for process in children:
        until = min(asked_at + process.child.stop_within_s, deadline)
        processes.wait_until(lambda: not process.is_running(), until - time.monotonic())  # noqa: B023 -- used at once
        process.end()
