"""A build that makes a snapshot: the set-up of each plan, and an image of what it left."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from sqlalchemy.orm import Session

from changes.base import ids
from changes.base.errors import Invalid
from changes.builds import command_types, create, offers, planned
from changes.builds.command_types import SETUPS
from changes.builds.create import NewBuild
from changes.builds.implementations import DUMMY
from changes.builds.planned import PlannedJob
from changes.builds.recipes import DEFAULT_IMPLEMENTATION, written_out
from changes.builds.rules import Cause, CommandType, Priority
from changes.builds.snapshot_models import Snapshot, SnapshotImage
from changes.builds.snapshot_rules import SnapshotStatus
from changes.builds.terms import Terms
from changes.projects.models import Project, Source
from changes.projects.plan_options import SNAPSHOT_ALLOW

LABEL, TAG = "Create Snapshot", "snapshot"
EXTRA_MIN = 40
MAKING = (*SETUPS, CommandType.SNAPSHOT)
RUN = (*MAKING, CommandType.TEARDOWN)
TARGET_SHA_LENGTH = 12
# What each command gets from its step, now that all of them share one.
SHARED = ("path", "env", "artifacts")


def make(
    session: Session, project: Project, source: Source, *, asked_by: str = "", timeout_min: int
) -> Snapshot:
    """Raises Invalid where no plan has anything to set up."""
    plans = snapshottable(planned.jobs_of(session, project, source))
    if not plans:
        raise Invalid("No snapshottable plans associated with project.", ["project"])
    snapshot = Snapshot(
        id=ids.new(), project_id=project.id, source_id=source.id, status=SnapshotStatus.PENDING
    )
    images = [SnapshotImage(id=ids.new(), snapshot_id=snapshot.id, plan_id=each.plan.id) for each in plans]
    making = [of_plan(each, image) for each, image in zip(plans, images, strict=True)]
    build, jobs = create.create_planned(
        session, project, asked(source, asked_by=asked_by, timeout_min=timeout_min), making
    )
    snapshot.build_id = build.id
    for image, job in zip(images, jobs, strict=True):
        image.job_id = job.id
    session.add(snapshot)
    session.flush()
    session.add_all(images)
    session.flush()
    session.refresh(snapshot)
    return snapshot


def asked(source: Source, *, asked_by: str, timeout_min: int) -> NewBuild:
    return NewBuild(
        source=source,
        collection_id=ids.new(),
        label=LABEL,
        target=source.revision_sha[:TARGET_SHA_LENGTH],
        message="",
        author=source.revision.author,
        asked_by=asked_by,
        cause=Cause.SNAPSHOT,
        tags=[TAG],
        priority=Priority.HIGH,
        timeout_min=timeout_min + EXTRA_MIN,
    )


def snapshottable(plans: list[PlannedJob]) -> list[PlannedJob]:
    return [
        each
        for each in plans
        if each.plan.snapshot_plan_id is None
        and each.options.get(SNAPSHOT_ALLOW) != "0"
        and not each.problem
        and any(has_set_up(step) for step in each.steps)
    ]


def has_set_up(step: Mapping[str, Any]) -> bool:
    return step["implementation"] != DUMMY and any(kind_of(each) in MAKING for each in commands_of(step))


def commands_of(step: Mapping[str, Any]) -> list[Any]:
    """Of data that nobody has looked at yet."""
    commands = step["data"].get("commands") if isinstance(step["data"], dict) else None
    return [written_out(each) for each in commands] if isinstance(commands, list) else []


def kind_of(command: Any) -> CommandType | None:
    return command_types.named(command.get("type", "default")) if isinstance(command, dict) else None


def of_plan(plan: PlannedJob, image: SnapshotImage) -> PlannedJob:
    """One step that sets up what all steps of the plan need; nothing waits for it, or repeats it."""
    first = plan.steps[0]
    commands = [
        prepared(command, step)
        for step in plan.steps
        for command in commands_of(step)
        if kind_of(command) in RUN
    ]
    data = {**first["data"], "commands": commands, "snapshot": paths_of(plan), "cache": []}
    if data.get("timeout"):
        data["timeout"] += EXTRA_MIN
    step = {"implementation": first.get("implementation", DEFAULT_IMPLEMENTATION), "data": data, "order": 0}
    return replace(
        plan,
        steps=[step],
        terms=Terms(),
        title=f"{LABEL}: {plan.plan.label}",
        beside={offers.EXPECTED_SNAPSHOT: image.id.hex},
    )


def paths_of(plan: PlannedJob) -> list[str]:
    found = [path for step in plan.steps for path in step["data"].get("snapshot") or []]
    return list(dict.fromkeys(found))


def prepared(command: Mapping[str, Any], step: Mapping[str, Any]) -> dict[str, Any]:
    """Only in a build such as this one do commands of type snapshot run, as any other does."""
    data = step["data"]
    shared = {name: data[name] for name in SHARED if name in data}
    together = {**shared, **command, "artifacts": []}
    if isinstance(shared.get("env"), dict) and isinstance(command.get("env"), dict):
        together["env"] = {**shared["env"], **command["env"]}
    if kind_of(command) == CommandType.SNAPSHOT:
        together["type"] = CommandType.DEFAULT.name.lower()
    return together
