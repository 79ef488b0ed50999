"""The far sides of the original's wire, by hand: a scheduler and its agents, with the test client."""

import base64
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import httpx
from starlette.testclient import TestClient
from tests.factories import a_build, a_plan, a_project, a_source
from tests.web.conftest import Live, answered

from changes.base import ids
from changes.base.process import settings
from changes.builds.create import NewBuild, create_build
from changes.builds.models import JobStep
from changes.builds.original import keys
from changes.builds.original.models import KeyUse
from changes.projects.models import ProjectOption

DATE = "2026-11-21T17:34:13.4Z"
HOST = "slave-1.example.com"


@dataclass(frozen=True)
class OldAgent:
    """It has one address, which it got from its scheduler's command line."""

    http: TestClient
    step_id: str
    server: str
    store: str

    def get(self) -> httpx.Response:
        return answered(self.http.get(f"{self.server}/jobsteps/{self.step_id}/"))

    def post(self, path: str, **fields: str) -> httpx.Response:
        """In parts, with a date, as all its reports are."""
        parts = {name: (None, value) for name, value in {"date": DATE, **fields}.items()}
        return answered(self.http.post(f"{self.server}{path}", files=parts))

    def report(self, **fields: str) -> httpx.Response:
        return self.post(f"/jobsteps/{self.step_id}/", **fields)

    def begin(self, node: str = f"{HOST}\n") -> httpx.Response:
        return self.report(status="in_progress", node=node)

    def command(self, command_id: str, **fields: str) -> httpx.Response:
        return self.post(f"/commands/{command_id}/", **fields)

    def run_all(self, code: str = "0") -> None:
        for each in self.get().json()["commands"]:
            assert self.command(each["id"], status="in_progress").status_code == 200
            assert self.command(each["id"], status="finished", return_code=code).status_code == 200

    def end(self, result: str = "passed") -> httpx.Response:
        return self.report(status="finished", result=result, node=f"{HOST}\n")

    def heartbeat(self) -> httpx.Response:
        return answered(self.http.post(f"{self.server}/jobsteps/{self.step_id}/heartbeat/"))

    # --- its store ---

    def open_bucket(self) -> httpx.Response:
        return self.put("/buckets/", {"id": self.step_id, "owner": "changes"})

    def put(self, path: str, told: Any) -> httpx.Response:
        return answered(self.http.post(f"{self.store}{path}", json=told))

    @property
    def bucket(self) -> str:
        return f"/buckets/{self.step_id}"

    def announce(self, **told: Any) -> httpx.Response:
        return self.put(f"{self.bucket}/artifacts", told)

    def upload(self, name: str, data: bytes, path: str = "") -> dict[str, Any]:
        """Under the name that the store wants; its answer to the bytes."""
        asked = {"chunked": False, "name": name, "size": len(data), "relativePath": path or name}
        made = self.announce(**asked).json()
        answer = self.send(made["name"], data)
        assert answer.status_code == 200, answer.text
        sent: dict[str, Any] = answer.json()
        return sent

    def send(self, name: str, data: bytes) -> httpx.Response:
        return answered(self.http.post(f"{self.store}{self.bucket}/artifacts/{name}", content=data))

    def append(self, name: str, offset: int, data: bytes) -> httpx.Response:
        piece = {"size": len(data), "bytes": base64.b64encode(data).decode(), "byteoffset": offset}
        return self.put(f"{self.bucket}/artifacts/{name}", piece)

    def read(self, path: str) -> httpx.Response:
        return answered(self.http.get(f"{self.store}{self.bucket}{path}"))

    def close(self) -> httpx.Response:
        return self.put(f"{self.bucket}/close", {})


@dataclass(frozen=True)
class OldScheduler:
    http: TestClient
    path: str

    def get(self, path: str) -> httpx.Response:
        return answered(self.http.get(f"{self.path}/api/0{path}"))

    def post(self, path: str, told: Any) -> httpx.Response:
        return answered(self.http.post(f"{self.path}/api/0{path}", json=told))

    def waiting(self, query: str = "limit=200") -> list[dict[str, Any]]:
        answer = self.get(f"/jobsteps/allocate/?{query}")
        assert answer.status_code == 200, answer.text
        steps: list[dict[str, Any]] = answer.json()["jobsteps"]
        return steps

    def allocate(self, *step_ids: str, **more: str) -> httpx.Response:
        return self.post("/jobsteps/allocate/", {"jobstep_ids": list(step_ids), **more})

    def take(self) -> OldAgent:
        """The step that waits first, in the hands of an agent."""
        step = self.waiting()[0]
        assert self.allocate(step["id"]).json() == {"allocated": [step["id"]]}
        return agent_of(self.http, step)


def agent_of(http: TestClient, step: dict[str, Any]) -> OldAgent:
    server, store = (
        flag(step["cmd"], name).removeprefix(settings.get().base_url)
        for name in ("server", "artifacts-server")
    )
    return OldAgent(http, step["id"], server.rstrip("/"), store)


def flag(command_line: str, name: str) -> str:
    """The value that stands in a command line, as the agent reads it."""
    (value,) = [each for each in command_line.split(" ") if each.startswith(f"-{name}=")]
    return value.partition("=")[2]


def a_scheduler(live: Live, name: str = "mesos", use: KeyUse = KeyUse.ALLOCATE) -> OldScheduler:
    with live.database.transaction() as session:
        return OldScheduler(live.http, keys.path_of(keys.make(session, name, use).secret))


def a_waiting_step(live: Live, *, patch: bytes | None = None, **data: Any) -> str:
    """Of a build whose plan's step says this; returns the step's id."""
    with live.database.transaction() as session:
        project = a_project(session)
        a_plan(session, project, {"commands": ["true"], **data})
        source = a_source(session, project, patch=patch)
        asked = NewBuild(source, ids.new(), "A build", "target", "", None)
        build = create_build(session, project, asked)
        return session.query(JobStep).filter(JobStep.project_id == build.project_id).one().id.hex


def limit(live: Live, step_id: str, most: int) -> None:
    """How many steps of the project of this step may run at once."""
    with live.database.transaction() as session:
        step = session.get_one(JobStep, UUID(step_id))
        session.add(ProjectOption(project_id=step.project_id, name="queue.limit", value=str(most)))


def another_step_of(live: Live, step_id: str) -> str:
    with live.database.transaction() as session:
        job = session.get_one(JobStep, UUID(step_id)).job
        build = a_build(session, job.build.project, plans=0)
        return session.query(JobStep).filter(JobStep.job.has(build_id=build.id)).one().id.hex
