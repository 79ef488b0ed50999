"""Where requests of agents are held until there is a step that their machine could do.

The database says what has arrived: so many steps with these needs. As many agents are woken, the one
that waits longest first, and only those whose machine suits. Whoever is woken and cannot use it passes
it on; a thousand agents that only wait cost nothing.
"""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from uuid import UUID

from changes.builds.lanes import Arrival, Needs, Offer, read_notice

# How often a call goes on to the next when it was of no use to the one before.
PASSED_ON_MAX = 3
# How many look at once: one that waits for its turn in the database, one that is at it. Heartbeats
# and logs need connections too.
AT_ONCE = 2
KNOCKS_APART_S = 0.25


@dataclass(frozen=True)
class Called:
    """One step's worth of an arrival, in the hands of one agent."""

    needs: Needs | None
    passed_on: int = 0

    @property
    def is_open(self) -> bool:
        """Nobody knows whether another one could use it: it depends on what each machine does now."""
        return self.needs is None or self.needs.share_a_machine


@dataclass(eq=False)
class Seat:
    ring: asyncio.Future[None]
    offer: Offer
    called: Called | None = field(default=None, init=False)


class WaitingRoom:
    def __init__(self) -> None:
        # A dict keeps the order; there is no ordered set.
        self._seats: dict[Seat, None] = {}
        self.turnstile = asyncio.Semaphore(AT_ONCE)
        self._looking = 0
        # How many notices came; at which of them a machine looked last and found nothing, and for what.
        self._heard = 0
        self._found_nothing: dict[UUID, tuple[int, Offer]] = {}

    def __len__(self) -> int:
        return len(self._seats)

    @contextmanager
    def seat(self, offer: Offer, *, is_open: bool = True) -> Iterator[Seat]:
        """Taken before the look, so that no call is lost; whoever is cut off hands his call back."""
        seat = Seat(asyncio.get_running_loop().create_future(), offer)
        if is_open:
            self._seats[seat] = None
        try:
            yield seat
        except BaseException:
            self.hand_back(seat.called)
            raise
        finally:
            self._seats.pop(seat, None)
            seat.ring.cancel()

    @contextmanager
    def looking(self) -> Iterator[bool]:
        """Whether nobody else here is at it when this look begins."""
        self._looking += 1
        try:
            yield self._looking == 1
        finally:
            self._looking -= 1

    def hear(self, payload: str) -> None:
        """What the database tells; nothing at all when something may have been missed."""
        arrivals = read_notice(payload) if payload else [Arrival(None, len(self._seats))]
        self._heard += any(arrival.is_news for arrival in arrivals)
        for arrival in arrivals:
            if not arrival.is_news:
                self._knock(arrival.count)
            for _ in range(arrival.count if arrival.is_news else 0):
                if not self._call(Called(arrival.needs)):
                    break

    def _knock(self, count: int) -> None:
        """One after the other: each look takes a turn at the queue before those who have something to do."""
        loop = asyncio.get_running_loop()
        for number in range(count):
            loop.call_later(number * KNOCKS_APART_S, self._call, Called(None))

    @property
    def heard(self) -> int:
        return self._heard

    def is_news(self, node_id: UUID, offer: Offer) -> bool:
        """Whether anything arrived since this machine found nothing, or it offers something else."""
        return self._found_nothing.get(node_id) != (self._heard, offer)

    def note_look(self, node_id: UUID, offer: Offer, heard_before: int, *, found: bool) -> None:
        if found:
            self._found_nothing.pop(node_id, None)
        else:
            self._found_nothing[node_id] = (heard_before, offer)

    def forget_look(self, node_id: UUID) -> None:
        """Something was said of this machine itself."""
        self._found_nothing.pop(node_id, None)

    def served(self, called: Called | None, taken: Sequence[Needs], *, has_looked: bool = True) -> None:
        """After a look: a call that was of no use here may be of some to another."""
        if called is None or called.needs in taken or (called.needs is None and taken):
            return
        if taken or not has_looked:
            # It got something else, or came too late to look for it.
            self._call(called)
        elif called.is_open and called.passed_on < PASSED_ON_MAX:
            self._call(replace(called, passed_on=called.passed_on + 1))

    def hand_back(self, *calls: Called | None) -> None:
        """Whoever was called is gone."""
        for called in calls:
            if called is not None:
                self._call(called)

    def _call(self, called: Called) -> bool:
        """The agent that waits longest and could do it."""
        for seat in self._seats:
            if called.needs is None or seat.offer.suits(called.needs):
                del self._seats[seat]
                seat.called = called
                seat.ring.set_result(None)
                return True
        return False
