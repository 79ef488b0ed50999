"""What an agent is given with a step: from the row of the hand-out to the message. Pure."""

from typing import Any

from changes.builds import command_types
from changes.builds.rules import CommandType
from changes.projects.rules import RepositoryBackend
from changes.protocol import Checkout, CommandOffer, StepOffer


def offer(row: dict[str, Any]) -> StepOffer:
    return StepOffer(
        id=row["id"].hex,
        name=row["label"],
        project=row["slug"],
        build=row["build_id"].hex,
        checkout=checkout(row),
        other_checkouts=[
            Checkout(backend=each["backend"], url=each["url"], sha=each["revision"], path=each["path"])
            for each in row["data"].get("other_repos", [])
        ],
        commands=[command(each) for each in row["commands"] or []],
        env=environment(row),
        timeout_s=float(row["timeout_s"]),
    )


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


def resources(data: dict[str, Any]) -> dict[str, str]:
    """Only what the plan reserved; a command that adapts to it finds nothing where nothing is."""
    names = {"cpus": "CHANGES_CPUS", "memory": "CHANGES_MEMORY_MB", "release": "CHANGES_RELEASE"}
    return {variable: str(data[name]) for name, variable in names.items() if data.get(name)}
