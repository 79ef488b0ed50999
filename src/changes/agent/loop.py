"""Asks for steps as long as slots are free, runs each in a thread, and tells the server which are alive."""

import logging
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path

from changes.agent.checkout import Mirrors
from changes.agent.errors import AgentError, BadOffer, GivenUp, Refused
from changes.agent.link import Link
from changes.agent.recovery import recover
from changes.agent.spool import Spool
from changes.agent.steps import StepRun, Tools
from changes.protocol import Ask, Heartbeat, HeartbeatAnswer, StepOffer, StepReport

HEARTBEAT_HOLD_S = 10.0
# A server that answers at once with nothing, as one does that shuts down, is not asked in a spin.
QUICK_S, PAUSE_S = 0.5, 0.2

log = logging.getLogger("changes.agent")


class Agent:
    """`on_refused` is called, from any thread, when the server will not have this agent any more."""

    def __init__(self, link: Link, home: Path, slots: int, on_refused: Callable[[Refused], None]) -> None:
        self._link = link
        self._slots = slots
        self._on_refused = on_refused
        self._spool = Spool(home)
        self._tools = Tools(link, self._spool, Mirrors(home), self._is_alone, on_refused)
        self._changed = threading.Condition()
        self._running: dict[str, StepRun] = {}
        self._is_stopping = False

    def start(self) -> None:
        self._spool.empty_trash()
        for folder in self._spool.leftovers():
            _start_thread(f"recover {folder.step_id}", partial(recover, folder, self._tools))
        _start_thread("ask", lambda: self._until_stopped(self._ask_once))
        _start_thread("heartbeat", lambda: self._until_stopped(self._beat_once))

    def stop(self, within_s: float) -> None:
        """No new steps; the running ones are killed and given back. What takes too long stays spooled."""
        with self._changed:
            self._is_stopping = True
            self._changed.notify_all()
            running = list(self._running.values())
        for step in running:
            step.stop("agent_stopped")
        with self._changed:
            self._changed.wait_for(lambda: not self._running, within_s)
        self._link.close()

    def _is_alone(self) -> bool:
        return len(self._running) <= 1

    def _until_stopped(self, act: Callable[[], bool]) -> None:
        """`act` returns whether it came to anything."""
        while not self._is_stopping:
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
            if not has_acted and time.monotonic() - started_at < QUICK_S:
                self._pause()

    def _pause(self) -> None:
        """Ends early when a step comes or goes, because then the next answer may be another one."""
        with self._changed:
            running = list(self._running)
            self._changed.wait_for(lambda: self._is_stopping or list(self._running) != running, PAUSE_S)

    def _ask_once(self) -> bool:
        with self._changed:
            self._changed.wait_for(lambda: self._is_stopping or len(self._running) < self._slots)
            free = self._slots - len(self._running)
        offers = self._link.retrying.until_accepted(
            lambda: self._link.client.next_steps(Ask(slots=free)), lambda: self._is_stopping
        )
        accepted = [self._accept(offer) for offer in offers]
        return any(accepted)

    def _accept(self, offer: StepOffer) -> bool:
        try:
            step = StepRun(offer, self._spool.open(offer), self._tools)
        except BadOffer as error:
            # A step offered twice, because our answer got lost, runs already.
            log.warning("Passed over an offer: %s", error)
            return False
        except OSError as error:
            self._give_back(offer, error)
            return False
        with self._changed:
            self._running[offer.id] = step
            self._changed.notify_all()
        _start_thread(f"step {offer.id}", lambda: self._run(step))
        if self._is_stopping:
            step.stop("agent_stopped")
        return True

    def _give_back(self, offer: StepOffer, error: OSError) -> None:
        """For instance with a full disk. Should nobody hear it, the server misses the step by itself."""
        log.critical("Cannot take step %s: %s", offer.id, error)
        report = StepReport(
            status="released", reason="agent_error", message=f"The agent cannot work: {error}"
        )
        with suppress(AgentError):
            self._link.client.report(offer.id, report)

    def _run(self, step: StepRun) -> None:
        log.info("Step %s: %s of %s.", step.offer.id, step.offer.name, step.offer.project)
        try:
            step.run()
        finally:
            with self._changed:
                del self._running[step.offer.id]
                self._changed.notify_all()

    def _beat_once(self) -> bool:
        """One request is held while steps run; the server answers it for newer steps of ours too."""
        with self._changed:
            self._changed.wait_for(lambda: self._is_stopping or bool(self._running))
            alive = list(self._running)
        answer = self._link.retrying.until_accepted(lambda: self._beat(alive), lambda: self._is_stopping)
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
