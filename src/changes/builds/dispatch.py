"""Hands steps to agents: the only place that moves pending_allocation to allocated.

Plain SQL on an async connection, because every free slot of every agent waits here.
One statement takes the steps and reads all that is needed to run them.
"""

from typing import Any
from uuid import UUID

from psycopg import AsyncConnection
from psycopg.rows import dict_row

from changes.builds.rules import CommandType, Status
from changes.projects.rules import RepositoryBackend
from changes.protocol import Checkout, CommandOffer, StepOffer

TAKE = """
with free as (
    select id from job_step
    where status = %(pending)s and (cluster is null or cluster = any(%(clusters)s::text[]))
    order by priority desc, id
    limit %(count)s
    for update skip locked
), taken as (
    update job_step set status = %(allocated)s, node_id = %(node_id)s, last_heartbeat = now()
    from free where job_step.id = free.id
    returning job_step.id
)
select
    step.id, step.label, step.timeout_s, step.data,
    job.id as job_id, job.label as job_label,
    build.id as build_id, build.number, build.target,
    project.slug, repository.url, repository.backend, source.revision_sha, source.patch_id, revision.branches,
    (
        select json_agg(json_build_object(
            'id', replace(command.id::text, '-', ''), 'label', command.label, 'script', command.script,
            'cwd', command.cwd, 'env', command.env, 'artifacts', command.artifacts, 'type', command.type
        ) order by command.order)
        from command where command.step_id = step.id
    ) as commands
from taken join job_step step on step.id = taken.id
join job on job.id = step.job_id
join build on build.id = job.build_id
join project on project.id = build.project_id
join source on source.id = build.source_id
join repository on repository.id = source.repository_id
join revision on revision.repository_id = source.repository_id and revision.sha = source.revision_sha
order by step.priority desc, step.id
"""


async def take_steps(
    connection: AsyncConnection[Any], *, node_id: UUID, clusters: list[str], count: int
) -> list[StepOffer]:
    """At most `count` steps, never one that another agent gets too."""
    async with connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(
            TAKE,
            {
                "pending": int(Status.PENDING_ALLOCATION),
                "allocated": int(Status.ALLOCATED),
                "node_id": node_id,
                "clusters": clusters,
                "count": count,
            },
        )
        return [offer(row) for row in await cursor.fetchall()]


def offer(row: dict[str, Any]) -> StepOffer:
    return StepOffer(
        id=row["id"].hex,
        name=row["label"],
        project=row["slug"],
        build=row["build_id"].hex,
        checkout=checkout(row),
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
        captures_output=kind.name.startswith("COLLECT_"),
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
        "CHANGES_SHA": row["revision_sha"],
        "CHANGES_TARGET": row["target"],
        "CHANGES_BRANCH": branches[0] if branches else "",
    }
