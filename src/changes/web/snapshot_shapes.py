"""Snapshots and caches as they are answered."""

from uuid import UUID

from changes.builds.snapshot_models import CacheEntry, Snapshot, SnapshotImage
from changes.web import shapes
from changes.web.shapes import Json


def image(each: SnapshotImage) -> Json:
    return {
        "id": each.id.hex,
        "status": shapes.enum(each.status),
        "dateCreated": shapes.when(each.date_created),
        "plan": shapes.plan(each.plan),
        "snapshot": {"id": each.snapshot_id.hex},
        "job": shapes.hex_or_none(each.job_id),
        "kind": each.kind,
        "size": each.size_bytes,
        "sha256": each.sha256,
        "problem": each.problem or None,
    }


def snapshot(each: Snapshot, current: UUID | None) -> Json:
    return {
        "id": each.id.hex,
        "project": shapes.project(each.project),
        "source": shapes.source(each.source) if each.source else None,
        "status": shapes.enum(each.status),
        "dateCreated": shapes.when(each.date_created),
        "images": [image(one) for one in each.images],
        "build": shapes.build(each.build) if each.build else None,
        "isActive": each.id == current,
    }


def cache(each: CacheEntry) -> Json:
    return {
        "id": each.id.hex,
        "key": each.key,
        "isTrusted": each.realm == "",
        "size": each.size_bytes,
        "sha256": each.sha256,
        "dateCreated": shapes.when(each.date_created),
        "dateUsed": shapes.when(each.date_used),
    }
