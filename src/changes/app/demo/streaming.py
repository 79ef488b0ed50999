"""A working day that goes on: builds are asked for, run and end, a few events each second."""

import asyncio
import signal
from contextlib import suppress
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from changes.app.demo import agents, words
from changes.app.demo.agents import Agent, Wires, Work
from changes.app.demo.catalogue import HOST, PROJECTS
from changes.app.demo.dice import Dice
from changes.app.demo.people import MACHINES, PEOPLE
from changes.base import clock
from changes.base.db import Database
from changes.base.errors import Conflict, Gone, NotFound
from changes.base.storage import Storage
from changes.builds import ask, cancel
from changes.builds.ask import Asked
from changes.builds.models import Build, Job, JobStep
from changes.builds.rules import Cause
from changes.people import users
from changes.projects import queries
from changes.projects.models import Project, Repository, Revision
from changes.projects.rules import ProjectStatus

TOPICS = {shape.slug: shape.words for shape in PROJECTS}
WORKS_AT_ONCE = 8
ASK_CHANCE, PATCH_CHANCE, CANCEL_CHANCE = 0.08, 0.3, 0.003
BEAT_EVERY_S = 5.0
TIMEOUT_MIN = 60
POOL_SIZE = 2


class NothingToBuild(Conflict):
    """The stream goes on with what the fill began."""


@dataclass(frozen=True)
class Pace:
    events_per_s: float = 4.0
    # None goes on for ever.
    events_max: int | None = None
    # None is another day each time: the same commits cannot be made twice.
    seed: int | None = None


async def run(database: Database, storage: Storage, pace: Pace) -> int:
    """Until it is told to stop; how many events there were."""
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopped.set)
    async with database.async_pool(size=POOL_SIZE) as pool:
        stream = Stream(Wires(database, storage, pool), pace)
        stream.start()
        while not stopped.is_set() and stream.events != pace.events_max:
            await stream.event()
            if pace.events_per_s:
                with suppress(TimeoutError):
                    await asyncio.wait_for(stopped.wait(), 1 / pace.events_per_s)
    return stream.events


class Stream:
    def __init__(self, wires: Wires, pace: Pace) -> None:
        self.wires, self.dice = wires, Dice(pace.seed)
        self.agents: list[Agent] = []
        self.projects: list[UUID] = []
        self.events = 0
        self.beaten_at = 0.0

    def start(self) -> None:
        living = [machine for machine in MACHINES if machine.is_alive]
        clusters = {machine.cluster for machine in living}
        with self.wires.database.transaction() as session:
            self.projects = buildable(session, clusters)
        if not self.projects:
            raise NothingToBuild("There are no demo projects here yet: `changes demo --fill` makes them.")
        self.agents = [agents.enrol(self.wires, self.dice, machine) for machine in living]
        for agent in self.agents:
            agent.find_again()

    async def event(self) -> None:
        self.events += 1
        await self.beat()
        busy = [(agent, work) for agent in self.agents for work in agent.works]
        if len(busy) < WORKS_AT_ONCE and (not busy or self.dice.chance(ASK_CHANCE)):
            self.ask_for_build()
            return
        free = [agent for agent in self.agents if agent.is_free]
        if free and await self.dice.choice(free).take():
            return
        if busy:
            # Mostly what began first, so that builds end while one watches.
            busy.sort(key=lambda each: each[1].step_id)
            await self.act(*self.dice.pick(busy, [1 / rank for rank in range(1, len(busy) + 1)]))

    async def beat(self) -> None:
        now = asyncio.get_running_loop().time()
        if now - self.beaten_at > BEAT_EVERY_S:
            self.beaten_at = now
            for agent in self.agents:
                await agent.beat()

    async def act(self, agent: Agent, work: Work) -> None:
        """One thing more; a step that is over, or was taken away meanwhile, is put down."""
        if self.dice.chance(CANCEL_CHANCE):
            self.cancel_build_of(work.step_id)
        try:
            await anext(work.acts)
        except (StopAsyncIteration, Gone, NotFound):
            agent.works.remove(work)

    def cancel_build_of(self, step_id: UUID) -> None:
        mine = select(Build).join(Job, Job.build_id == Build.id).join(JobStep, JobStep.job_id == Job.id)
        with self.wires.database.transaction() as session:
            build = session.execute(mine.where(JobStep.id == step_id)).unique().scalar_one()
            cancel.cancel_build(session, build, by=self.dice.choice(PEOPLE).email)

    def ask_for_build(self) -> None:
        with self.wires.database.transaction() as session:
            project = session.get_one(Project, self.dice.choice(self.projects))
            is_patch = self.dice.chance(PATCH_CHANCE)
            topics = TOPICS.get(project.slug, (project.slug,))
            revision = newest_commit(session, project) if is_patch else None
            message = words.message(self.dice, topics)
            if revision is None:
                revision = self.commit(session, project, message.text)
            person = self.dice.choice(PEOPLE)
            asked = Asked(
                sha=revision.sha,
                # A push builds every project of its repository.
                project=project.slug if is_patch else None,
                repository=project.repository.url,
                author=f"{person.name} <{person.email}>",
                label=message.subject,
                message=message.text,
                target=f"D{self.dice.randint(5000, 9999)}" if is_patch else None,
                patch=words.diff(self.dice, topics) if is_patch else None,
                cause=Cause.UNKNOWN if is_patch else Cause.PUSH,
            )
            ask.build_what_was_asked(session, asked, timeout_min=TIMEOUT_MIN)

    def commit(self, session: Session, project: Project, message: str) -> Revision:
        person = self.dice.choice(PEOPLE)
        parent = newest_commit(session, project)
        now = clock.now()
        revision = Revision(
            repository_id=project.repository_id,
            sha=self.dice.sha(),
            author_id=users.author(session, person.name, person.email).id,
            message=message,
            parents=[parent.sha] if parent else [],
            branches=["main"],
            config="",
            date_created=now,
            date_committed=now,
        )
        session.add(revision)
        session.flush()
        return revision


def buildable(session: Session, clusters: set[str]) -> list[UUID]:
    """Demo projects all of whose plans an agent of ours can run."""
    demo = select(Project).join(Repository).where(Repository.url.startswith(HOST, autoescape=True))
    active = session.execute(demo.where(Project.status == ProjectStatus.ACTIVE).order_by(Project.slug))
    return [project.id for project in active.scalars() if offered(session, project, clusters)]


def offered(session: Session, project: Project, clusters: set[str]) -> bool:
    wanted = {
        step.data.get("cluster") for plan in queries.active_plans(session, project) for step in plan.steps
    }
    return bool(wanted) and wanted <= clusters


def newest_commit(session: Session, project: Project) -> Revision | None:
    mine = select(Revision).where(Revision.repository_id == project.repository_id)
    return session.execute(mine.order_by(Revision.date_created.desc()).limit(1)).scalar_one_or_none()
