"""What stands before the first build: people, machines, repositories, projects, plans."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from changes.app.demo.catalogue import PlanShape, ProjectShape
from changes.app.demo.dice import Dice
from changes.app.demo.people import MACHINES, PEOPLE, Machine
from changes.app.demo.rows import Connection, Ids, Rows
from changes.app.demo.suites import DAYS, Suite, suites_of
from changes.builds.models import Node
from changes.builds.recipes import DEFAULT_IMPLEMENTATION
from changes.people.models import Author, Token, User
from changes.people.rules import Scope
from changes.projects.models import ItemOption, Plan, Project, ProjectOption, Repository, Step
from changes.projects.rules import PlanStatus, ProjectStatus, RepositoryBackend, RepositoryStatus
from changes.results.models import Test

VERSION = "0.1.0"
# What fails newly is looked at again. What is filled in had none yet.
LOOK = {"name": "tests.second-look", "value": "2"}


@dataclass(frozen=True)
class PlacedPlan:
    id: UUID
    # As `create.create_job` freezes it.
    frozen: dict[str, Any]


@dataclass(frozen=True)
class PlacedProject:
    shape: ProjectShape
    id: UUID
    repository_id: UUID
    plans: dict[str, PlacedPlan]
    suites: dict[str, Suite]


@dataclass(frozen=True)
class Ground:
    authors: Mapping[str, UUID]
    # Those who sign in.
    users: Mapping[str, UUID]
    nodes: Mapping[str, UUID]
    projects: Mapping[str, PlacedProject]


class Builder:
    def __init__(self, dice: Dice, ids: Ids, rows: Rows, now: datetime) -> None:
        self.dice, self.ids, self.rows, self.now = dice, ids, rows, now
        self.since = now - timedelta(days=DAYS, hours=6)

    def build(self, connection: Connection, shapes: Sequence[ProjectShape]) -> Ground:
        """What has the same name already is used as it is."""
        authors = known(connection, "select email, id from author")
        users = known(connection, 'select email, id from "user"')
        nodes = known(connection, "select label, id from node")
        for person in PEOPLE:
            if person.email not in authors:
                authors[person.email] = self.person(person.name, person.email)
            if person.signs_in and person.email not in users:
                users[person.email] = self.user(person.email, person.administers, is_admin=person.is_admin)
        for machine in MACHINES:
            if machine.label not in nodes:
                nodes[machine.label] = self.node(machine)
        urls: dict[str, UUID] = {}
        projects = {shape.slug: self.project(shape, urls) for shape in shapes}
        return Ground(authors, users, nodes, projects)

    def born(self) -> dict[str, Any]:
        return {"id": self.ids.at(self.since), "date_created": self.since}

    def person(self, name: str, email: str) -> UUID:
        born = self.born()
        self.rows.add(Author, **born, name=name, email=email)
        return UUID(str(born["id"]))

    def user(self, email: str, administers: Sequence[str], *, is_admin: bool) -> UUID:
        born = self.born()
        self.rows.add(User, **born, email=email, is_admin=is_admin, project_permissions=list(administers))
        if is_admin:
            self.tokens(UUID(str(born["id"])))
        return UUID(str(born["id"]))

    def tokens(self, user_id: UUID) -> None:
        """Their secrets are known to nobody; `changes token create` makes some that work."""
        for name, scope, age_days, is_revoked in (
            ("deploy dashboard", Scope.READ, 0.1, False),
            ("release script", Scope.WRITE, 2, False),
            ("old laptop", Scope.ADMIN, 21, True),
        ):
            used = self.now - timedelta(days=age_days)
            self.rows.add(
                Token,
                **self.born(),
                name=name,
                digest=self.dice.digest(),
                scope=scope,
                user_id=user_id,
                date_last_used=used,
                date_revoked=used if is_revoked else None,
            )

    def node(self, machine: Machine) -> UUID:
        born = self.born()
        seen = self.now - machine.silent_for if machine.silent_for else self.now
        self.rows.add(
            Node,
            **born,
            label=machine.label,
            slots=machine.slots,
            cpus=machine.cpus,
            memory_mb=machine.memory_mb,
            labels={"cluster": machine.cluster, **machine.labels},
            version=VERSION if machine.is_alive else "0.0.9",
            token_digest=None if machine.is_revoked else self.dice.digest(),
            date_last_seen=seen if machine.was_seen else None,
        )
        return UUID(str(born["id"]))

    def project(self, shape: ProjectShape, urls: dict[str, UUID]) -> PlacedProject:
        if shape.url not in urls:
            urls[shape.url] = self.repository(shape.url)
        born = self.born()
        project_id = UUID(str(born["id"]))
        self.rows.add(
            Project,
            **born,
            slug=shape.slug,
            name=shape.name,
            repository_id=urls[shape.url],
            status=ProjectStatus.ACTIVE if shape.is_active else ProjectStatus.INACTIVE,
            last_build_number=0,
        )
        self.rows.add(
            ProjectOption, **self.born(), project_id=project_id, name="mail.notify-author", value="1"
        )
        plans = {plan.label: self.plan(project_id, plan) for plan in shape.plans}
        suites = suites_of(self.dice, self.ids, shape, self.since)
        for suite in suites.values():
            self.tests(project_id, suite)
        return PlacedProject(shape, project_id, urls[shape.url], plans, suites)

    def repository(self, url: str) -> UUID:
        """Without version control: its address leads nowhere, and nobody may try to follow it."""
        born = self.born()
        kind, status = RepositoryBackend.UNKNOWN, RepositoryStatus.ACTIVE
        self.rows.add(Repository, **born, url=url, backend=kind, status=status, last_error="")
        return UUID(str(born["id"]))

    def plan(self, project_id: UUID, shape: PlanShape) -> PlacedPlan:
        born = self.born()
        plan_id = UUID(str(born["id"]))
        self.rows.add(
            Plan,
            **born,
            project_id=project_id,
            label=shape.label,
            status=PlanStatus.ACTIVE,
            in_repository=False,
            date_modified=self.since,
        )
        if any(step.suite for step in shape.steps):
            self.rows.add(ItemOption, **self.born(), item_id=plan_id, **LOOK)
        steps = []
        for order, step in enumerate(shape.steps):
            row = self.born()
            recipe = {
                "implementation": DEFAULT_IMPLEMENTATION,
                "order": order,
                "data": step.recipe(shape.cluster),
            }
            self.rows.add(Step, **row, plan_id=plan_id, date_modified=self.since, **recipe)
            steps.append({"id": row["id"].hex, **recipe, "options": {}})
        terms = {"owners": [f"the {shape.cluster} team"]}
        return PlacedPlan(plan_id, {"snapshot": {"steps": steps, "options": {}}, "terms": terms})

    def tests(self, project_id: UUID, suite: Suite) -> None:
        for test in suite.tests:
            row = {"name_sha": test.sha, "name": test.full_name, "owner": test.owner}
            self.rows.add(Test, id=test.id, date_created=self.since, project_id=project_id, **row)


def known(connection: Connection, query: str) -> dict[str, UUID]:
    return {str(row[0]): UUID(str(row[1])) for row in connection.execute(query.encode())}
