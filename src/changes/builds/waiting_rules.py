"""Why a step waits, decided from facts. Pure.

The order is the rule: first what somebody has to mend, then what somebody has decided, then what time
will bring.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from changes.builds.lanes import Needs, Offer

NAMED_MAX = 5


class Block(StrEnum):
    """What holds it up now."""

    NEEDS = "needs"
    PHASE = "phase"
    NOT_YET = "not_yet"
    DISK_FULL = "disk_full"
    NO_AGENTS = "no_agents"
    NEVER = "never"
    AWAY = "away"
    OUT = "out"
    PAUSED = "paused"
    LIMIT = "limit"
    GROUP_LIMIT = "group_limit"
    NO_ROOM = "no_room"
    KEPT = "kept"
    BUSY = "busy"
    NEXT = "next"


# Nobody can say when it begins: first somebody has to do something.
UNTIL_SOMEBODY_ACTS = frozenset(
    {Block.DISK_FULL, Block.NO_AGENTS, Block.NEVER, Block.AWAY, Block.OUT, Block.PAUSED}
)


@dataclass(frozen=True)
class Holder:
    """A build of which steps run that count for a limit, or keep a machine from others."""

    build_id: UUID
    project: str
    number: int
    steps: int
    # Of a machine: what its steps reserve there.
    cpus: int = 0
    memory_mb: int = 0


@dataclass(frozen=True)
class Short:
    unit: str
    free: int
    most: int


@dataclass(frozen=True)
class Machine:
    name: str
    offer: Offer
    slots: int
    held: int = 0
    free_cpus: int = 0
    free_memory_mb: int = 0
    is_live: bool = True
    # Drained, disabled or in quarantine, in words; None = it may work.
    out: str | None = None
    # Whose steps it works on; empty where nobody asked.
    holders: Sequence[Holder] = ()
    # For whom it takes nothing else until he fits, where that comes first.
    kept_for: str | None = None

    @property
    def has_slot(self) -> bool:
        return self.held < self.slots

    def has_room(self, needs: Needs) -> bool:
        return not self.short_of(needs)

    def short_of(self, needs: Needs) -> list[Short]:
        """What is left there of that of which too little is free; of what it never told there is enough."""
        found = []
        if self.offer.cpus > 0 and self.free_cpus < needs.cpus:
            found.append(Short("cpus", max(0, self.free_cpus), self.offer.cpus))
        if self.offer.memory_mb > 0 and self.free_memory_mb < needs.memory_mb:
            found.append(Short("MB of memory", max(0, self.free_memory_mb), self.offer.memory_mb))
        return found


@dataclass(frozen=True)
class Limit:
    name: str
    most: int
    held: int
    holders: Sequence[Holder] = ()

    @property
    def is_reached(self) -> bool:
        return self.held >= self.most


@dataclass(frozen=True)
class Facts:
    needs: Needs
    machines: Sequence[Machine]
    project_limit: Limit | None = None
    group_limit: Limit | None = None
    # Set while that moment is still to come.
    not_before: datetime | None = None
    ahead: int = 0
    silence_s: int = 60
    # Set while nothing is handed out at all, because a disk is full.
    disk: str | None = None
    # The machine that takes nothing else until this fits.
    kept_on: str | None = None
    # Beside the machines: those that lost it before, and are not asked while another could do it.
    avoided: Sequence[str] = ()


@dataclass(frozen=True)
class Waiting:
    block: Block
    sentence: str
    missing: Sequence[str] = ()
    machines: Sequence[str] = ()
    limit: Limit | None = field(default=None)
    # Builds whose steps the machines work on that could run it.
    holders: Sequence[Holder] = ()
    # Jobs of its build.
    needs: Sequence[str] = ()


def before_the_queue(needs: Sequence[str], phase: str | None) -> Waiting:
    """Of a step that must not be handed out yet: which jobs its own waits for, or which phase of its own."""
    if needs:
        jobs = f"the job {needs[0]}" if len(needs) == 1 else f"the jobs {listed(needs)}"
        return Waiting(Block.NEEDS, f"It waits until {jobs} of this build {passed(needs)}.", needs=needs)
    what = f"the phase {phase} of its job has" if phase is not None else "what comes before it in its job has"
    return Waiting(Block.PHASE, f"It waits until {what} passed.")


def decide(facts: Facts) -> Waiting:
    if facts.disk is not None:
        return Waiting(Block.DISK_FULL, f"Nothing is handed out, paused: {facts.disk}.")
    if facts.not_before is not None:
        return Waiting(
            Block.NOT_YET, f"It is handed out not before {facts.not_before:%Y-%m-%d %H:%M:%S} UTC."
        )
    return by_machines(facts) or by_limits(facts) or with_avoided(by_time(facts), facts.avoided)


def by_machines(facts: Facts) -> Waiting | None:
    """Nobody could run it now, however long it waits, unless something is done."""
    if not any(machine.is_live for machine in facts.machines):
        return Waiting(
            Block.NO_AGENTS,
            f"No agent was heard of within {facts.silence_s} seconds: start one with `changes agent`.",
        )
    suited = [machine for machine in facts.machines if machine.offer.suits(facts.needs)]
    if not suited:
        lacks = nearest(facts)
        text = f"No machine could ever run this: none offers {' and '.join(lacks)}."
        return Waiting(Block.NEVER, text, missing=lacks)
    live = [machine for machine in suited if machine.is_live]
    if not live:
        text = f"Only {named(suited)} could run this, and nothing is heard of {them(suited)}."
        return Waiting(Block.AWAY, text, machines=[machine.name for machine in suited])
    if all(machine.out for machine in live):
        whys = ", ".join(f"{machine.name} is {machine.out}" for machine in live[:NAMED_MAX])
        text = f"No machine that could run this may work now: {whys}{more(live)}."
        return Waiting(Block.OUT, text, machines=[machine.name for machine in live])
    return None


def nearest(facts: Facts) -> list[str]:
    """What the machines lack that come nearest to it; of live ones if there are any."""
    live = [machine for machine in facts.machines if machine.is_live]
    return min((machine.offer.missing(facts.needs) for machine in live or facts.machines), key=len)


def by_limits(facts: Facts) -> Waiting | None:
    mine, group = facts.project_limit, facts.group_limit
    if mine is not None and mine.most == 0:
        return Waiting(Block.PAUSED, f"The project {mine.name} is paused: its limit is 0 steps.", limit=mine)
    if group is not None and group.most == 0:
        return Waiting(Block.PAUSED, f"The group {group.name} is paused: its limit is 0 steps.", limit=group)
    if mine is not None and mine.is_reached:
        text = f"The project {mine.name} runs {steps(mine.held)}, and its limit is {mine.most}"
        return Waiting(Block.LIMIT, f"{text}{builds_named(mine.holders, 'held by ')}.", limit=mine)
    if group is not None and group.is_reached:
        text = f"The group {group.name} runs {steps(group.held)}, and its limit is {group.most}"
        return Waiting(Block.GROUP_LIMIT, f"{text}{builds_named(group.holders, 'held by ')}.", limit=group)
    return None


def by_time(facts: Facts) -> Waiting:
    able = [machine for machine in facts.machines if may_run(machine, facts.needs)]
    names = [machine.name for machine in able[:NAMED_MAX]]
    free = [machine for machine in able if machine.has_slot]
    if not free:
        holders = holders_of(able)
        text = "It waits for a free slot of an agent:"
        text = f"{text} {of_many(able)} that could run it {'works' if len(able) == 1 else 'work'} on others"
        text = f"{text}{builds_named(holders, '')}{in_line(facts)}."
        return Waiting(Block.BUSY, text, machines=names, holders=holders)
    roomy = [machine for machine in free if machine.has_room(facts.needs)]
    if not roomy:
        return no_room(facts, free, names)
    if all(machine.kept_for is not None for machine in roomy):
        return kept(facts, roomy)
    return Waiting(Block.NEXT, f"An agent takes it next{in_line(facts)}.", machines=names)


def kept(facts: Facts, roomy: Sequence[Machine]) -> Waiting:
    """Or a large step would wait for ever behind small ones that always fit."""
    text = f"{named(roomy)} {'is' if len(roomy) == 1 else 'are'} kept free for {roomy[0].kept_for},"
    text = f"{text} which comes first and has waited for more than a minute{in_line(facts)}."
    return Waiting(Block.KEPT, text, machines=[machine.name for machine in roomy[:NAMED_MAX]])


def no_room(facts: Facts, free: Sequence[Machine], names: Sequence[str]) -> Waiting:
    """Of the machine that comes nearest it is said what is left there, and who has the rest."""
    wanted = [f"{facts.needs.cpus} cpus"] if facts.needs.cpus else []
    wanted += [f"{facts.needs.memory_mb} MB of memory"] if facts.needs.memory_mb else []
    near = min(
        free, key=lambda each: (len(each.short_of(facts.needs)), -each.free_cpus, -each.free_memory_mb)
    )
    short = near.short_of(facts.needs)
    left = " and ".join(f"{each.free} of {each.most} {each.unit}" for each in short)
    units = {each.unit for each in short}
    counts = [
        each
        for each in near.holders
        if (each.cpus and "cpus" in units) or (each.memory_mb and units - {"cpus"})
    ]
    text = f"It needs {' and '.join(wanted)}, and so much is not free on one machine now:"
    text = f"{text} {near.name} has {left} left{builds_named(counts, 'the rest is held by ')}"
    text = f"{text}{in_line(facts)}."
    if facts.kept_on is not None:
        text = f"{text} {facts.kept_on} takes nothing else until it fits."
    return Waiting(Block.NO_ROOM, text, machines=names, holders=counts)


def holders_of(machines: Sequence[Machine]) -> list[Holder]:
    """Each build once, the oldest first."""
    found: dict[UUID, Holder] = {}
    for each in (holder for machine in machines for holder in machine.holders):
        before = found.get(each.build_id)
        found[each.build_id] = replace(each, steps=each.steps + (before.steps if before else 0))
    return sorted(found.values(), key=lambda each: each.build_id)


def with_avoided(waiting: Waiting, avoided: Sequence[str]) -> Waiting:
    if not avoided:
        return waiting
    get = "gets" if len(avoided) == 1 else "get"
    text = f"{waiting.sentence} {listed(avoided)} lost it before and {get} it only when no other could do it."
    return replace(waiting, sentence=text)


def may_run(machine: Machine, needs: Needs) -> bool:
    return machine.is_live and not machine.out and machine.offer.suits(needs)


def in_line(facts: Facts) -> str:
    return (
        f"; {steps(facts.ahead)} {'comes' if facts.ahead == 1 else 'come'} before it" if facts.ahead else ""
    )


def of_many(machines: Sequence[Machine]) -> str:
    return "the one machine" if len(machines) == 1 else f"all {len(machines)} machines"


def named(machines: Sequence[Machine]) -> str:
    return listed([machine.name for machine in machines])


def listed(names: Sequence[str]) -> str:
    return ", ".join(names[:NAMED_MAX]) + more(names)


def more(things: Sequence[object]) -> str:
    return f" and {len(things) - NAMED_MAX} more" if len(things) > NAMED_MAX else ""


def passed(jobs: Sequence[str]) -> str:
    return "has passed" if len(jobs) == 1 else "have passed"


def them(machines: Sequence[Machine]) -> str:
    return "it" if len(machines) == 1 else "them"


def builds_named(holders: Sequence[Holder], how: str) -> str:
    """Of many the first few."""
    names = [f"{each.project} #{each.number}" for each in holders[:NAMED_MAX]]
    rest = len(holders) - len(names)
    return f" ({how}{', '.join(names)}{f' and {rest} more' if rest else ''})" if names else ""


def steps(count: int) -> str:
    return f"{count} step" if count == 1 else f"{count} steps"
