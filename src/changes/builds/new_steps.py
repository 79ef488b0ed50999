"""Rows of new steps and their commands. Inserted in bulk: nobody needs them as objects."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session

from changes.base import db, ids
from changes.base.db import Base
from changes.builds.models import Build, Command, JobStep
from changes.builds.recipes import CommandRecipe
from changes.builds.rules import Origin, Status


@dataclass(frozen=True)
class NewStep:
    """An attempt at one piece of work. Commands have their places among those of the plan."""

    job_id: UUID
    phase_id: UUID
    label: str
    status: Status
    timeout_s: int
    commands: Sequence[tuple[int, CommandRecipe]]
    cluster: str | None = None
    data: dict[str, Any] = field(default_factory=dict)
    # More than the first where a collecting step named the same again (set_aside.py).
    attempt: int = 1
    origin: Origin = Origin.FIRST
    id: UUID = field(default_factory=ids.new)


def insert_steps(session: Session, build: Build, new: Sequence[NewStep]) -> None:
    for model, written in rows_of_steps(build, new):
        db.insert_rows(session, model, written)


def rows_of_steps(build: Build, new: Sequence[NewStep]) -> list[tuple[type[Base], list[dict[str, Any]]]]:
    commands = [row for each in new for row in rows_of_commands(each)]
    return [(JobStep, [row_of(each, build) for each in new]), (Command, commands)]


def row_of(new: NewStep, build: Build) -> dict[str, Any]:
    return {
        "id": new.id,
        "job_id": new.job_id,
        "phase_id": new.phase_id,
        "project_id": build.project_id,
        "label": new.label,
        "attempt": new.attempt,
        "origin": new.origin,
        "status": new.status,
        "cluster": new.cluster,
        "priority": build.priority,
        "timeout_s": new.timeout_s,
        "queue_limit_s": build.queue_limit_s,
        "data": new.data,
    }


def rows_of_commands(new: NewStep) -> list[dict[str, Any]]:
    return [
        {
            "step_id": new.id,
            "label": command.label,
            "script": command.script,
            "cwd": command.cwd,
            "env": dict(command.env),
            "artifacts": command.artifacts,
            "order": place,
            "type": command.type,
        }
        for place, command in new.commands
    ]
