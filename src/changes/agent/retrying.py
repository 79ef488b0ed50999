"""The one decision about repeating a call: as long as the server is away and somebody still cares."""

import logging
import random
import threading
from collections.abc import Callable
from typing import TypeVar

from changes.agent.errors import AgentError, GivenUp, ServerAway

FIRST_DELAY_S = 0.1
LONGEST_DELAY_S = 5.0

Answer = TypeVar("Answer")
log = logging.getLogger("changes.agent")


class Retrying:
    """Shared by all threads of an agent, so that the first who gets through wakes the others."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._is_away = False
        self._is_closed = False
        self._returns = 0

    def until_accepted(self, call: Callable[[], Answer], is_given_up: Callable[[], bool]) -> Answer:
        delay_s = FIRST_DELAY_S
        while True:
            if self._is_closed or is_given_up():
                raise GivenUp("Given up before the server answered.")
            try:
                answer = call()
            except ServerAway as error:
                self._note_away(error)
                self._wait(delay_s, is_given_up)
                delay_s = min(delay_s * 2, LONGEST_DELAY_S)
            except AgentError:
                # No is an answer too.
                self._note_back()
                raise
            else:
                self._note_back()
                return answer

    def wake(self) -> None:
        """Let everybody who waits look again whether the call is still wanted."""
        with self._changed:
            self._changed.notify_all()

    def close(self) -> None:
        self._is_closed = True
        self.wake()

    def _wait(self, delay_s: float, is_given_up: Callable[[], bool]) -> None:
        # Jitter keeps a hundred agents from knocking in step when the server returns.
        jittered_s = delay_s * random.uniform(0.5, 1.0)  # noqa: S311 - spreads load, guards nothing
        with self._changed:
            returns = self._returns
            self._changed.wait_for(
                lambda: self._is_closed or is_given_up() or self._returns != returns, jittered_s
            )

    def _note_away(self, error: ServerAway) -> None:
        with self._changed:
            was_away, self._is_away = self._is_away, True
        if not was_away:
            log.warning("The server is away, trying again: %s", error)

    def _note_back(self) -> None:
        if not self._is_away:
            return
        with self._changed:
            was_away, self._is_away = self._is_away, False
            self._returns += 1
            self._changed.notify_all()
        if was_away:
            log.info("The server is back.")
