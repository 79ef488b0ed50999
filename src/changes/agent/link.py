"""A step's line to the server: every call is repeated until accepted, or until the step is given up."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from changes.agent.client import Client, Stored
from changes.agent.errors import OffsetExpected
from changes.agent.retrying import Retrying
from changes.protocol import (
    LOG_CHUNK_MAX_BYTES,
    LOG_CHUNK_SURE_BYTES,
    CacheAsk,
    CacheFound,
    CacheSave,
    CardToSay,
    Login,
    SnapshotMade,
    StepReport,
)

# Version of the protocol.
BATCHES_SINCE = 2


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

    def append_log(self, name: str, offset: int, data: bytes, times: str = "") -> int:
        return self.link.retrying.until_accepted(
            lambda: self.link.client.append_log(self.step_id, name, offset, data, times), self.is_given_up
        )

    def put_artifact(self, path: str, stored: Path, sha256: str) -> None:
        self.link.retrying.until_accepted(
            lambda: self.link.client.put_artifact(self.step_id, path, stored, sha256), self.is_given_up
        )

    @property
    def takes_batches(self) -> bool:
        """Whether this server knows more than one way to take an artifact."""
        welcome = self.link.client.welcome
        return welcome is not None and welcome.protocol >= BATCHES_SINCE

    @property
    def takes_log_end(self) -> bool:
        welcome = self.link.client.welcome
        return welcome is not None and welcome.takes_log_end

    @property
    def log_chunk_max_bytes(self) -> int:
        welcome = self.link.client.welcome
        told = welcome.log_chunk_max_bytes if welcome else LOG_CHUNK_SURE_BYTES
        return max(1, min(told, LOG_CHUNK_MAX_BYTES))

    def put_artifacts(self, batch: Sequence[Stored]) -> dict[str, str]:
        """By path, why the server does not take it."""
        return self.link.retrying.until_accepted(
            lambda: self.link.client.put_artifacts(self.step_id, batch), self.is_given_up
        )

    def put_part(self, artifact: Stored, offset: int) -> int:
        """Up to which byte the server has it now."""
        return self.link.retrying.until_accepted(
            lambda: self.link.client.put_part(self.step_id, artifact, offset), self.is_given_up
        )

    def send_blob(self, sha256: str, stored: Path) -> None:
        """Part by part, from wherever the server has got to."""
        sent, size_bytes = 0, stored.stat().st_size
        while sent < size_bytes:
            try:
                sent = self._put_blob_part(sha256, stored, sent)
            except OffsetExpected as error:
                sent = error.offset

    def _put_blob_part(self, sha256: str, stored: Path, offset: int) -> int:
        return self.link.retrying.until_accepted(
            lambda: self.link.client.put_blob_part(self.step_id, sha256, stored, offset), self.is_given_up
        )

    def fetch_blob(self, sha256: str, part: Path) -> None:
        self.link.retrying.until_accepted(
            lambda: self.link.client.fetch_blob(self.step_id, sha256, part), self.is_given_up
        )

    def find_cache(self, ask: CacheAsk) -> CacheFound:
        return self.link.retrying.until_accepted(
            lambda: self.link.client.find_cache(self.step_id, ask), self.is_given_up
        )

    def save_cache(self, save: CacheSave) -> None:
        self.link.retrying.until_accepted(
            lambda: self.link.client.save_cache(self.step_id, save), self.is_given_up
        )

    def post_card(self, card: CardToSay) -> None:
        self.link.retrying.until_accepted(
            lambda: self.link.client.post_card(self.step_id, card), self.is_given_up
        )

    def tell_snapshot(self, made: SnapshotMade) -> None:
        self.link.retrying.until_accepted(
            lambda: self.link.client.tell_snapshot(self.step_id, made), self.is_given_up
        )

    def logins(self) -> list[Login]:
        return self.link.retrying.until_accepted(
            lambda: self.link.client.logins(self.step_id), self.is_given_up
        )

    def patch(self) -> bytes:
        return self.link.retrying.until_accepted(
            lambda: self.link.client.patch(self.step_id), self.is_given_up
        )
