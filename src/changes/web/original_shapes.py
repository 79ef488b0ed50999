"""What schedulers and agents of the original read: their names, their forms."""

from datetime import UTC, datetime
from typing import Any

from changes.builds.models import JobStep
from changes.builds.original import configuration
from changes.builds.original.scripts import Surroundings
from changes.builds.snapshot_models import SnapshotImage
from changes.results.original_store.models import StoreArtifact, StoreBucket
from changes.web import shapes

Json = dict[str, Any]
# What a date is in Go before it is set.
NO_DATE = "0001-01-01T00:00:00Z"


def step(each: JobStep) -> Json:
    return shapes.job_step(each)


def candidate(each: JobStep, command_line: str, image: SnapshotImage | None) -> Json:
    """What a scheduler may take, and how it starts an agent for it."""
    return {
        **step(each),
        "project": shapes.project(each.job.build.project),
        "resources": configuration.resources(each.data),
        "cmd": command_line,
        "image": image and {"id": image.id.hex, "snapshot": {"id": image.snapshot_id.hex}},
    }


def configured(each: JobStep, about: Surroundings, more: Json) -> Json:
    """What an agent is to do."""
    build = each.job.build
    return {
        **step(each),
        "project": shapes.project(build.project),
        "job": {"id": each.job_id.hex, "number": each.job.number, "name": each.job.label},
        "build": {"id": build.id.hex, "number": build.number},
        "repository": shapes.repository(build.project.repository),
        "source": shapes.source(build.source),
        "commands": configuration.commands(about),
        **more,
    }


def bucket(each: StoreBucket) -> Json:
    return {
        "id": each.step_id.hex,
        "owner": each.owner,
        "state": int(each.state),
        "dateCreated": with_zone(each.date_created),
        "dateClosed": with_zone(each.date_closed),
    }


def artifact(each: StoreArtifact, sizes_of_logs: dict[str, int]) -> Json:
    return {
        "id": each.id,
        "bucketId": each.step_id.hex,
        "name": each.name,
        "relativePath": each.relative_path,
        "size": sizes_of_logs.get(each.kept_as, 0) if each.is_log else each.size_bytes,
        "state": int(each.state),
        "s3URL": "",
        "deadlineMins": each.deadline_min,
        "dateCreated": with_zone(each.date_created),
    }


def with_zone(moment: datetime | None) -> str:
    """RFC 3339."""
    return NO_DATE if moment is None else moment.astimezone(UTC).isoformat().replace("+00:00", "Z")
