"""Large artifacts in parts, small ones many at a time."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest
from tests.builds import agents

from changes.base import clock, db, ids, storage
from changes.base.db import Database
from changes.base.errors import ChangesError, Conflict, Gone, Invalid, NotFound, TooLarge
from changes.base.settings import Settings
from changes.builds import cancel
from changes.builds.models import Build, JobStep
from changes.results import artifacts, uploads
from changes.results.artifacts import Upload
from changes.results.logs import OffsetExpected
from changes.results.models import Artifact, ArtifactUpload
from changes.results.uploads import Part, Small

WHOLE = b"0123456789" * 10
DIGEST = hashlib.sha256(WHOLE).hexdigest()
PART_MAX_BYTES = 60


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


@dataclass(frozen=True)
class Told:
    """What the sender says of the whole file."""

    sha256: str = DIGEST
    size: int = len(WHOLE)
    name: str = "big.bin"


def send(
    database: Database, step: JobStep, offset: int, *chunks: bytes | Exception, told: Told | None = None
) -> int:
    about = told or Told()

    async def run() -> int:
        async with database.async_pool(size=2) as pool:
            upload = Upload(step.id, step.node_id, about.name, about.sha256, size_max_bytes=200)
            part = Part(offset, about.size, PART_MAX_BYTES)
            return await uploads.store_part(pool, storage.storage.get(), upload, part, pieces(*chunks))

    return asyncio.run(run())


def send_many(database: Database, step: JobStep, *files: Small) -> list[tuple[str, str]]:
    async def run() -> list[tuple[str, str]]:
        async with database.async_pool(size=2) as pool:
            whose = Upload(step.id, step.node_id, "", None, size_max_bytes=200)
            return await uploads.store_many(pool, storage.storage.get(), whose, list(files))

    return asyncio.run(run())


def small(name: str, data: bytes) -> Small:
    return Small(name, hashlib.sha256(data).hexdigest(), data)


def rows(database: Database, step: JobStep) -> list[Artifact]:
    with database.transaction() as session:
        return artifacts.of_step(session, step.id)


def content(artifact: Artifact) -> bytes:
    return b"".join(storage.storage.get().read(artifact.key))


def files(settings: Settings) -> list[Path]:
    """All that lies in the blob store."""
    return [path for path in (settings.home / "blobs").rglob("*") if path.is_file()]


def end_build_of(database: Database, step: JobStep) -> None:
    with database.transaction() as session:
        job = session.get_one(JobStep, step.id).job
        cancel.cancel_build(session, session.get_one(Build, job.build_id))


def test_parts_become_one_file(database: Database, step: JobStep, settings: Settings) -> None:
    assert send(database, step, 0, WHOLE[:60]) == 60
    assert rows(database, step) == []

    assert send(database, step, 60, WHOLE[60:80], WHOLE[80:]) == 100

    (row,) = rows(database, step)
    assert (row.name, row.size_bytes, row.sha256) == ("big.bin", 100, DIGEST)
    assert content(row) == WHOLE
    assert len(files(settings)) == 1


@pytest.mark.parametrize("offset", [0, 30, 99])
def test_who_begins_elsewhere_is_told_where_to_go_on(database: Database, step: JobStep, offset: int) -> None:
    send(database, step, 0, WHOLE[:60])

    with pytest.raises(OffsetExpected) as caught:
        send(database, step, offset, b"x")

    assert caught.value.offset == 60


def test_a_part_that_breaks_off_counts_for_nothing(
    database: Database, step: JobStep, settings: Settings
) -> None:
    send(database, step, 0, WHOLE[:50])
    with pytest.raises(Broken):
        send(database, step, 50, WHOLE[50:60], Broken())

    assert len(files(settings)) == 1
    assert send(database, step, 50, WHOLE[50:]) == 100


def test_the_last_part_again_is_a_success(database: Database, step: JobStep, settings: Settings) -> None:
    send(database, step, 0, WHOLE[:60])
    send(database, step, 60, WHOLE[60:])

    assert send(database, step, 60, WHOLE[60:]) == 100
    assert len(files(settings)) == 1


def test_what_a_killed_server_did_not_put_together_is_put_together_by_the_next(
    database: Database, step: JobStep, monkeypatch: pytest.MonkeyPatch
) -> None:
    send(database, step, 0, WHOLE[:60])

    async def die(*_: object) -> None:
        raise Broken

    with monkeypatch.context() as patched:
        patched.setattr(uploads, "put_together", die)
        with pytest.raises(Broken):
            send(database, step, 60, WHOLE[60:])

    assert send(database, step, 60, WHOLE[60:]) == 100
    assert content(rows(database, step)[0]) == WHOLE


def test_bytes_without_their_digest_leave_nothing_behind(
    database: Database, step: JobStep, settings: Settings
) -> None:
    send(database, step, 0, WHOLE[:60])

    with pytest.raises(Invalid):
        send(database, step, 60, b"x" * 40)

    assert rows(database, step) == []
    assert files(settings) == []


def test_another_file_of_the_same_name_begins_anew(
    database: Database, step: JobStep, settings: Settings
) -> None:
    send(database, step, 0, WHOLE[:60])

    other = Told(sha256=hashlib.sha256(b"xyz").hexdigest(), size=3)

    assert send(database, step, 0, b"xy", told=other) == 2
    assert len(files(settings)) == 1


@pytest.mark.parametrize(
    ("error", "offset", "told"),
    [
        (TooLarge, 0, Told(size=201)),
        (TooLarge, 0, Told(name="longer-than-a-part")),
        (Invalid, 0, Told(sha256="")),
        (Invalid, 100, Told()),
        (Invalid, -1, Told()),
        (Invalid, 0, Told(name="../a")),
    ],
)
def test_what_is_refused_leaves_nothing_behind(
    step: JobStep, settings: Settings, error: type[ChangesError], offset: int, told: Told
) -> None:
    with pytest.raises(error):
        send(db.database.get(), step, offset, b"x" * 61, told=told)

    assert files(settings) == []


def test_a_part_for_a_step_of_another_machine_is_refused(database: Database, step: JobStep) -> None:
    step.node_id = ids.new()

    with pytest.raises(NotFound):
        send(database, step, 0, b"x")


def test_parts_of_a_step_that_is_over_are_cleaned_up(
    database: Database, step: JobStep, settings: Settings
) -> None:
    send(database, step, 0, WHOLE[:60])
    end_build_of(database, step)
    with pytest.raises(Gone):
        send(database, step, 60, WHOLE[60:])

    with database.transaction() as session:
        assert uploads.clean(session) == 1

    assert files(settings) == []


def test_only_parts_that_were_forgotten_are_cleaned_up_while_the_step_runs(
    database: Database, step: JobStep, settings: Settings
) -> None:
    send(database, step, 0, WHOLE[:60], told=Told(name="old"))
    send(database, step, 0, WHOLE[:60], told=Told(name="new"))
    with database.transaction() as session:
        old = session.get_one(ArtifactUpload, (step.id, "old"))
        old.date_modified = clock.now() - timedelta(days=2)

    with database.transaction() as session:
        assert uploads.clean(session) == 1

    assert len(files(settings)) == 1


def test_many_small_ones_are_stored_in_one_go(database: Database, step: JobStep) -> None:
    refused = send_many(database, step, small("a", b"1"), small("d/b", b"2"))

    assert refused == []
    assert {row.name: content(row) for row in rows(database, step)} == {"a": b"1", "d/b": b"2"}


def test_the_same_batch_again_is_a_success_and_takes_no_room(
    database: Database, step: JobStep, settings: Settings
) -> None:
    batch = (small("a", b"1"), small("b", b"2"))
    send_many(database, step, *batch)

    assert send_many(database, step, *batch) == []
    assert len(files(settings)) == 2


def test_of_a_batch_only_what_is_wrong_is_refused(
    database: Database, step: JobStep, settings: Settings
) -> None:
    send_many(database, step, small("taken", b"1"))

    refused = send_many(
        database,
        step,
        small("good", b"2"),
        small("taken", b"other"),
        small("../out", b"3"),
        small("large", b"x" * 201),
        Small("broken", "0" * 64, b"4"),
    )

    assert [name for name, _ in refused] == ["../out", "broken", "large", "taken"]
    assert [row.name for row in rows(database, step)] == ["good", "taken"]
    assert len(files(settings)) == 2


def test_a_batch_for_a_step_that_is_over_is_refused(
    database: Database, step: JobStep, settings: Settings
) -> None:
    end_build_of(database, step)

    with pytest.raises(Gone):
        send_many(database, step, small("a", b"1"))

    assert files(settings) == []


def test_a_name_that_is_taken_by_other_bytes_is_a_conflict(database: Database, step: JobStep) -> None:
    send_many(database, step, small("big.bin", b"1"))

    with pytest.raises(Conflict):
        send(database, step, 0, WHOLE[:60])
