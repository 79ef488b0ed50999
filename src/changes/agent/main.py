"""The build agent's program: `changes-agent`, and `changes agent`."""

import gc
import logging
import os
import select
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from changes.agent.client import Client
from changes.agent.errors import AgentError, BadOptions, GivenUp, OtherVersion, Refused
from changes.agent.hello import Greeter, machine_of
from changes.agent.identity import FILE_NAME, enrol, locked_home, stored_identity
from changes.agent.link import Link
from changes.agent.loop import Agent
from changes.agent.options import AgentOptions, enrolment_token_of, parse
from changes.agent.processes import adopt_orphans, reap_orphans
from changes.agent.sandboxes.housing import Housing, look
from changes.protocol import Enrolment, Machine

# The grace of a step's processes (5 s), and some time to give the steps back.
STOP_WITHIN_S = 7.0
EXIT_OK, EXIT_USAGE, EXIT_REFUSED = 0, 2, 3
STOPPED, REFUSED, CHANGED, IDLE = b"s", b"r", b"h", b"i"
CONNECTIONS_PER_SLOT, CONNECTIONS_OF_AGENT = 2, 4
# At the end of each child there would mostly be nothing to do, and all threads would wait for that.
REAP_EVERY_S = 0.5
# So many objects more than were given back, until Python looks which of them are garbage.
NEW_OBJECTS = 10_000

log = logging.getLogger("changes.agent")


def main(arguments: list[str] | None = None) -> None:
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    # It warns of each connection more than the pool keeps, which is no trouble.
    logging.getLogger("urllib3").setLevel(logging.ERROR)
    sys.exit(run(sys.argv[1:] if arguments is None else arguments))


def run(arguments: list[str]) -> int:
    """Works until told to stop; returns the exit code. Call it in the main thread."""
    try:
        options = parse(arguments)
    except BadOptions as error:
        log.critical("%s", error)
        return EXIT_USAGE
    forget_inherited_signals()
    try:
        with locked_home(options.home), Orders.heard() as orders:
            return _work(options, arguments, orders)
    except AgentError as error:
        log.critical("%s", error)
        return EXIT_REFUSED


def forget_inherited_signals() -> None:
    """What the shell that started us ignores or blocks would stay so in every step."""
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    # Python ignores these itself, and sets them right for its children.
    for number in signal.valid_signals() - {signal.SIGPIPE, signal.SIGXFSZ}:
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)


class Orders:
    """A pipe into which signals and threads write: a handler may interrupt anything, so it takes no lock.

    Each signal also writes its number, which says nothing but wakes us: a handler of Python's runs only
    once the main thread goes on, and one that came just before it began to read would stay unheard.
    """

    def __init__(self) -> None:
        self._read_end, self._write_end = os.pipe()
        # Whoever writes must never wait; so many orders at once say nothing new.
        os.set_blocking(self._write_end, False)
        self._is_stopped = False

    @classmethod
    @contextmanager
    def heard(cls) -> Iterator["Orders"]:
        orders = cls()
        handlers = {
            signal.SIGTERM: lambda *_: orders.give(STOPPED),
            signal.SIGINT: lambda *_: orders.give(STOPPED),
            signal.SIGHUP: lambda *_: orders.give(CHANGED),
        }
        before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
        woken_before = signal.set_wakeup_fd(orders._write_end, warn_on_full_buffer=False)
        try:
            yield orders
        finally:
            signal.set_wakeup_fd(woken_before)
            for number, handler in before.items():
                signal.signal(number, handler)

    def give(self, order: bytes) -> None:
        try:
            os.write(self._write_end, order)
        except BlockingIOError:
            return

    def next(self, within_s: float | None = None) -> bytes | None:
        """None when none came in time."""
        if within_s is not None and not self._is_given(max(0.0, within_s)):
            return None
        return os.read(self._read_end, 1)

    def is_stopped(self) -> bool:
        """While nothing but an end is waited for: what else was ordered is passed over."""
        while not self._is_stopped and self._is_given(0.0):
            self._is_stopped = os.read(self._read_end, 1) == STOPPED
        return self._is_stopped

    def _is_given(self, within_s: float) -> bool:
        return bool(select.select([self._read_end], [], [], within_s)[0])


def _work(options: AgentOptions, arguments: list[str], orders: Orders) -> int:
    housing = housing_of(options)
    machine = machine_of(options.name, options.slots, options.labels, housing)
    try:
        identity = stored_identity(options.home, options.server) or enrol(
            options.home, options.server, _enrolment(options, machine), orders.is_stopped
        )
    except GivenUp:
        return EXIT_OK
    connections = options.slots * CONNECTIONS_PER_SLOT + CONNECTIONS_OF_AGENT
    link = Link(Client(options.server, identity.token, connections))
    greeter = Greeter(link.client, link.retrying, options.home, machine)
    refusals: list[Refused] = []

    def on_refused(why: Refused) -> None:
        refusals.append(why)
        orders.give(REFUSED)

    adopt_orphans()
    agent = Agent(link, options.home, greeter, on_refused)
    agent.house_steps(housing)
    agent.keep_free_mb = options.keep_free_mb
    agent.on_idle = lambda: orders.give(IDLE)
    leave_out_what_is_here()
    agent.start()
    log.info("Agent %s is ready for %s.", options.name, options.server)
    options = _until_stopped(orders, arguments, options, agent, greeter)
    _stop(agent, orders, 0.0 if refusals else options.stop_after_s)
    housing.trees.leave()
    if refusals:
        log.error("%s", _farewell(refusals[0], options.home))
        return EXIT_REFUSED
    log.info("Agent %s has stopped.", options.name)
    return EXIT_OK


def leave_out_what_is_here() -> None:
    """Of the search for garbage that refers to itself: all that is loaded is none, and it is looked at again
    and again otherwise, while all threads wait.
    """
    gc.freeze()
    gc.set_threshold(NEW_OBJECTS, *gc.get_threshold()[1:])


def _until_stopped(
    orders: Orders, arguments: list[str], options: AgentOptions, agent: Agent, greeter: Greeter
) -> AgentOptions:
    """Returns what it was told last."""
    housing = agent.housing
    while (order := orders.next(REAP_EVERY_S)) not in (STOPPED, REFUSED):
        reap_orphans()
        if order == CHANGED:
            options = _changed(arguments, options)
            agent.keep_free_mb = options.keep_free_mb
            housing = replace(housing, usual=options.sandbox)
            agent.house_steps(housing)
            greeter.machine = machine_of(options.name, options.slots, options.labels, housing)
            agent.tell_anew()
    return options


def housing_of(options: AgentOptions) -> Housing:
    """Raises AgentError where steps would have to run as root, or could not get at their folders."""
    return look(options.home, usual=options.sandbox, account_name=options.step_account)


def _changed(arguments: list[str], options: AgentOptions) -> AgentOptions:
    try:
        now = parse(arguments)
    except BadOptions as error:
        log.critical("Everything stays as it was: %s", error)
        return options
    if (now.server, now.home) != (options.server, options.home):
        log.error("Everything stays as it was: another server or home needs a new start.")
        return options
    log.info(
        "Read again: agent %s has %s slots and the labels %s.", now.name, now.slots, now.labels or "none"
    )
    return now


def _stop(agent: Agent, orders: Orders, finish_within_s: float) -> None:
    """First the running steps may finish, which a further order cuts short; then they are given back."""
    agent.ask_no_more()
    if finish_within_s > 0:
        log.info("Stopping; running steps may finish for %s s.", finish_within_s)
        _wait_for(orders, finish_within_s, IDLE + STOPPED + REFUSED)
    agent.give_back()
    _wait_for(orders, STOP_WITHIN_S, IDLE)
    agent.close()


def _wait_for(orders: Orders, within_s: float, wanted: bytes) -> None:
    ends_at = time.monotonic() + within_s
    while (order := orders.next(ends_at - time.monotonic())) is not None:
        if order in wanted:
            if order == IDLE:
                # Whoever waits next finds it too.
                orders.give(IDLE)
            return


def _farewell(why: Refused, home: Path) -> str:
    remedy = "" if isinstance(why, OtherVersion) else f" Remove {home / FILE_NAME} and enrol again."
    return f"The server refuses this agent: {str(why).rstrip('.')}.{remedy}"


def _enrolment(options: AgentOptions, machine: Machine) -> Enrolment:
    facts = {name: getattr(machine, name) for name in Machine.__struct_fields__}
    return Enrolment(token=enrolment_token_of(options), **facts)


if __name__ == "__main__":
    main()
