"""Buckets of the artifact store that the original's agents write to: one per step.

What is announced here is kept as log or artifact of the step. Names that are taken get a `.dup.` name,
which the agent then uses.
"""

import secrets
import string
from collections.abc import Sequence
from pathlib import PurePosixPath
from uuid import UUID

from sqlalchemy import Select, func, select
from sqlalchemy.orm import Session

from changes.base import clock, jobs
from changes.base.errors import Gone, Invalid, NotFound, TooLarge
from changes.builds.models import JobStep
from changes.builds.rules import Status
from changes.results import artifacts, logs, tasks
from changes.results.models import Artifact, LogSource
from changes.results.original_store.models import ArtifactState, StoreArtifact, StoreBucket

NAME_MAX = 255
OWNER_MAX = 128
LISTED_MAX = 25
ARTIFACTS_MAX = 10_000
SHOWN_MAX = 1000
DEADLINE_MIN, DEADLINE_MAX_MIN = 30, 7 * 24 * 60
DUPLICATE_TRIES, DUPLICATE_LETTERS = 5, 5
ALPHABET = string.ascii_lowercase + string.digits
SIZE_MAX = 2**62


def create(session: Session, step: JobStep, owner: str) -> StoreBucket:
    lock(session, step.id)
    if session.get(StoreBucket, step.id) is not None:
        raise Invalid("Entity exists", ["id"])
    if step.status == Status.FINISHED:
        raise Gone("This step is over.")
    bucket = StoreBucket(step_id=step.id, owner=owner[:OWNER_MAX])
    session.add(bucket)
    session.flush()
    return bucket


def lock(session: Session, step_id: UUID) -> None:
    """Of two that announce the same name, one waits for the other; a report waits for neither."""
    session.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(step_id.hex, 0))))


def find(session: Session, step_id: UUID) -> StoreBucket:
    bucket = session.get(StoreBucket, step_id)
    if bucket is None:
        raise NotFound("Bucket not found")
    return bucket


def newest(session: Session, steps: Select[UUID]) -> Sequence[StoreBucket]:
    mine = select(StoreBucket).where(StoreBucket.step_id.in_(steps))
    newest_first = mine.order_by(StoreBucket.date_created.desc(), StoreBucket.step_id)
    return session.execute(newest_first.limit(LISTED_MAX)).scalars().all()


def close(session: Session, step_id: UUID) -> StoreBucket:
    """The last word about a step: now its results may be read."""
    lock(session, step_id)
    bucket = find(session, step_id)
    if bucket.date_closed is not None:
        raise Invalid("Bucket is already closed", ["id"])
    bucket.date_closed = clock.now()
    for artifact in all_of(session, step_id):
        close_artifact(artifact)
    status = session.execute(select(JobStep.status).where(JobStep.id == step_id)).scalar_one()
    if status == Status.COLLECTING_RESULTS:
        jobs.enqueue(session, tasks.collect_step, step_id)
    session.flush()
    return bucket


def close_artifact(artifact: StoreArtifact) -> None:
    if artifact.state == ArtifactState.APPENDING:
        artifact.state = ArtifactState.UPLOADED
    elif artifact.state == ArtifactState.WAITING_FOR_UPLOAD:
        artifact.state = ArtifactState.CLOSED_WITHOUT_DATA


def is_open(session: Session, step_id: UUID) -> bool:
    bucket = session.get(StoreBucket, step_id)
    return bucket is not None and bucket.date_closed is None


# --- artifacts ---------------------------------------------------------------------------


def announce(session: Session, step_id: UUID, told: StoreArtifact, *, size_max_bytes: int) -> StoreArtifact:
    """`told` is what the agent says of it; what it gets back has the name it must use."""
    lock(session, step_id)
    bucket = find(session, step_id)
    if bucket.date_closed is not None:
        raise Invalid("Bucket is already closed", ["bucket"])
    taken = session.execute(
        select(func.count()).select_from(StoreArtifact).where(StoreArtifact.step_id == step_id)
    ).scalar_one()
    if taken >= ARTIFACTS_MAX:
        raise Invalid(f"A bucket has at most {ARTIFACTS_MAX} artifacts.", ["bucket"])
    if told.size_bytes > size_max_bytes:
        raise TooLarge(f"An artifact has at most {size_max_bytes} bytes (MAX_ARTIFACT_BYTES).")
    told.name = free_name(session, step_id, told.name)
    told.kept_as = place_for(session, step_id, told)
    told.step_id = step_id
    session.add(told)
    session.flush()
    return told


def free_name(session: Session, step_id: UUID, wanted: str) -> str:
    name = wanted
    for _ in range(DUPLICATE_TRIES):
        taken = select(StoreArtifact.id).where(StoreArtifact.step_id == step_id, StoreArtifact.name == name)
        if session.execute(taken).first() is None:
            return name
        name = f"{wanted}.dup.{random_letters()}"
    raise Invalid("This name is taken too often.", ["name"])


def place_for(session: Session, step_id: UUID, told: StoreArtifact) -> str:
    """What it is called among the logs or artifacts of the step. The first of a path keeps it, so a report
    that is sent again after each command counts once.
    """
    if told.state == ArtifactState.APPENDING:
        logs.check_name(told.name)
        taken = select(LogSource.id).where(LogSource.step_id == step_id, LogSource.name == told.name)
        is_free = session.execute(taken).first() is None
        return told.name if is_free else f"{told.name}.dup.{random_letters()}"[-logs.NAME_MAX :]
    path = told.relative_path
    mine = select(StoreArtifact.id).where(StoreArtifact.step_id == step_id, StoreArtifact.kept_as == path)
    theirs = select(Artifact.id).where(Artifact.step_id == step_id, Artifact.name == path)
    is_free = session.execute(mine).first() is None and session.execute(theirs).first() is None
    return path if is_free else f"{path}.dup.{random_letters()}"


def random_letters() -> str:
    return "".join(secrets.choice(ALPHABET) for _ in range(DUPLICATE_LETTERS))


def checked_name(name: str) -> str:
    """One part of an address."""
    is_odd = name in {".", ".."} or "/" in name or "\0" in name
    if not name or len(name) > NAME_MAX or is_odd:
        raise Invalid(f"An artifact has a name of at most {NAME_MAX} characters, without a slash.", ["name"])
    return name


def checked_path(path: str) -> str:
    """Below the step's folder, written in one way only."""
    artifacts.check_name(path)
    plain = str(PurePosixPath(path))
    # Room for what is added to a path that is taken.
    if plain == "." or len(plain) > artifacts.NAME_MAX - 16:
        raise Invalid("An artifact's relativePath is the path of a file.", ["relativePath"])
    return plain


def all_of(session: Session, step_id: UUID) -> Sequence[StoreArtifact]:
    mine = select(StoreArtifact).where(StoreArtifact.step_id == step_id).order_by(StoreArtifact.id)
    return session.execute(mine).scalars().all()


def artifact(session: Session, step_id: UUID, name: str) -> StoreArtifact:
    mine = select(StoreArtifact).where(StoreArtifact.step_id == step_id, StoreArtifact.name == name)
    found = session.execute(mine).scalar_one_or_none()
    if found is None:
        raise NotFound("Artifact not found")
    return found
