"""How a job went, as pure values: attempts, commands, phases, up to the moment we look at it.

A job is played to its end and then cut: at the present, or when somebody aborted the build.
What the parts make of the whole is decided by the product's own rules.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from changes.app.demo.catalogue import CommandShape, PlanShape, StepShape
from changes.app.demo.dice import Dice
from changes.app.demo.people import Machine
from changes.builds import reasons, rules
from changes.builds.reasons import Reason
from changes.builds.rules import Result, Status

WAIT_MEAN_S = 9
SILENCE_S = 60
NEVER = timedelta(days=3650)
TESTS_FAIL = 1


@dataclass(frozen=True)
class State:
    status: Status
    result: Result = Result.UNKNOWN
    date_started: datetime | None = None
    date_finished: datetime | None = None


@dataclass(frozen=True)
class Cut:
    """Nothing is known after this moment; if it was an abort, nothing happened after it either."""

    at: datetime
    is_abort: bool = False

    def unstarted(self, status: Status) -> State:
        if self.is_abort:
            return State(Status.FINISHED, Result.ABORTED, None, self.at)
        return State(status)


@dataclass(frozen=True)
class Fate:
    """What becomes of a job, and through which of its steps."""

    result: Result = Result.PASSED
    step: int = 0
    # Attempts that the machinery loses before one gets through.
    lost: int = 0


@dataclass(frozen=True)
class Ran:
    shape: CommandShape
    status: Status = Status.QUEUED
    return_code: int | None = None
    date_started: datetime | None = None
    date_finished: datetime | None = None


@dataclass(frozen=True)
class Attempt:
    number: int
    shard: int
    opened: datetime
    state: State
    commands: list[Ran]
    machine: Machine | None = None
    why: Reason | None = None
    is_replaced: bool = False

    @property
    def has_run_tests(self) -> bool:
        """The last command is the one with the tests; set-up before it may have failed."""
        return self.state.status == Status.FINISHED and self.commands[-1].return_code is not None


@dataclass(frozen=True)
class Phase:
    shape: StepShape
    state: State
    attempts: list[Attempt]


@dataclass(frozen=True)
class PlayedJob:
    plan: PlanShape
    opened: datetime
    state: State
    phases: list[Phase]


@dataclass(frozen=True)
class Machines:
    known: Sequence[Machine]
    now: datetime

    def pick(self, dice: Dice, cluster: str, when: datetime) -> Machine | None:
        """One that was alive at the time."""
        able = [each for each in self.known if each.cluster == cluster and self.was_alive(each, when)]
        return dice.pick(able, [each.slots for each in able]) if able else None

    def was_alive(self, machine: Machine, when: datetime) -> bool:
        if machine.silent_for is None:
            return machine.was_seen
        return when < self.now - machine.silent_for - timedelta(hours=1)


def whole(parts: Sequence[State], also_started: Collection[datetime] = ()) -> State:
    """As `builds.settle` does it: what replaced attempts did counts only for the start."""
    status = rules.aggregate_status([part.status for part in parts])
    results = [part.result for part in parts]
    starts = [part.date_started for part in parts if part.date_started is not None]
    start = min([*starts, *also_started], default=None)
    if status == Status.FINISHED:
        ends = [part.date_finished for part in parts if part.date_finished is not None]
        return State(status, rules.aggregate_result(results), start, max(ends))
    return State(status, rules.running_result(results), start)


class Player:
    def __init__(self, dice: Dice, machines: Machines) -> None:
        self.dice = dice
        self.machines = machines

    def play(self, plan: PlanShape, opened: datetime, fate: Fate, cut: Cut) -> PlayedJob:
        phases: list[Phase] = []
        before = State(Status.FINISHED, Result.PASSED, opened, opened)
        for order, shape in enumerate(plan.steps):
            mine = fate if order == fate.step else Fate()
            phases.append(self.phase(plan, shape, (opened, before), mine, cut))
            before = phases[-1].state
        return PlayedJob(plan, opened, whole([phase.state for phase in phases]), phases)

    def phase(
        self, plan: PlanShape, shape: StepShape, since: tuple[datetime, State], fate: Fate, cut: Cut
    ) -> Phase:
        opened, before = since
        if before.result != Result.PASSED:
            state = idle(before, cut)
            commands = [Ran(command) for command in shape.commands]
            idlers = [Attempt(1, shard, opened, state, commands) for shard in range(shape.shards)]
            return Phase(shape, state, idlers)
        unlucky = self.dice.randrange(shape.shards)
        attempts = [
            attempt
            for shard in range(shape.shards)
            for attempt in self.attempts(
                (plan, shape, shard),
                before.date_finished or opened,
                fate if shard == unlucky else Fate(),
                cut,
            )
        ]
        current = [attempt.state for attempt in attempts if not attempt.is_replaced]
        started = [a.state.date_started for a in attempts if a.state.date_started is not None]
        return Phase(shape, whole(current, started), attempts)

    def attempts(
        self, work: tuple[PlanShape, StepShape, int], opened: datetime, fate: Fate, cut: Cut
    ) -> Iterator[Attempt]:
        for number in range(1, fate.lost + 1):
            lost = self.lose(work, opened, number, cut)
            yield lost
            if not lost.is_replaced or lost.state.date_finished is None:
                return
            opened = lost.state.date_finished
        yield self.attempt(work, opened, fate, cut)

    def attempt(
        self, work: tuple[PlanShape, StepShape, int], opened: datetime, fate: Fate, cut: Cut
    ) -> Attempt:
        plan, shape, shard = work
        machine = self.machines.pick(self.dice, plan.cluster, opened)
        begun = opened + (self.dice.pause(WAIT_MEAN_S) if machine else NEVER)
        number = fate.lost + 1
        if fate.result == Result.INFRA_FAILED:
            ended = begun + timedelta(seconds=self.dice.uniform(2, 20))
            ending = State(Status.FINISHED, Result.INFRA_FAILED, begun, ended)
            commands = [Ran(command) for command in shape.commands]
            return seen(Attempt(number, shard, opened, ending, commands, machine, CHECKOUT_FAILED), cut)
        failing = self.failing_command(shape) if fate.result == Result.FAILED else None
        commands = list(self.run_commands(shape, begun, failing))
        ended = max(c.date_finished for c in commands if c.date_finished is not None) + OVERHEAD
        result = Result.PASSED if failing is None else Result.FAILED
        ending = State(Status.FINISHED, result, begun, ended)
        return seen(Attempt(number, shard, opened, ending, commands, machine), cut)

    def lose(
        self, work: tuple[PlanShape, StepShape, int], opened: datetime, number: int, cut: Cut
    ) -> Attempt:
        plan, shape, shard = work
        machine = self.machines.pick(self.dice, plan.cluster, opened)
        begun = opened + (self.dice.pause(WAIT_MEAN_S) if machine else NEVER)
        ended = begun + timedelta(minutes=shape.minutes * self.dice.uniform(0.1, 0.8), seconds=SILENCE_S)
        first, *others = shape.commands
        commands = [Ran(first, Status.IN_PROGRESS, None, begun + CHECKOUT), *map(Ran, others)]
        ending = State(Status.FINISHED, Result.INFRA_FAILED, begun, ended)
        facts = {"node": machine.label if machine else "", "silence_s": SILENCE_S}
        why = Reason(reasons.AGENT_LOST if self.dice.chance(0.6) else reasons.AGENT_STOPPED, facts)
        return seen(Attempt(number, shard, opened, ending, commands, machine, why, is_replaced=True), cut)

    def failing_command(self, shape: StepShape) -> int:
        """Mostly the last and most important one."""
        return len(shape.commands) - 1 if self.dice.chance(0.9) else self.dice.randrange(len(shape.commands))

    def run_commands(self, shape: StepShape, begun: datetime, failing: int | None) -> Iterator[Ran]:
        minutes = self.dice.around(shape.minutes) / shape.shards
        at = begun + CHECKOUT
        for order, command in enumerate(shape.commands):
            if failing is not None and order > failing:
                yield Ran(command)
                continue
            ended = at + timedelta(minutes=minutes * command.share)
            code = TESTS_FAIL if order == failing else 0
            yield Ran(command, Status.FINISHED, code, at, ended)
            at = ended


CHECKOUT = timedelta(seconds=1.7)
OVERHEAD = timedelta(milliseconds=420)
CHECKOUT_FAILED = Reason(
    reasons.CHECKOUT_FAILED, {"message": "fatal: the remote end hung up unexpectedly (after 3 attempts)"}
)


def idle(before: State, cut: Cut) -> State:
    """A phase whose turn never came, or has not come yet."""
    if before.status == Status.FINISHED and before.result != Result.ABORTED:
        return State(Status.FINISHED, Result.SKIPPED, None, before.date_finished)
    return cut.unstarted(Status.QUEUED)


def seen(attempt: Attempt, cut: Cut) -> Attempt:
    """What was to be seen of it at the cut."""
    begun, ended = attempt.state.date_started, attempt.state.date_finished
    if begun is None or ended is None or ended <= cut.at:
        return attempt
    commands = [seen_command(command, cut) for command in attempt.commands]
    if begun > cut.at:
        state = cut.unstarted(Status.PENDING_ALLOCATION)
        return Attempt(attempt.number, attempt.shard, attempt.opened, state, commands)
    state = State(Status.IN_PROGRESS, Result.UNKNOWN, begun)
    if cut.is_abort:
        state = State(Status.FINISHED, Result.ABORTED, begun, cut.at)
    return Attempt(attempt.number, attempt.shard, attempt.opened, state, commands, attempt.machine)


def seen_command(ran: Ran, cut: Cut) -> Ran:
    if ran.date_started is None or ran.date_started > cut.at:
        return Ran(ran.shape)
    if ran.date_finished is None or ran.date_finished > cut.at:
        return Ran(ran.shape, Status.IN_PROGRESS, None, ran.date_started)
    return ran
