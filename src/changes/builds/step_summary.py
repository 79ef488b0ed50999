"""How many steps go on in each status: all of them, by cluster and by project, with the oldest of each."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.orm import Session

from changes.builds.original.configuration import DEFAULT_CPUS, DEFAULT_MEMORY_MB
from changes.builds.rules import Status

# Whatever has ended is counted elsewhere, and without end.
GOING_ON = frozenset(Status) - {Status.UNKNOWN, Status.FINISHED}
# In the order of time, because ids are. 3 is finished: by it the partial indexes are found.
COUNT = text("""
select
    grouping(step.cluster) = 0 as is_of_cluster, grouping(project.slug) = 0 as is_of_project,
    step.cluster, project.slug, step.status, count(*) as steps,
    min(step.date_created) as created, min(step.id::text) as oldest,
    sum(case when jsonb_typeof(step.data->'cpus') = 'number' then (step.data->>'cpus')::bigint
        else :cpus end) as cpus,
    sum(case when jsonb_typeof(step.data->'memory') = 'number' then (step.data->>'memory')::bigint
        else :memory_mb end) as memory_mb
from job_step step join project on project.id = step.project_id
where step.status <> 3 and step.status = any(:statuses)
group by grouping sets ((step.status), (step.status, step.cluster), (step.status, project.slug))
order by step.status
""")


@dataclass(frozen=True)
class Counted:
    status: Status
    count: int
    created: datetime
    oldest: UUID
    cpus: int
    memory_mb: int


@dataclass(frozen=True)
class Summary:
    """Steps without a cluster are counted under the empty name."""

    overall: list[Counted]
    by_cluster: dict[str, list[Counted]]
    by_project: dict[str, list[Counted]]


def count(session: Session, statuses: Collection[Status] = GOING_ON) -> Summary:
    given = {
        "statuses": [int(each) for each in statuses],
        "cpus": DEFAULT_CPUS,
        "memory_mb": DEFAULT_MEMORY_MB,
    }
    summary = Summary([], {}, {})
    for row in session.execute(COUNT, given):
        counted = Counted(
            Status(row.status), row.steps, row.created, UUID(row.oldest), int(row.cpus), int(row.memory_mb)
        )
        if row.is_of_cluster:
            summary.by_cluster.setdefault(row.cluster or "", []).append(counted)
        elif row.is_of_project:
            summary.by_project.setdefault(row.slug, []).append(counted)
        else:
            summary.overall.append(counted)
    return summary
