"""What somebody needs who runs a step on a machine of his own: the offer to its agent, without secrets."""

from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import select
from sqlalchemy.orm import Session

from changes.base.errors import NotFound
from changes.builds import offers
from changes.builds.models import Build, Command, Job, JobStep
from changes.projects.models import Patch
from changes.protocol import StepOffer


def recipe_of(session: Session, step_id: UUID) -> tuple[StepOffer, Patch | None]:
    step = session.get(JobStep, step_id)
    if step is None:
        raise NotFound("There is no such step.")
    build = (
        session.execute(select(Build).join(Job, Job.build_id == Build.id).where(Job.id == step.job_id))
        .unique()
        .scalar_one()
    )
    offer = offers.offer(row_of(session, step, build))
    patch_id = build.source.patch_id
    patch = session.get(Patch, patch_id) if patch_id is not None else None
    env = {name: value for name, value in offer.env.items() if name != "CHANGES_STEP_TOKEN"}
    # Whoever only looks is not let in anywhere, and makes no snapshot.
    return msgspec.structs.replace(offer, token="", env=env, secrets={}, expected_snapshot=""), patch


def secrets_wanted(session: Session, step_id: UUID) -> list[str]:
    """Names of what commands had there and will not have elsewhere."""
    step = session.get_one(JobStep, step_id)
    return list(step.data.get("secrets") or [])


def where_it_ran(session: Session, step_id: UUID) -> list[str]:
    """In sentences, for somebody who compares it with his own machine."""
    node = session.get_one(JobStep, step_id).node
    if node is None:
        return ["It ran on no machine yet."]
    labels = ", ".join(f"{name}={value}" for name, value in sorted(node.own_labels.items()))
    size = f"{node.cpus} CPUs and {node.memory_mb} MB" if node.cpus else ""
    return [f"It ran on {' with '.join(filter(None, [node.label, size, labels]))}."]


def row_of(session: Session, step: JobStep, build: Build) -> dict[str, Any]:
    """As it is handed out."""
    repository, revision = build.source.repository, build.source.revision
    mine = select(Command).where(Command.step_id == step.id).order_by(Command.order)
    return {
        "id": step.id,
        "label": step.label,
        "attempt": step.attempt,
        "timeout_s": step.timeout_s,
        "data": step.data,
        "cluster": step.cluster,
        "job_id": step.job_id,
        "job_label": step.job.label,
        "build_id": build.id,
        "number": build.number,
        "target": build.target,
        "is_trusted": build.is_trusted,
        "project_id": build.project_id,
        "slug": build.project.slug,
        "url": repository.url,
        "backend": int(repository.backend),
        "revision_sha": build.source.revision_sha,
        "patch_id": build.source.patch_id,
        "branches": revision.branches,
        "commands": [described(each) for each in session.execute(mine).scalars()],
        "secrets": None,
    }


def described(each: Command) -> dict[str, Any]:
    return {
        "id": each.id.hex,
        "label": each.label,
        "script": each.script,
        "cwd": each.cwd,
        "env": each.env,
        "artifacts": each.artifacts,
        "type": int(each.type),
    }
