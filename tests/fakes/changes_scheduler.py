"""The original's scheduler, as the server sees it: asks what waits, takes steps, starts an agent for each.

Each agent runs in an empty folder by the very command line that the server wrote, given to a shell.
"""

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import urllib3

CLIENT = Path(__file__).parent / "changes_client.py"
HURRY = {"FAKE_FLUSH_S": "0.1", "FAKE_HEARTBEAT_S": "0.1", "FAKE_BACKOFF_S": "0.05", "FAKE_CONFIG_S": "0.01"}
HOST = "slave-1.example.com"
TIMEOUT = urllib3.Timeout(connect=10, read=60)


@dataclass
class Task:
    """An agent that was started for a step."""

    step_id: str
    folder: Path
    process: subprocess.Popen[bytes]

    @property
    def trace(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in (self.folder / "trace").read_text().splitlines()]

    @property
    def said(self) -> str:
        return (self.folder / "stderr").read_text()

    def wait(self, timeout_s: float = 60) -> int:
        return self.process.wait(timeout_s)


@dataclass
class Scheduler:
    """`url` is what an administrator made for it."""

    url: str
    folder: Path
    cluster: str | None = None
    tasks: list[Task] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.http = urllib3.PoolManager(retries=False)
        programs = self.folder / "bin"
        programs.mkdir(parents=True)
        client = programs / "changes-client"
        client.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} {shlex.quote(str(CLIENT))} "$@"\n')
        client.chmod(0o755)

    def ask(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> tuple[int, Any]:
        answer = self.http.request(
            method,
            f"{self.url}/api/0{path}",
            body=None if body is None else json.dumps(body),
            headers={"Content-Type": "application/json"},
            timeout=TIMEOUT,
        )
        return answer.status, json.loads(answer.data)

    def waiting(self, limit: int = 200) -> list[dict[str, Any]]:
        query = {"limit": limit} | ({"cluster": self.cluster} if self.cluster else {})
        status, told = self.ask("GET", f"/jobsteps/allocate/?{urlencode(query)}")
        assert status == 200, told
        steps: list[dict[str, Any]] = told["jobsteps"]
        return steps

    def allocate(self, *step_ids: str) -> tuple[int, Any]:
        asked: dict[str, Any] = {"jobstep_ids": list(step_ids)}
        return self.ask(
            "POST", "/jobsteps/allocate/", asked | ({"cluster": self.cluster} if self.cluster else {})
        )

    def needs_abort(self, *step_ids: str) -> list[str]:
        status, told = self.ask("POST", "/jobsteps/needs_abort/", {"jobstep_ids": list(step_ids)})
        assert status == 200, told
        ids: list[str] = told["needs_abort"]
        return ids

    def task_finished(self, step_id: str) -> tuple[int, Any]:
        return self.ask("POST", f"/jobsteps/{step_id}/", {"status": "finished", "node": HOST})

    def task_lost(self, step_id: str, text: str) -> tuple[int, Any]:
        self.ask("POST", f"/jobsteps/{step_id}/logappend/", {"source": "console", "text": text})
        lost = {"status": "finished", "result": "infra_failed", "node": HOST}
        return self.ask("POST", f"/jobsteps/{step_id}/", lost)

    def start(self, step: Mapping[str, Any], **more: str) -> Task:
        folder = self.folder / step["id"]
        folder.mkdir()
        path = f"{self.folder / 'bin'}:{os.environ['PATH']}"
        env = {
            **os.environ,
            **HURRY,
            "PATH": path,
            "FAKE_TRACE": str(folder / "trace"),
            "FAKE_HOST": HOST,
            **more,
        }
        with (folder / "stderr").open("wb") as errors:
            process = subprocess.Popen(
                ["/bin/sh", "-c", f"exec {step['cmd']}"],
                cwd=folder,
                env=env,
                stdin=subprocess.DEVNULL,
                stderr=errors,
                start_new_session=True,
            )
        task = Task(step["id"], folder, process)
        self.tasks.append(task)
        return task

    def run_one(self) -> Task:
        """What waits first is taken, and its agent has ended."""
        step = self.waiting()[0]
        status, told = self.allocate(step["id"])
        assert (status, told) == (200, {"allocated": [step["id"]]})
        task = self.start(step)
        assert task.wait() == 0, task.said
        return task

    def stop(self) -> None:
        for task in self.tasks:
            if task.process.poll() is None:
                task.process.kill()
                task.process.wait()
        self.http.clear()
