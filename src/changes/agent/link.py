"""A step's line to the server: every call is repeated until accepted, or until the step is given up."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from changes.agent.client import Client
from changes.agent.retrying import Retrying
from changes.protocol import StepReport


@dataclass(frozen=True)
class Link:
    client: Client
    retrying: Retrying = field(default_factory=Retrying)

    def for_step(self, step_id: str, is_given_up: Callable[[], bool]) -> "StepLink":
        return StepLink(self, step_id, is_given_up)

    def close(self) -> None:
        self.retrying.close()
        self.client.close()


@dataclass(frozen=True)
class StepLink:
    link: Link
    step_id: str
    is_given_up: Callable[[], bool]

    def report(self, report: StepReport) -> None:
        self.link.retrying.until_accepted(
            lambda: self.link.client.report(self.step_id, report), self.is_given_up
        )

    def append_log(self, name: str, offset: int, data: bytes) -> int:
        return self.link.retrying.until_accepted(
            lambda: self.link.client.append_log(self.step_id, name, offset, data), self.is_given_up
        )

    def put_artifact(self, path: str, stored: Path, sha256: str) -> None:
        self.link.retrying.until_accepted(
            lambda: self.link.client.put_artifact(self.step_id, path, stored, sha256), self.is_given_up
        )

    def patch(self) -> bytes:
        return self.link.retrying.until_accepted(
            lambda: self.link.client.patch(self.step_id), self.is_given_up
        )
