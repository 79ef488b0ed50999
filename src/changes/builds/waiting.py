"""What an unfinished build waits for, and what its earlier attempts suffered from."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from changes.builds.models import Build, FailureReason, Job, JobStep, Node
from changes.builds.rules import Status

READING = "What its steps left behind waits to be read by a worker."


@dataclass(frozen=True)
class Offered:
    """The clusters of all agents that were heard of within this time; one may be in none."""

    clusters: Sequence[Collection[str]]
    within_s: int


def sentence(session: Session, build: Build, *, silence_s: int) -> str | None:
    """None while an agent works on it, or when it has ended."""
    if build.is_finished:
        return None
    steps = select(JobStep.status, JobStep.cluster).join(Job).where(Job.build_id == build.id)
    unfinished = [
        (row.status, row.cluster)
        for row in session.execute(steps.where(JobStep.status != Status.FINISHED).distinct())
    ]
    return decide(unfinished, offered(session, silence_s))


def decide(unfinished: Sequence[tuple[Status, str | None]], agents: Offered) -> str | None:
    """The steps that wait for an agent matter most: somebody may have to do something."""
    wanted = [cluster for status, cluster in unfinished if status == Status.PENDING_ALLOCATION]
    if wanted and not agents.clusters:
        return f"No agent was heard of within {agents.within_s} seconds: start one with `changes agent`."
    known = {cluster for clusters in agents.clusters for cluster in clusters}
    missing = sorted({cluster for cluster in wanted if cluster is not None and cluster not in known})
    if missing:
        return f"No agent offers the cluster {', '.join(missing)} now."
    if wanted:
        return "It waits for a free slot of an agent."
    if any(status == Status.COLLECTING_RESULTS for status, _ in unfinished):
        return READING
    return None


def offered(session: Session, silence_s: int) -> Offered:
    since = func.now() - timedelta(seconds=silence_s)
    live = select(Node.labels).where(Node.date_last_seen > since, Node.token_digest.is_not(None))
    return Offered([clusters_of(labels) for labels in session.execute(live).scalars()], silence_s)


def clusters_of(labels: Mapping[str, str]) -> list[str]:
    return [name for name in labels.get("cluster", "").split(",") if name]


def lost_attempts(session: Session, build_id: UUID) -> Sequence[FailureReason]:
    """Why steps of this build had to be made again; none of it counts as a failure of the build."""
    replaced = JobStep.replacement_id.is_not(None)
    found = select(FailureReason).join(JobStep, JobStep.id == FailureReason.step_id)
    mine = found.where(FailureReason.build_id == build_id, replaced).order_by(FailureReason.id)
    return session.execute(mine).scalars().all()
