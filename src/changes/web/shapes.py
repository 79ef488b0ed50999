"""How each thing looks as JSON: the names and forms that clients of the original know."""

import hashlib
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from enum import IntEnum
from html import escape
from typing import Any
from uuid import UUID, uuid5

from changes.base.events import Event
from changes.base.process import settings
from changes.builds import command_types, reasons
from changes.builds.models import Build, Command, FailureReason, Job, JobPhase, JobStep, Node, OutsideBuild
from changes.builds.rules import CAUSE_LABELS, RESULT_LABELS, STATUS_LABELS
from changes.people.models import AdminMessage, Author, Token, User
from changes.projects.models import Patch, Plan, Project, Repository, Revision, Source, Step
from changes.projects.rules import RepositoryBackend, RepositoryStatus
from changes.results import read_times
from changes.results.logparts import Part
from changes.results.models import Artifact, LogSource

SPECIAL_LABELS: list[tuple[IntEnum, str]] = [
    *STATUS_LABELS.items(),
    *RESULT_LABELS.items(),
    *CAUSE_LABELS.items(),
    (RepositoryBackend.GIT, "git"),
    (RepositoryBackend.HG, "hg"),
    (RepositoryStatus.IMPORTING, "importing"),
]
# Members of different enums are equal as numbers, so the kind is part of the key.
LABELS = {(type(member), member.value): label for member, label in SPECIAL_LABELS}
Json = dict[str, Any]


def when(moment: datetime | None) -> str | None:
    """UTC without a zone, as old clients parse it."""
    return None if moment is None else moment.astimezone(UTC).replace(tzinfo=None).isoformat()


def when_ms(moment_ms: int | None) -> str | None:
    return None if moment_ms is None else when(datetime.fromtimestamp(moment_ms / 1000, UTC))


def enum(value: IntEnum) -> Json:
    label = LABELS.get((type(value), value.value), value.name.lower().capitalize())
    return {"id": value.name.lower(), "name": label}


def user(each: User) -> Json:
    return {
        "id": each.id.hex,
        "email": each.email,
        "isAdmin": each.is_admin,
        "avatar": avatar(each.email),
        "project_permissions": each.project_permissions,
        "dateCreated": when(each.date_created),
    }


def avatar(email: str) -> str:
    digest = hashlib.md5(email.lower().encode(), usedforsecurity=False).hexdigest()
    return f"https://secure.gravatar.com/avatar/{digest}?d=mm"


def author(each: Author | None) -> Json | None:
    if each is None:
        return None
    return {
        "id": each.id.hex,
        "name": each.name,
        "email": each.email,
        "avatar": avatar(each.email),
        "dateCreated": when(each.date_created),
    }


def token(each: Token) -> Json:
    """Never the secret: it is not kept."""
    return {
        "id": each.id.hex,
        "name": each.name,
        "scope": each.scope.name.lower(),
        "dateCreated": when(each.date_created),
        "dateLastUsed": when(each.date_last_used),
        "dateRevoked": when(each.date_revoked),
    }


def admin_message(each: AdminMessage) -> Json:
    return {
        "id": each.id.hex,
        "user": user(each.user) if each.user else None,
        "message": each.message,
        "dateCreated": when(each.date_created),
    }


def repository(each: Repository) -> Json:
    return {
        "id": each.id.hex,
        "url": each.url,
        "backend": enum(each.backend),
        "status": enum(each.status),
        "lastError": each.last_error or None,
        "dateCreated": when(each.date_created),
        "dateUpdated": when(each.date_updated),
    }


def project(each: Project) -> Json:
    return {
        "id": each.id.hex,
        "slug": each.slug,
        "name": each.name,
        "repository": {"id": each.repository_id.hex},
        "status": enum(each.status),
        "dateCreated": when(each.date_created),
        "link": f"{settings.get().base_url}/projects/{each.slug}/",
    }


def plan(each: Plan) -> Json:
    return {
        "id": each.id.hex,
        "project_id": each.project_id.hex,
        "name": each.label,
        "project": project(each.project),
        "status": enum(each.status),
        "inRepository": each.in_repository,
        "snapshot_plan_id": hex_or_none(each.snapshot_plan_id),
        "steps": [step_of_plan(step) for step in each.steps],
        "dateCreated": when(each.date_created),
        "dateModified": when(each.date_modified),
    }


def step_of_plan(each: Step) -> Json:
    return {
        "id": each.id.hex,
        "implementation": each.implementation,
        "name": each.implementation.rpartition(".")[2],
        "order": each.order,
        "data": each.data,
        "dateCreated": when(each.date_created),
    }


def revision(each: Revision) -> Json:
    return {
        "id": each.sha,
        "sha": each.sha,
        "repository": {"id": each.repository_id.hex},
        "message": each.message,
        "author": author(each.author),
        "parents": each.parents,
        "branches": each.branches,
        "external": None,
        "dateCreated": when(each.date_created),
        "dateCommitted": when(each.date_committed),
    }


def patch(each: Patch) -> Json:
    return {
        "id": each.id.hex,
        "parentRevision": {"sha": each.parent_revision_sha},
        "external": None,
        "dateCreated": when(each.date_created),
    }


def source(each: Source) -> Json:
    return {
        "id": each.id.hex,
        "isCommit": each.patch_id is None,
        "data": each.data,
        "patch": patch(each.patch) if each.patch else None,
        "revision": revision(each.revision),
        "dateCreated": when(each.date_created),
    }


def build(
    each: Build, stats: Mapping[str, int] | None = None, failures: Sequence[FailureReason] = ()
) -> Json:
    return {
        "id": each.id.hex,
        "collection_id": each.collection_id.hex,
        "number": each.number,
        "name": each.label,
        "target": each.target,
        "status": enum(each.status),
        "result": enum(each.result),
        "cause": enum(each.cause),
        "retryOf": hex_or_none(each.retried_id),
        "askedBy": each.asked_by or None,
        "priority": each.priority.name.lower(),
        "selectiveTestingPolicy": {"id": "disabled", "name": "Disabled"},
        "project": project(each.project),
        "author": author(each.author),
        "source": source(each.source),
        "message": each.message,
        "tags": each.tags,
        "duration": each.duration_ms,
        "estimatedDuration": each.project.avg_build_time_ms,
        "stats": dict(stats or {}),
        "failures": [failure(reason) for reason in failures],
        "dateCreated": when(each.date_created),
        "dateModified": when(each.date_modified),
        "dateStarted": when(each.date_started),
        "dateFinished": when(each.date_finished),
        "dateDecided": when(each.date_decided),
        "datePinned": when(each.date_pinned),
        "pinnedBy": each.pinned_by or None,
        "link": f"{settings.get().base_url}/projects/{each.project.slug}/builds/{each.id.hex}/",
    }


def event(each: Event) -> Json:
    return {
        "id": each.id.hex,
        "type": each.type,
        "itemId": each.item_id.hex,
        "data": each.data,
        "dateCreated": when(each.date_created),
        "dateModified": when(each.date_modified),
    }


def outside(each: OutsideBuild | None) -> Json | None:
    """None for a build of our own."""
    if each is None:
        return None
    return {"externalId": each.external_id, "url": each.url or None, "dateHeard": when(each.date_heard)}


def failure(each: FailureReason) -> Json:
    text = reasons.sentence(each.reason, each.data)
    return {
        "id": each.reason,
        "reason": escape(text),
        "text": text,
        "step_id": hex_or_none(each.step_id),
        "job_id": hex_or_none(each.job_id),
        "data": each.data,
    }


def hex_or_none(value: UUID | None) -> str | None:
    return value.hex if value else None


def job(each: Job, stats: Mapping[str, int] | None = None) -> Json:
    return {
        "id": each.id.hex,
        "number": each.number,
        "name": each.label,
        "status": enum(each.status),
        "result": enum(each.result),
        "isOptional": each.is_optional,
        "project": project(each.build.project),
        "build": {"id": each.build_id.hex},
        "duration": each.duration_ms,
        "estimatedDuration": each.expected_ms,
        "external": None,
        "stats": dict(stats or {}),
        "dateCreated": when(each.date_created),
        "dateModified": when(each.date_modified),
        "dateStarted": when(each.date_started),
        "dateFinished": when(each.date_finished),
    }


def phase(each: JobPhase) -> Json:
    return {
        "id": each.id.hex,
        "name": each.label,
        "status": enum(each.status),
        "result": enum(each.result),
        "duration": each.duration_ms,
        "dateCreated": when(each.date_created),
        "dateStarted": when(each.date_started),
        "dateFinished": when(each.date_finished),
    }


def job_step(each: JobStep) -> Json:
    return {
        "id": each.id.hex,
        "name": each.label,
        "phase": {"id": each.phase_id.hex},
        "attempt": each.attempt,
        "origin": enum(each.origin),
        "data": each.data,
        "status": enum(each.status),
        "result": enum(each.result),
        "image": None,
        "node": node(each.node) if each.node else None,
        "duration": each.duration_ms,
        "replacement_id": hex_or_none(each.replacement_id),
        "lastHeartbeat": when(each.last_heartbeat),
        "dateCreated": when(each.date_created),
        "dateStarted": when(each.date_started),
        "dateFinished": when(each.date_finished),
    }


def command(each: Command) -> Json:
    return {
        "id": each.id.hex,
        "name": each.label,
        "status": enum(each.status),
        "script": each.script,
        "returnCode": each.return_code,
        "env": each.env,
        "cwd": each.cwd,
        "type": {"id": each.type.name.lower(), "name": f"CommandType.{each.type.name.lower()}"},
        "captureOutput": command_types.is_collector(each.type),
        "artifacts": each.artifacts,
        "duration": each.duration_ms,
        "cpuTime": each.cpu_ms,
        "peakMemory": None if each.peak_memory_kb is None else each.peak_memory_kb * 1024,
        "dateCreated": when(each.date_created),
        "dateStarted": when(each.date_started),
        "dateFinished": when(each.date_finished),
    }


def node(each: Node) -> Json:
    return {
        "id": each.id.hex,
        "name": each.label,
        "slots": each.slots,
        "labels": each.own_labels,
        "version": each.version,
        "dateLastSeen": when(each.date_last_seen),
        "dateCreated": when(each.date_created),
    }


def log_source(each: LogSource) -> Json:
    raw = f"{settings.get().base_url}/api/0/jobs/{each.job_id.hex}/logs/{each.id.hex}/"
    return {
        "id": each.id.hex,
        "job": {"id": each.job_id.hex},
        "step": {"id": each.step_id.hex},
        "name": each.name,
        "size": each.size_bytes,
        "isRemoved": each.date_removed is not None,
        "urls": [{"url": f"{raw}?raw=1", "type": "raw"}, {"url": raw, "type": "chunked", "priority": 1}],
        "dateCreated": when(each.date_created),
    }


def log_part(source: LogSource, each: Part) -> Json:
    return {
        "id": uuid5(source.id, str(each.offset)).hex,
        "source": {"id": source.id.hex},
        "text": each.data.decode("utf-8", "replace"),
        "offset": each.offset,
        "size": len(each.data),
        "times": [{"offset": at, "read": when(moment)} for at, moment in read_times.pairs(each.times)],
    }


def artifact(each: Artifact) -> Json:
    is_gone = each.date_removed is not None
    return {
        "id": each.id.hex,
        "jobstep": {"id": each.step_id.hex},
        "name": each.name,
        "size": each.size_bytes,
        "sha256": each.sha256,
        "url": None if is_gone else f"{settings.get().base_url}/api/0/artifacts/{each.id.hex}/content/",
        "dateCreated": when(each.date_created),
        "dateRemoved": when(each.date_removed),
    }
