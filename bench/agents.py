"""The real agent as a process of its own, and a stand-in that only notes when an offer arrives."""

import http.client
import os
import pwd
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from queue import SimpleQueue

from bench.system import System, clean_environment, stop, wait_until
from bench.wire import Caller

READY_WITHIN_S = 20
HOLD_S = 2.0
TOKENS = "/api/0/agents/tokens/"
# As the peers do it; what a sandbox costs on top is measured by itself (sandbox.py).
PLAIN = {"CHANGES_STEP_ACCOUNT": pwd.getpwuid(os.geteuid()).pw_name, "CHANGES_AGENT_SANDBOX": "process"}


@contextmanager
def real(system: System, slots: int, housing: Mapping[str, str] = PLAIN) -> Iterator[subprocess.Popen[bytes]]:
    """`housing` is what its steps run in; without any word as where nobody says anything."""
    caller = system.caller()
    words = ["agent", "--server", system.url, "--home", str(system.home / "agent"), "--slots", str(slots)]
    enrol = ["--name", "bench", "--enrol", caller.post(TOKENS)["token"]]
    with (system.home / "logs" / "bench-agent.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "changes.app.cli", *words, *enrol],
            env=clean_environment() | dict(housing),
            stderr=log,
        )
    try:
        wait_until(lambda: has_asked(caller), READY_WITHIN_S)
        yield process
    finally:
        caller.close()
        stop(process)


def has_asked(caller: Caller) -> bool:
    return any(node["name"] == "bench" and node["dateLastSeen"] for node in caller.get_json("/api/0/nodes/"))


@contextmanager
def stand_in(system: System) -> Iterator["StandIn"]:
    asking = system.caller()
    enrolment = {"token": asking.post(TOKENS)["token"], "name": "stand-in"}
    key = Caller(system.port).post_json("/api/0/agents/enrol/", enrolment)["token"]
    agent = StandIn(Caller(system.port, key))
    try:
        yield agent
    finally:
        agent.is_over = True
        # A request still held would be given a step of the next measurement.
        agent.thread.join()


class StandIn:
    """Takes one step at a time, notes the moment, and reports it as passed without running anything."""

    def __init__(self, caller: Caller) -> None:
        self.taken: SimpleQueue[float] = SimpleQueue()
        self.is_asking = threading.Event()
        self.is_over = False
        self._caller = caller
        self.thread = threading.Thread(target=self._take, daemon=True)
        self.thread.start()

    def _take(self) -> None:
        while not self.is_over:
            self.is_asking.set()
            try:
                offers = self._caller.post_json("/api/0/agents/steps/next/", {"slots": 1, "wait_s": HOLD_S})
                if offers:
                    moment = time.perf_counter()
                    self.is_asking.clear()
                    self.taken.put(moment)
                for offer in offers:
                    self._report(offer)
            except (OSError, http.client.HTTPException):
                return

    def _report(self, offer: dict[str, list[dict[str, str]]]) -> None:
        commands = [
            {"id": each["id"], "status": "finished", "return_code": 0, "duration_ms": 0}
            for each in offer["commands"]
        ]
        report = {"status": "finished", "result": "passed", "duration_ms": 0, "commands": commands}
        self._caller.post_json(f"/api/0/agents/steps/{offer['id']}/report/", report)
