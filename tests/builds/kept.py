"""Snapshots and caches for tests: made as agents and people would make them."""

import hashlib
from typing import Any

from sqlalchemy.orm import Session
from tests.factories import a_node, a_plan, a_source, give_to, steps_of

from changes.base import ids
from changes.builds import blobs, caches, create, snapshot_builds, snapshots
from changes.builds.blobs import Holder, Part
from changes.builds.create import NewBuild
from changes.builds.models import Build, JobStep
from changes.builds.snapshot_models import CacheEntry, Snapshot
from changes.builds.snapshot_use import CURRENT, SnapshotAsked
from changes.projects.models import Plan, Project
from changes.protocol import CacheSave, SnapshotMade

SET_UP = {"commands": [{"type": "setup", "script": "make deps"}, "make test"]}
CONTENT = b"what was kept"


def a_plan_with_set_up(session: Session, project: Project, **data: Any) -> Plan:
    return a_plan(session, project, {**SET_UP, **data})


def held_by(session: Session, step: JobStep) -> Holder:
    """A machine of its own has it."""
    node = a_node(session)
    give_to(session, step, node)
    return Holder(step.id, node.id)


def send(session: Session, holder: Holder, data: bytes = CONTENT) -> str:
    sha256 = hashlib.sha256(data).hexdigest()
    blobs.store_part(session, holder, Part(sha256, len(data), 0, data))
    return sha256


def a_snapshot(session: Session, project: Project, data: bytes = CONTENT) -> Snapshot:
    """Active: the agents of all its plans have made their images."""
    made = snapshot_builds.make(session, project, a_source(session, project), timeout_min=60)
    assert made.build is not None
    for step in steps_of(session, made.build):
        holder = held_by(session, step)
        told = SnapshotMade(image=step.data["expected_snapshot"], sha256=send(session, holder, data))
        snapshots.note_made(session, holder, told)
    session.refresh(made)
    return made


def a_build_of(session: Session, project: Project, asked: SnapshotAsked = CURRENT, **more: Any) -> Build:
    facts: dict[str, Any] = {
        "source": a_source(session, project),
        "collection_id": ids.new(),
        "label": "A build",
        "target": "here",
        "message": "",
        "author": None,
        "snapshot": asked,
    }
    return create.create_build(session, project, NewBuild(**{**facts, **more}))


def a_cache(session: Session, build: Build, key: str, data: bytes = CONTENT) -> CacheEntry:
    holder = held_by(session, steps_of(session, build)[0])
    caches.save(session, holder, CacheSave(key=key, sha256=send(session, holder, data)))
    found = session.query(CacheEntry).filter(CacheEntry.project_id == build.project_id, CacheEntry.key == key)
    return found.order_by(CacheEntry.id.desc()).first()  # type: ignore[return-value]
