"""What an agent is given with a step: from the row of the hand-out to the message. Pure, but for the
key of the server that makes the step's token.
"""

import base64
import logging
from typing import Any

from changes.base import process
from changes.base.secrets import Unreadable
from changes.builds import command_types, housing, keeping_said, step_tokens
from changes.builds.rules import CommandType
from changes.projects import secrets
from changes.projects.rules import RepositoryBackend
from changes.protocol import Checkout, CommandOffer, SnapshotOffer, StepOffer

# Beside a step: the image it begins with, or the one that it makes.
IMAGE, EXPECTED_SNAPSHOT = "snapshot_image", "expected_snapshot"
# The snapshot of that image; empty where its project has one, and its plan no image of it.
BEGINS_WITH = "begins_with"

log = logging.getLogger(__name__)


def offer(row: dict[str, Any]) -> StepOffer:
    token = step_tokens.make(row["id"])
    return StepOffer(
        id=row["id"].hex,
        token=token,
        name=row["label"],
        project=row["slug"],
        build=row["build_id"].hex,
        checkout=checkout(row),
        other_checkouts=[
            Checkout(backend=each["backend"], url=each["url"], sha=each["revision"], path=each["path"])
            for each in row["data"].get("other_repos", [])
        ],
        commands=[command(each) for each in row["commands"] or []],
        env={**environment(row), **for_commands(row["data"], token)},
        timeout_s=float(row["timeout_s"]),
        trusted=row["is_trusted"],
        sandbox=row["data"].get("sandbox") or "",
        image=row["data"].get("image") or "",
        network=row["data"].get("network"),
        limits=housing.limits_of(row["data"]),
        secrets=secrets_of(row),
        caches=keeping_said.caches_of(row["data"]),
        **snapshots_of(row["data"]),
    )


def secrets_of(row: dict[str, Any]) -> dict[str, str]:
    """Those that the plan names; who is not trusted gets none, whatever the row holds."""
    if not row["is_trusted"] or not row["secrets"]:
        return {}
    if row["data"].get(EXPECTED_SNAPSHOT):
        # What is set up with them would be there for everybody who begins with the image.
        return {}
    sealed = [(each["name"], base64.b64decode(each["sealed"])) for each in row["secrets"]]
    try:
        return secrets.opened(row["project_id"], sealed)
    except Unreadable:
        # The step is handed out already; it fails for want of its variables, and this says why.
        log.exception("The secrets of %s cannot be opened.", row["slug"])
        return {}


def snapshots_of(data: dict[str, Any]) -> dict[str, Any]:
    """What it begins with, or what it is to make."""
    image = data.get(IMAGE)
    return {
        "snapshot": SnapshotOffer(**image) if image else None,
        "expected_snapshot": data.get(EXPECTED_SNAPSHOT, ""),
        "snapshot_paths": data.get("snapshot") or [],
    }


def checkout(row: dict[str, Any]) -> Checkout | None:
    backend = RepositoryBackend(row["backend"])
    if backend == RepositoryBackend.UNKNOWN or row["data"].get("checkout") is False:
        return None
    return Checkout(
        backend="git" if backend == RepositoryBackend.GIT else "hg",
        url=row["url"],
        sha=row["revision_sha"],
        path=row["data"].get("checkout_folder", "source"),
        has_patch=row["patch_id"] is not None,
        depth=row["data"].get("depth", 0),
        sparse=row["data"].get("sparse", []),
        submodules=row["data"].get("submodules", False),
        lfs=row["data"].get("lfs", False),
    )


def command(each: dict[str, Any]) -> CommandOffer:
    kind = CommandType(each["type"])
    return CommandOffer(
        id=each["id"],
        name=each["label"],
        script=each["script"],
        cwd=each["cwd"],
        env=each["env"],
        artifacts=each["artifacts"],
        type=kind.name.lower(),
        captures_output=command_types.is_collector(kind),
    )


def environment(row: dict[str, Any]) -> dict[str, str]:
    """What every command may rely on, besides what its plan sets."""
    branches = row["branches"] or []
    return {
        "CHANGES": "1",
        "CHANGES_PROJECT": row["slug"],
        "CHANGES_BUILD_ID": row["build_id"].hex,
        "CHANGES_BUILD_NUMBER": str(row["number"]),
        "CHANGES_JOB_ID": row["job_id"].hex,
        "CHANGES_JOB_NAME": row["job_label"],
        "CHANGES_STEP_ID": row["id"].hex,
        "CHANGES_STEP_NAME": row["label"],
        "CHANGES_ATTEMPT": str(row["attempt"]),
        "CHANGES_SHA": row["revision_sha"],
        "CHANGES_TARGET": row["target"],
        "CHANGES_BRANCH": branches[0] if branches else "",
        "CHANGES_PATCH": "1" if row["patch_id"] is not None else "",
        "CHANGES_REPO_URL": row["url"],
        "CHANGES_REPO_VCS": RepositoryBackend(row["backend"]).name.lower(),
        "CHANGES_CLUSTER": row["cluster"] or "",
        **resources(row["data"]),
        # As the original's jobs on Jenkins knew them.
        "CHANGES_PID": row["slug"],
        "CHANGES_BID": row["id"].hex,
    }


def for_commands(data: dict[str, Any], token: str) -> dict[str, str]:
    """The token of the step, and where it is good, only if the plan wants its commands to have it."""
    if not data.get("step_token"):
        return {}
    return {"CHANGES_STEP_TOKEN": token, "CHANGES_SERVER": process.settings.get().base_url}


def resources(data: dict[str, Any]) -> dict[str, str]:
    """Only what the plan reserved; a command that adapts to it finds nothing where nothing is."""
    names = {"cpus": "CHANGES_CPUS", "memory": "CHANGES_MEMORY_MB", "release": "CHANGES_RELEASE"}
    return {variable: str(data[name]) for name, variable in names.items() if data.get(name)}
