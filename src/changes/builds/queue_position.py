"""How many come before a step, and when it will begin. Pure.

What dispatch does one by one is computed here at a stroke: how often the others will have had their
turn when it is ours.
"""

import heapq
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from uuid import UUID

# Beyond so many, each of them need not be followed any more.
FOLLOWED_MAX = 2_000
# Of something that took the same time again and again it is still not certain.
DOUBT = 0.2


@dataclass(frozen=True)
class LaneSeen:
    """A lane with what waits in it. Starts are virtual times, as dispatch reckons them."""

    id: UUID
    waiting: int
    # (-priority, is it automatic): the smaller class goes first.
    rank: tuple[int, bool]
    project_id: UUID
    person_id: UUID
    project_start: float
    person_start: float
    charge_s: float = 60.0
    weight: float = 1.0
    typical_s: float | None = None
    deviation_s: float | None = None

    @property
    def stride(self) -> float:
        return self.charge_s / self.weight


@dataclass(frozen=True)
class Estimate:
    start_in_s: int
    plus_minus_s: int


def ahead(mine: LaneSeen, place: int, others: Iterable[LaneSeen]) -> dict[UUID, int]:
    """How many steps of each lane come before the one at this place (from 0) of its own."""
    before = {mine.id: place}
    others = list(others)
    my_turn = mine.person_start + place * mine.charge_s
    for lane in others:
        if lane.rank < mine.rank:
            before[lane.id] = lane.waiting
        elif lane.rank == mine.rank and lane.project_id == mine.project_id:
            before[lane.id] = turns(lane.waiting, my_turn - lane.person_start, lane.charge_s)
    ours = sum(before.get(each.id, 0) for each in (mine, *others) if each.project_id == mine.project_id)
    at = mine.project_start + ours * mine.stride
    for project in projects_beside(mine, others):
        total = sum(lane.waiting for lane in project)
        count = turns(total, at - project[0].project_start, project[0].stride)
        for lane in project:
            before[lane.id] = math.ceil(count * lane.waiting / total) if total else 0
    return {lane_id: count for lane_id, count in before.items() if count}


def projects_beside(mine: LaneSeen, others: Sequence[LaneSeen]) -> list[list[LaneSeen]]:
    """The lanes of other projects in the same class, by project."""
    found: dict[UUID, list[LaneSeen]] = {}
    for lane in others:
        if lane.rank == mine.rank and lane.project_id != mine.project_id:
            found.setdefault(lane.project_id, []).append(lane)
    return list(found.values())


def turns(waiting: int, until: float, stride: float) -> int:
    """How often somebody is served who is served each time his clock is behind ours."""
    return min(waiting, max(0, math.ceil(until / stride))) if stride > 0 else waiting


def estimate(
    before: Sequence[tuple[int, float, float]], running: Sequence[tuple[float, float]], slots: int
) -> Estimate | None:
    """`before`: of each lane how many, how long one takes as a rule, and how much that varies.
    `running`: of what runs on those slots now, how long it still takes, and how much that varies.
    """
    if slots <= 0:
        return None
    free_in_s = sorted(left for left, _ in running)[-slots:]
    free_in_s += [0.0] * (slots - len(free_in_s))
    heapq.heapify(free_in_s)
    count = sum(number for number, _, _ in before)
    work_s = sum(number * typical for number, typical, _ in before)
    followed = min(count, FOLLOWED_MAX)
    if count > followed:
        each_s = work_s / count * (count - followed) / slots
        free_in_s = [left + each_s for left in free_in_s]
    for _ in range(followed):
        heapq.heapreplace(free_in_s, free_in_s[0] + work_s / count)
    variance = sum(number * deviation**2 for number, _, deviation in before)
    variance += sum(deviation**2 for _, deviation in running)
    spread_s = math.sqrt(variance) / slots + DOUBT * free_in_s[0]
    return Estimate(round(free_in_s[0]), math.ceil(spread_s))
