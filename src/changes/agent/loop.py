"""Asks for steps as long as slots are free, runs each in a thread, and tells the server which are alive."""

import logging
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path

from changes.agent import hello
from changes.agent.errors import AgentError, BadOffer, GivenUp, Refused
from changes.agent.hello import Greeter
from changes.agent.keeping.stock import Stock
from changes.agent.link import Link
from changes.agent.mirrors import Mirrors
from changes.agent.recovery import recover
from changes.agent.sandboxes.housing import Housing
from changes.agent.spool import Spool, StepFolder
from changes.agent.steps import StepRun, Tools
from changes.protocol import Ask, Heartbeat, HeartbeatAnswer, StepOffer, StepReport

HEARTBEAT_HOLD_S = 10.0
# A server that answers at once with nothing, as one does that shuts down, is not asked in a spin.
QUICK_S, PAUSE_S = 0.5, 0.2
# How often a disk that was too full is looked at again.
FULL_DISK_PAUSE_S = 2.0

log = logging.getLogger("changes.agent")


class Agent:
    """`on_refused` is called, from any thread, when the server will not have this agent any more."""

    def __init__(
        self, link: Link, home: Path, greeter: Greeter, on_refused: Callable[[Refused], None]
    ) -> None:
        self.keep_free_mb = 0
        # Called when nothing runs any more after `ask_no_more`.
        self.on_idle: Callable[[], None] = lambda: None
        self._link = link
        self._greeter = greeter
        self._on_refused = on_refused
        self._spool = Spool(home)
        self._tools = Tools(
            link, self._spool, Mirrors(home), self._is_alone, on_refused, Housing(home), Stock(home)
        )
        self._changed = threading.Condition()
        self._running: dict[str, StepRun] = {}
        # Steps of an earlier run of this agent that the server does not have back yet.
        self._left: set[str] = set()
        self._asks_no_more = self._gives_back = self._is_closed = False
        self._greet_at = 0.0
        self._held: list[str] | None = None
        # Whether the server may have given us steps in an answer that never came.
        self._is_unsure = True
        self._problem = ""

    @property
    def housing(self) -> Housing:
        return self._tools.housing

    def house_steps(self, housing: Housing) -> None:
        """For steps from now on; without it they are plain processes of the agent's own account."""
        self._tools = replace(self._tools, housing=housing)

    def start(self) -> None:
        self._spool.empty_trash()
        leftovers = self._spool.leftovers()
        self._left = {folder.step_id for folder in leftovers}
        self._held = sorted(self._left)
        for folder in leftovers:
            _start_thread(f"recover {folder.step_id}", partial(self._recover, folder))
        _start_thread("ask", lambda: self._until(self._is_asked_no_more, self._ask_once))
        _start_thread("heartbeat", lambda: self._until(lambda: self._is_closed, self._beat_once))

    def tell_anew(self) -> None:
        """The greeter got another machine to tell of. A server that learns of it lets us ask anew."""
        _start_thread("greet", lambda: self._until(lambda: True, self._greet_again))
        with self._changed:
            self._changed.notify_all()

    def ask_no_more(self) -> None:
        with self._changed:
            self._asks_no_more = True
            self._changed.notify_all()
            is_idle = not self._running
        if is_idle:
            self.on_idle()

    def give_back(self) -> None:
        """The running steps are killed and given back."""
        self._gives_back = True
        with self._changed:
            running = list(self._running.values())
        for step in running:
            step.stop("agent_stopped")

    def close(self) -> None:
        """What is not delivered by now stays in the spool for the next start."""
        self._is_closed = True
        self._link.close()
        with self._changed:
            self._changed.notify_all()

    def stop(self, within_s: float) -> None:
        self.ask_no_more()
        self.give_back()
        with self._changed:
            self._changed.wait_for(lambda: not self._running, within_s)
        self.close()

    def _is_alone(self) -> bool:
        return len(self._running) <= 1

    def _is_asked_no_more(self) -> bool:
        return self._asks_no_more

    def _until(self, is_over: Callable[[], bool], act: Callable[[], bool]) -> None:
        """`act` returns whether it came to anything."""
        while True:
            started_at, has_acted = time.monotonic(), False
            try:
                has_acted = act()
            except GivenUp:
                return
            except Refused as error:
                self._on_refused(error)
                return
            except AgentError as error:
                log.warning("The server answered what makes no sense here: %s", error)
            if is_over():
                return
            if not has_acted and time.monotonic() - started_at < QUICK_S:
                self._pause(is_over)

    def _pause(self, is_over: Callable[[], bool]) -> None:
        """Ends early when a step comes or goes, because then the next answer may be another one."""
        with self._changed:
            running = list(self._running)
            self._changed.wait_for(lambda: is_over() or list(self._running) != running, PAUSE_S)

    # --- asking ----------------------------------------------------------------------------

    def _ask_once(self) -> bool:
        is_full = self._is_disk_full()
        self._greet_when_due()
        with self._changed:
            if is_full:
                self._changed.wait_for(self._is_asked_no_more, FULL_DISK_PAUSE_S)
                return True
            until_greeting_s = max(0.0, self._greet_at - time.monotonic())
            self._changed.wait_for(lambda: self._asks_no_more or self._free_slots() > 0, until_greeting_s)
            free = self._free_slots()
        if free < 1 or self._asks_no_more:
            return True
        offers = self._link.retrying.until_accepted(lambda: self._next_steps(free), self._is_asked_no_more)
        accepted = [self._accept(offer) for offer in offers]
        return any(accepted)

    def _next_steps(self, free: int) -> list[StepOffer]:
        """Only this thread asks, and takes what it is offered before it asks again."""
        with self._changed:
            held = [*self._running, *self._left]
        ask = Ask(slots=free, held=held if self._is_unsure else None)
        self._is_unsure = True
        offers = self._link.client.next_steps(ask, held)
        self._is_unsure = False
        return offers

    def _free_slots(self) -> int:
        return self._greeter.machine.slots - len(self._running)

    def _is_disk_full(self) -> bool:
        free_mb = self._spool.free_mb()
        is_full, was_full = free_mb < self.keep_free_mb, bool(self._problem)
        if is_full and not was_full:
            self._problem = f"The disk has {free_mb} MB left, and {self.keep_free_mb} MB are to be kept free."
            log.error("No more steps for now: %s", self._problem)
        elif was_full and not is_full:
            self._problem = ""
            log.info("The disk has room again: %s MB.", free_mb)
        if is_full != was_full:
            self._greet_at = 0.0
        return is_full

    def _greet_when_due(self) -> None:
        if time.monotonic() < self._greet_at:
            return
        # Before it is said, so that what changes meanwhile is said once more.
        self._greet_at = time.monotonic() + hello.EVERY_S
        self._greeter.greet(self._held, self._problem, self._is_asked_no_more)
        self._held = None

    def _greet_again(self) -> bool:
        self._greeter.greet(None, self._problem, self._is_asked_no_more)
        return True

    def _accept(self, offer: StepOffer) -> bool:
        try:
            step = StepRun(offer, self._spool.open(offer), self._tools)
        except BadOffer as error:
            # A step offered twice, because our answer got lost, runs already.
            log.warning("Passed over an offer: %s", error)
            return False
        except OSError as error:
            self._give_up(offer, error)
            return False
        with self._changed:
            self._running[offer.id] = step
            self._changed.notify_all()
        _start_thread(f"step {offer.id}", lambda: self._run(step))
        if self._asks_no_more:
            step.stop("agent_stopped")
        return True

    def _give_up(self, offer: StepOffer, error: OSError) -> None:
        """For instance with a full disk. Should nobody hear it, the server misses the step by itself."""
        log.critical("Cannot work on step %s: %s", offer.id, error)
        report = StepReport(
            status="released", reason="agent_error", message=f"The agent cannot work: {error}"
        )
        with suppress(AgentError):
            self._link.client.report(offer.id, report)

    # --- running ---------------------------------------------------------------------------

    def _run(self, step: StepRun) -> None:
        log.info("Step %s: %s of %s.", step.offer.id, step.offer.name, step.offer.project)
        try:
            step.run()
        except OSError as error:
            self._give_up(step.offer, error)
        finally:
            with self._changed:
                del self._running[step.offer.id]
                self._changed.notify_all()
                is_idle = self._asks_no_more and not self._running
            if is_idle:
                self.on_idle()

    def _recover(self, folder: StepFolder) -> None:
        try:
            recover(folder, self._tools)
        finally:
            with self._changed:
                self._left.discard(folder.step_id)

    # --- telling that it lives -------------------------------------------------------------

    def _beat_once(self) -> bool:
        """One request is held while steps run; the server answers it for newer steps of ours too."""
        with self._changed:
            self._changed.wait_for(lambda: self._is_closed or bool(self._running) or bool(self._left))
            alive = [*self._running, *self._left]
        answer = self._link.retrying.until_accepted(lambda: self._beat(alive), lambda: self._is_closed)
        aborted = [self._abort(step_id) for step_id in answer.stop]
        return any(aborted)

    def _abort(self, step_id: str) -> bool:
        """False for a step that ends already: the server repeats itself until it has heard so."""
        step = self._running.get(step_id)
        if step is None or step.is_aborted:
            return False
        log.info("Step %s is stopped by the server.", step_id)
        step.stop("aborted")
        return True

    def _beat(self, alive: list[str]) -> HeartbeatAnswer:
        return self._link.client.heartbeat(Heartbeat(steps=alive, wait_s=HEARTBEAT_HOLD_S))


def _start_thread(name: str, act: Callable[[], None]) -> None:
    # Daemons, because a held request must not hold up the end of the agent; the spool keeps what counts.
    threading.Thread(target=act, name=name, daemon=True).start()
