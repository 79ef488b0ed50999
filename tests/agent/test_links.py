"""Bad lines between agent and server: what a step prints arrives whole and in order all the same.

Each is tried by a proxy, and where this machine allows it, on a cable between two network namespaces.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

import pytest
from tests.agent.running import a_step, agent_process, eventually
from tests.fakes.coordinator import Coordinator, StepSeen
from tests.faults import namespaces
from tests.faults.gates import Gate, assert_counted_without_holes
from tests.faults.namespaces import SERVER_ADDRESS, Cable
from tests.faults.proxy import Proxy

pytestmark = pytest.mark.system
PRINTED_BYTES = 500
# As the system writes it.
ESTABLISHED = "01"


class Line(Protocol):
    def cut(self) -> None: ...

    def drop(self) -> None: ...

    def reset(self) -> None: ...

    def mend(self) -> None: ...


@dataclass
class Site:
    coordinator: Coordinator
    line: Line
    url: str
    place: Callable[[], AbstractContextManager[None]]

    @property
    def port(self) -> int:
        return urlsplit(self.url).port or 0


@contextmanager
def behind_a_proxy() -> Iterator[Site]:
    coordinator = Coordinator()
    proxy = Proxy(("127.0.0.1", coordinator.port))
    try:
        yield Site(coordinator, proxy, proxy.url, nullcontext)
    finally:
        proxy.close()
        coordinator.go_away()


@contextmanager
def at_the_end_of_a_cable() -> Iterator[Site]:
    cable = Cable()
    try:
        with cable.inside(cable.server_side):
            coordinator = Coordinator(SERVER_ADDRESS)
        try:
            yield Site(coordinator, cable, coordinator.url, lambda: cable.inside(cable.agent_side))
        finally:
            coordinator.go_away()
    finally:
        cable.close()


has_cables = cache(namespaces.are_allowed)


@pytest.fixture(params=["proxy", pytest.param("namespaces", marks=pytest.mark.long)])
def site(request: pytest.FixtureRequest) -> Iterator[Site]:
    """A machine without namespaces has the proxy twice: the names of tests are the same everywhere."""
    is_cable = request.param == "namespaces" and has_cables()
    with at_the_end_of_a_cable() if is_cable else behind_a_proxy() as site:
        yield site


@pytest.fixture
def gate(tmp_path: Path) -> Gate:
    return Gate(tmp_path / "open")


@contextmanager
def counting(site: Site, home: Path, gate: Gate) -> Iterator[StepSeen]:
    """A step that prints numbered lines until the gate opens; a part of them has arrived."""
    with site.place():
        running = agent_process(site.coordinator, home, "--server", site.url)
        agent = running.__enter__()
    try:
        assert agent.poll() is None
        step = site.coordinator.offer(a_step(gate.counting, name="counting"))
        site.coordinator.wait_for(lambda: "line 5\n" in step.console)
        yield step
    finally:
        site.line.mend()
        running.__exit__(None, None, None)


def print_on(home: Path, step: StepSeen) -> None:
    """Waits until the step, which knows nothing of the line, has printed some more."""
    console = home / "steps" / step.offer.id / "logs" / "console"
    before = console.stat().st_size
    eventually(lambda: console.stat().st_size > before + PRINTED_BYTES)


def has_grown(step: StepSeen, since: int) -> bool:
    return len(step.console) > since


def assert_whole(site: Site, step: StepSeen) -> None:
    assert site.coordinator.final_of(step).result == "passed"
    assert_counted_without_holes(step.console.encode())


def test_a_line_that_is_cut_delays_what_is_printed(site: Site, home: Path, gate: Gate) -> None:
    with counting(site, home, gate) as step:
        site.line.cut()
        print_on(home, step)
        gate.open()
        eventually((home / "steps" / step.offer.id / "report.json").exists)
        assert step.final is None

        site.line.mend()

        assert_whole(site, step)


def test_a_line_that_swallows_everything_delays_what_is_printed(site: Site, home: Path, gate: Gate) -> None:
    with counting(site, home, gate) as step:
        site.line.drop()
        print_on(home, step)
        gate.open()
        eventually((home / "steps" / step.offer.id / "report.json").exists)
        assert step.final is None

        site.line.mend()

        assert_whole(site, step)


def test_a_line_that_breaks_again_and_again_loses_nothing(site: Site, home: Path, gate: Gate) -> None:
    with counting(site, home, gate) as step:
        for _ in range(3):
            seen = len(step.console)
            site.line.reset()
            print_on(home, step)
            site.line.mend()
            site.coordinator.wait_for(partial(has_grown, step, seen))
        gate.open()

        assert_whole(site, step)


def test_a_step_is_cancelled_over_a_line_that_was_cut_meanwhile(site: Site, home: Path, gate: Gate) -> None:
    with counting(site, home, gate) as step:
        site.line.cut()
        site.coordinator.cancel(step.offer.id)

        site.line.mend()

        assert site.coordinator.final_of(step).result == "aborted"


def test_a_slow_line_delays_everything_and_loses_nothing(home: Path, gate: Gate) -> None:
    with behind_a_proxy() as site:
        assert isinstance(site.line, Proxy)
        site.line.delay_s = 0.1
        with counting(site, home, gate) as step:
            print_on(home, step)
            gate.open()

            assert_whole(site, step)


@pytest.mark.long
def test_an_agent_notices_that_its_line_was_cut_without_a_word(home: Path, gate: Gate) -> None:
    """Of each connection that it waits on. A proxy cannot do this: it answers for the server."""
    with at_the_end_of_a_cable() if has_cables() else behind_a_proxy() as site:
        with site.place():
            running = agent_process(site.coordinator, home, "--server", site.url)
            agent = running.__enter__()
        try:
            step = site.coordinator.offer(a_step(gate.waiting, name="silent"))
            site.coordinator.wait_for(lambda: "begun\n" in step.console)
            site.line.drop() if has_cables() else site.line.cut()

            eventually(lambda: not lines_of(agent.pid, site.port))

            site.line.mend()
            gate.open()
            assert site.coordinator.final_of(step).result == "passed"
        finally:
            site.line.mend()
            running.__exit__(None, None, None)


def lines_of(agent_pid: int, port: int) -> list[str]:
    """Connections to the server, in the agent's own namespace of the network."""
    rows = [line.split() for line in Path(f"/proc/{agent_pid}/net/tcp").read_text().splitlines()[1:]]
    return [row[1] for row in rows if row[2].endswith(f":{port:04X}") and row[3] == ESTABLISHED]
