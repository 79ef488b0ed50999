"""Agents for tests: in this process, or as the real program; and offers for them."""

import os
import pwd
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.fakes.coordinator import AGENT_TOKEN, ENROL_TOKEN, Coordinator

from changes.agent.client import Client
from changes.agent.hello import Greeter, machine_of
from changes.agent.link import Link
from changes.agent.loop import Agent
from changes.agent.sandboxes.housing import Housing
from changes.protocol import CommandOffer, StepOffer

STOP_WITHIN_S = 180.0
# Steps as plain processes of our own account, which may enter the folders that pytest makes.
PLAIN = {"CHANGES_STEP_ACCOUNT": pwd.getpwuid(os.geteuid()).pw_name, "CHANGES_AGENT_SANDBOX": "process"}


def a_command(script: str, name: str = "", **more: Any) -> CommandOffer:
    return CommandOffer(id=more.pop("id", "c1"), name=name or script.splitlines()[0], script=script, **more)


def a_step(*commands: CommandOffer | str, **more: Any) -> StepOffer:
    """Commands given as text get the ids c1, c2 …"""
    offers = [
        a_command(each, id=f"c{number}") if isinstance(each, str) else each
        for number, each in enumerate(commands, 1)
    ]
    facts = {"id": "step-1", "name": "tests", "project": "demo", "build": "b1", "checkout": None}
    return StepOffer(**{**facts, **more}, commands=offers)


@contextmanager
def running_agent(
    coordinator: Coordinator, home: Path, slots: int = 2, housing: Housing | None = None
) -> Iterator[Agent]:
    refusals: list[Exception] = []
    link = Link(Client(coordinator.url, AGENT_TOKEN, connections=2 * slots + 4))
    greeter = Greeter(link.client, link.retrying, home, machine_of("test-agent", slots, {}))
    agent = Agent(link, home, greeter, refusals.append)
    if housing is not None:
        agent.house_steps(housing)
    agent.start()
    try:
        yield agent
    finally:
        agent.stop(STOP_WITHIN_S)
    assert not refusals


@contextmanager
def agent_process(
    coordinator: Coordinator, home: Path, *options: str, env: dict[str, str] | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    arguments = ["--server", coordinator.url, "--home", str(home), "--name", "test-agent", *options]
    process = subprocess.Popen(
        [sys.executable, "-W", "error", "-m", "changes.agent.main", "--enrol", ENROL_TOKEN, *arguments],
        env={**os.environ, **PLAIN, **(env or {})},
        stderr=subprocess.PIPE,
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.terminate()
        _, words = process.communicate(timeout=STOP_WITHIN_S)
        sys.stderr.write(words.decode())


def eventually(question: Callable[[], object], within_s: float = STOP_WITHIN_S) -> None:
    """For what happens on disk or among processes, where nobody tells us."""
    ends_at = time.monotonic() + within_s
    while not question():
        assert time.monotonic() < ends_at, f"did not happen within {within_s} s"
        time.sleep(0.005)


def is_alive(pid: int) -> bool:
    try:
        status = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return status not in "ZX"
