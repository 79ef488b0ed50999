"""Pretended agents: they take steps, report and print as real ones do, through the same verbs."""

from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from uuid import UUID

from psycopg import AsyncConnection
from psycopg_pool import AsyncConnectionPool
from sqlalchemy import select

from changes.app.demo import catalogue, console
from changes.app.demo.catalogue import CommandShape
from changes.app.demo.dice import Dice
from changes.app.demo.ground import VERSION
from changes.app.demo.people import Machine
from changes.app.demo.play import Ran
from changes.app.demo.suites import Run, Suite, TestShape
from changes.base import clock
from changes.base.db import Database, Session
from changes.base.errors import Gone
from changes.base.storage import Storage
from changes.builds import dispatch, nodes, queries, report, second_look
from changes.builds.models import Command, JobStep
from changes.builds.rules import HELD, Status
from changes.protocol import CONSOLE, CommandReport, Enrolment, StepReport
from changes.results import artifacts, logs
from changes.results.models import Test

FAIL_CHANCE, RELEASE_CHANCE = 0.14, 0.02
LINES_PER_PIECE = 8
TESTS_MAX = 60
SANDBOXES, LIMITS = ["process", "bubblewrap"], ["memory", "pids", "cpus"]
ARTIFACT_MAX_BYTES = 1_000_000
REPLACEMENTS_MAX = 6

Connection = AsyncConnection[Any]


@dataclass(frozen=True)
class Wires:
    """What connects the pretended agents with the system."""

    database: Database
    storage: Storage
    pool: AsyncConnectionPool[Connection]


@dataclass(frozen=True)
class Work:
    """A step in the hands of an agent. Each `anext` of `acts` is one thing that happens to it."""

    step_id: UUID
    acts: AsyncIterator[None]


@dataclass
class Agent:
    machine: Machine
    node_id: UUID
    secret: str
    wires: Wires
    dice: Dice
    works: list[Work] = field(default_factory=list)

    @property
    def is_free(self) -> bool:
        return len(self.works) < self.machine.slots

    async def take(self) -> bool:
        async with self.wires.pool.connection() as connection:
            taken = await dispatch.take_steps(connection, node_id=self.node_id, count=1, silence_s=60)
        for each in taken:
            self.begin(UUID(each.offer.id))
        return bool(taken)

    def find_again(self) -> None:
        """What it held before it was started anew."""
        mine = select(JobStep.id).where(JobStep.node_id == self.node_id, JobStep.status.in_(HELD))
        with self.wires.database.transaction() as session:
            found = session.execute(mine.order_by(JobStep.id)).scalars().all()
        for step_id in found:
            self.begin(step_id)

    def begin(self, step_id: UUID) -> None:
        self.works.append(Work(step_id, self.acts(step_id)))

    async def beat(self) -> None:
        """Says that it is alive, and drops what nobody wants any more."""
        async with self.wires.pool.connection() as connection:
            await nodes.recognise(connection, self.secret)
            unwanted = await nodes.heard(connection, self.node_id, [work.step_id for work in self.works])
        self.works = [work for work in self.works if work.step_id not in unwanted]

    async def acts(self, step_id: UUID) -> AsyncIterator[None]:
        self.tell(step_id, StepReport(status="in_progress"))
        yield
        with self.wires.database.transaction() as session:
            commands = [c for c in queries.commands_of(session, [step_id]) if c.status != Status.FINISHED]
            runs = self.some_runs(session, session.get_one(JobStep, step_id))
        failing = self.dice.choice(commands) if commands and self.dice.chance(FAIL_CHANCE) else None
        has_failed = False
        for command in commands:
            shape = shape_of(command)
            is_test = bool(shape.artifacts)
            has_failed = command is failing or (is_test and any(run.message for run in runs))
            code = int(has_failed)
            async for _ in self.run(step_id, command, (shape, runs, code)):
                yield
            if is_test and runs:
                await self.leave(step_id, shape.artifacts[0], console.junit(runs))
                yield
            if has_failed:
                break
        self.end(step_id, has_failed=has_failed)

    async def run(
        self, step_id: UUID, command: Command, what: tuple[CommandShape, Sequence[Run], int]
    ) -> AsyncIterator[None]:
        shape, runs, code = what
        self.tell(step_id, progress(CommandReport(id=command.id.hex, status="in_progress")))
        yield
        started = clock.now()
        ran = Ran(
            shape, Status.FINISHED, code, started, started + timedelta(minutes=self.dice.uniform(0.1, 2))
        )
        lines = [f"$ {shape.script}", *console.of_command(self.dice, ran, runs), console.ending(ran)]
        for piece in pieces(lines):
            await self.print(step_id, piece)
            yield
        told = CommandReport(id=command.id.hex, status="finished", return_code=code)
        self.tell(step_id, progress(told))

    async def print(self, step_id: UUID, text: bytes) -> None:
        writing = logs.Writing(step_id, self.node_id, CONSOLE)
        async with self.wires.pool.connection() as connection:
            offset = await logs.size_of(connection, writing)
            await logs.append(connection, writing, offset, text)

    async def leave(self, step_id: UUID, name: str, data: bytes) -> None:
        upload = artifacts.Upload(step_id, self.node_id, name, None, ARTIFACT_MAX_BYTES)
        await artifacts.store(self.wires.pool, self.wires.storage, upload, once(data))

    def end(self, step_id: UUID, *, has_failed: bool) -> None:
        if self.dice.chance(RELEASE_CHANCE):
            self.tell(step_id, StepReport(status="released", reason="agent_stopped"))
            return
        self.tell(step_id, StepReport(status="finished", result="failed" if has_failed else "passed"))

    def tell(self, step_id: UUID, told: StepReport) -> None:
        with self.wires.database.transaction() as session:
            limit = REPLACEMENTS_MAX
            is_wanted = report.accept(session, self.node_id, step_id, told, replace_limit=limit)
        if not is_wanted:
            raise Gone("This step is over.")

    def some_runs(self, session: Session, step: JobStep) -> list[Run]:
        """The tests its project is known to have; of a second look those that it is about."""
        known = select(Test).where(Test.project_id == step.project_id)
        if second_look.is_look(step):
            first = second_look.looked_at(session, step)
            about = second_look.checked(first) if first is not None else None
            known = known.where(Test.name.in_(about.left if about is not None else []))
        found = session.execute(known.order_by(Test.id).limit(TESTS_MAX)).scalars()
        now = clock.now()
        tests = [known_test(self.dice, test) for test in found]
        suite = Suite(("item", "order"), tests, now)
        return suite.run(self.dice, tests, now, fails=bool(tests) and self.dice.chance(FAIL_CHANCE))


def enrol(wires: Wires, dice: Dice, machine: Machine) -> Agent:
    """Under its name it gets a new key and keeps its history."""
    with wires.database.transaction() as session:
        token = nodes.make_enrolment_token(session)
        session.flush()
        labels = {"cluster": machine.cluster, **machine.labels}
        asked = Enrolment(
            token=token,
            name=machine.label,
            slots=machine.slots,
            cpus=machine.cpus,
            memory_mb=machine.memory_mb,
            labels=labels,
            version=VERSION,
            sandboxes=SANDBOXES,
            limits=LIMITS,
        )
        enrolled = nodes.enrol(session, asked)
    return Agent(machine, UUID(enrolled.node_id), enrolled.token, wires, dice)


def known_test(dice: Dice, test: Test) -> TestShape:
    class_name, _, name = test.name.rpartition(".")
    never = clock.now()
    return TestShape(
        id=test.id,
        class_name=class_name,
        name=name,
        mean_ms=dice.around(100),
        is_flaky=dice.chance(0.05),
        is_skipped=False,
        slower=1.0,
        broken=(never, never),
    )


def shape_of(command: Command) -> CommandShape:
    known = (
        c for shape in catalogue.PROJECTS for plan in shape.plans for s in plan.steps for c in s.commands
    )
    return next(
        (c for c in known if c.script == command.script), CommandShape(command.label, command.script, 1)
    )


def progress(told: CommandReport) -> StepReport:
    return StepReport(status="in_progress", commands=[told])


def pieces(lines: Sequence[str]) -> Iterator[bytes]:
    for number in range(0, len(lines), LINES_PER_PIECE):
        yield "".join(f"{line}\n" for line in lines[number : number + LINES_PER_PIECE]).encode()


async def once(data: bytes) -> AsyncIterator[bytes]:
    yield data
