import asyncio
import hashlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.orm import Session
from tests.builds import agents

from changes.base import ids, storage
from changes.base.db import Database
from changes.base.errors import Conflict, Gone, Invalid, NotFound, TooLarge
from changes.base.paging import Page
from changes.base.settings import Settings
from changes.builds import cancel
from changes.builds.models import Build, JobStep
from changes.results import artifacts
from changes.results.artifacts import Upload
from changes.results.models import Artifact

LIMIT_BYTES = 100


class Broken(Exception):
    """The sender went away in the middle."""


@pytest.fixture
def step(database: Database) -> JobStep:
    with database.transaction() as session:
        return agents.a_taken_step(session)


async def pieces(*chunks: bytes | Exception) -> AsyncIterator[bytes]:
    for chunk in chunks:
        if isinstance(chunk, Exception):
            raise chunk
        yield chunk


def upload(
    database: Database, step: JobStep, *chunks: bytes | Exception, name: str = "junit.xml", **changes: Any
) -> None:
    told = {"step_id": step.id, "node_id": step.node_id, "name": name, "sha256": None} | changes
    send(database, Upload(**told, size_max_bytes=LIMIT_BYTES), pieces(*chunks))


def send(database: Database, wanted: Upload, chunks: AsyncIterator[bytes]) -> None:
    async def run() -> None:
        async with database.async_pool(size=2) as pool:
            await artifacts.store(pool, storage.storage.get(), wanted, chunks)

    asyncio.run(run())


def rows(database: Database, step: JobStep) -> list[Artifact]:
    with database.transaction() as session:
        return artifacts.of_step(session, step.id)


def files(settings: Settings) -> list[Path]:
    """All that lies in the blob store."""
    return [path for path in (settings.home / "blobs").rglob("*") if path.is_file()]


def test_a_file_is_stored_with_its_size_and_digest(database: Database, step: JobStep) -> None:
    upload(database, step, b"<test", b"suite/>", name="out/junit.xml")

    (row,) = rows(database, step)
    assert (row.name, row.size_bytes, row.job_id) == ("out/junit.xml", 12, step.job_id)
    assert row.sha256 == hashlib.sha256(b"<testsuite/>").hexdigest()
    assert b"".join(storage.storage.get().read(row.key)) == b"<testsuite/>"


def test_the_same_file_again_is_a_success_and_takes_no_room(
    database: Database, step: JobStep, settings: Settings
) -> None:
    upload(database, step, b"same")
    upload(database, step, b"same")

    assert len(rows(database, step)) == 1
    assert len(files(settings)) == 1


def test_another_file_of_the_same_name_is_a_conflict(
    database: Database, step: JobStep, settings: Settings
) -> None:
    upload(database, step, b"one")

    with pytest.raises(Conflict):
        upload(database, step, b"other")

    assert b"".join(storage.storage.get().read(rows(database, step)[0].key)) == b"one"
    assert len(files(settings)) == 1


@dataclass(frozen=True)
class Refused:
    error: type[Exception]
    chunks: tuple[bytes | Exception, ...] = (b"x",)
    told: dict[str, Any] = field(default_factory=dict)


REFUSED = [
    Refused(TooLarge, (b"x" * 60, b"x" * 60)),
    Refused(Broken, (b"x", Broken())),
    Refused(Invalid, told={"sha256": "0" * 64}),
    Refused(Invalid, told={"name": "../x"}),
    Refused(Invalid, told={"name": "/etc/passwd"}),
    Refused(Invalid, told={"name": ""}),
    Refused(Invalid, told={"name": "a\0b"}),
    Refused(Invalid, told={"name": "n" * 1025}),
    Refused(NotFound, told={"node_id": ids.new()}),
    Refused(NotFound, told={"step_id": ids.new()}),
]


@pytest.mark.parametrize("refused", REFUSED)
def test_what_is_refused_or_breaks_off_leaves_nothing_behind(
    database: Database, step: JobStep, settings: Settings, refused: Refused
) -> None:
    with pytest.raises(refused.error):
        upload(database, step, *refused.chunks, **refused.told)

    assert rows(database, step) == []
    assert files(settings) == []


def test_the_announced_digest_may_be_in_capitals(database: Database, step: JobStep) -> None:
    upload(database, step, b"x", sha256=hashlib.sha256(b"x").hexdigest().upper())

    assert len(rows(database, step)) == 1


def end_build_of(database: Database, step: JobStep) -> None:
    with database.transaction() as session:
        job = session.get_one(JobStep, step.id).job
        cancel.cancel_build(session, session.get_one(Build, job.build_id))


def test_a_step_that_is_over_takes_no_more_files(database: Database, step: JobStep) -> None:
    end_build_of(database, step)

    with pytest.raises(Gone):
        upload(database, step, b"x")


def test_a_step_that_ends_while_the_file_arrives_takes_it_no_more(
    database: Database, step: JobStep, settings: Settings
) -> None:
    async def slowly() -> AsyncIterator[bytes]:
        yield b"x"
        end_build_of(database, step)

    wanted = Upload(step.id, step.node_id or ids.new(), "a", sha256=None, size_max_bytes=LIMIT_BYTES)

    with pytest.raises(Gone):
        send(database, wanted, slowly())
    assert files(settings) == []


def test_files_of_a_job_are_listed_by_name(session: Session) -> None:
    step = agents.a_taken_step(session)
    for name in ("b.xml", "a.xml"):
        agents.leave_behind(session, step, b"x", name)

    found = artifacts.of_job(session, step.job, Page(1, 10))

    assert [artifact.name for artifact in found.rows] == ["a.xml", "b.xml"]


def test_a_file_is_found_by_its_id(session: Session) -> None:
    artifact = agents.leave_behind(session, agents.a_taken_step(session), b"x")

    assert artifacts.by_id(session, artifact.id) is artifact
    with pytest.raises(NotFound):
        artifacts.by_id(session, ids.new())
