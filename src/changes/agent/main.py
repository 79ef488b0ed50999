"""The build agent's program: `changes-agent`, and `changes agent` through `run`."""

import argparse
import logging
import os
import select
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from changes.agent.client import Client
from changes.agent.errors import AgentError, GivenUp, Refused
from changes.agent.identity import enrol, locked_home, stored_identity
from changes.agent.link import Link
from changes.agent.loop import Agent
from changes.agent.processes import adopt_orphans, reap_orphans
from changes.protocol import Enrolment

DEFAULT_HOME = Path("~/.changes-agent")
# The grace of a step's processes (5 s), and some time to give the steps back.
STOP_WITHIN_S = 7.0
EXIT_OK, EXIT_REFUSED = 0, 3
STOPPED, REFUSED = b"s", b"r"
CONNECTIONS_PER_SLOT, CONNECTIONS_OF_AGENT = 2, 4

log = logging.getLogger("changes.agent")


@dataclass(frozen=True)
class AgentOptions:
    server: str
    home: Path = DEFAULT_HOME
    name: str = field(default_factory=socket.gethostname)
    slots: int = 1
    labels: dict[str, str] = field(default_factory=dict)
    enrolment_token: str = field(default="", repr=False)


def main(arguments: list[str] | None = None) -> None:
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    # It warns of each connection more than the pool keeps, which is no trouble.
    logging.getLogger("urllib3").setLevel(logging.ERROR)
    sys.exit(run(parse(sys.argv[1:] if arguments is None else arguments)))


def parse(arguments: list[str]) -> AgentOptions:
    parser = argparse.ArgumentParser(
        prog="changes-agent", description="Runs build steps for a Changes server."
    )
    parser.add_argument("--server", required=True, help="URL of the server")
    parser.add_argument("--home", type=Path, default=DEFAULT_HOME, help="folder for mirrors and steps")
    parser.add_argument("--name", default=socket.gethostname(), help="how people call this agent")
    parser.add_argument("--slots", type=_count, default=1, help="steps to run at a time")
    parser.add_argument("--label", type=_label, action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument(
        "--enrol",
        metavar="TOKEN",
        default=os.environ.get("CHANGES_ENROL_TOKEN", ""),
        help="one-time token, needed at the first start only (or CHANGES_ENROL_TOKEN)",
    )
    given = parser.parse_args(arguments)
    return AgentOptions(
        server=given.server,
        home=given.home,
        name=given.name,
        slots=given.slots,
        labels=dict(given.label),
        enrolment_token=given.enrol,
    )


def run(options: AgentOptions) -> int:
    """Works until told to stop; returns the exit code. Call it in the main thread."""
    home = options.home.expanduser().absolute()
    try:
        with locked_home(home), _orders() as (read_end, write_end):
            return _work(options, home, read_end, write_end)
    except AgentError as error:
        log.critical("%s", error)
        return EXIT_REFUSED


def _work(options: AgentOptions, home: Path, read_end: int, write_end: int) -> int:
    server = options.server.rstrip("/")
    try:
        identity = stored_identity(home, server) or enrol(
            home, server, _enrolment(options), lambda: _is_ordered(read_end)
        )
    except GivenUp:
        return EXIT_OK
    connections = options.slots * CONNECTIONS_PER_SLOT + CONNECTIONS_OF_AGENT
    link = Link(Client(server, identity.token, connections))
    refusals: list[Refused] = []

    def on_refused(why: Refused) -> None:
        refusals.append(why)
        os.write(write_end, REFUSED)

    adopt_orphans()
    agent = Agent(link, home, options.slots, on_refused)
    agent.start()
    log.info("Agent %s is ready for %s.", options.name, server)
    order = os.read(read_end, 1)
    agent.stop(STOP_WITHIN_S)
    if order == REFUSED:
        log.error(
            "The server refuses this agent: %s. Remove %s/identity.json and enrol again.", refusals[0], home
        )
        return EXIT_REFUSED
    log.info("Agent %s has stopped.", options.name)
    return EXIT_OK


@contextmanager
def _orders() -> Iterator[tuple[int, int]]:
    """A pipe into which signals write: a handler may interrupt anything, so it must not take a lock."""
    read_end, write_end = os.pipe()
    handlers = {
        signal.SIGTERM: lambda *_: os.write(write_end, STOPPED),
        signal.SIGINT: lambda *_: os.write(write_end, STOPPED),
        signal.SIGCHLD: lambda *_: reap_orphans(),
    }
    before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    try:
        yield read_end, write_end
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _is_ordered(read_end: int) -> bool:
    return bool(select.select([read_end], [], [], 0)[0])


def _enrolment(options: AgentOptions) -> Enrolment:
    return Enrolment(
        token=options.enrolment_token,
        name=options.name,
        slots=options.slots,
        labels=options.labels,
        cpus=os.cpu_count() or 0,
        memory_mb=_memory_mb(),
    )


def _memory_mb() -> int:
    """0 where the system does not tell."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2**20
    except (ValueError, OSError):
        return 0


def _count(text: str) -> int:
    count = int(text)
    if count < 1:
        raise argparse.ArgumentTypeError("at least one")
    return count


def _label(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not key or not equals:
        raise argparse.ArgumentTypeError(f"{text!r} is not KEY=VALUE")
    return key, value


if __name__ == "__main__":
    main()
