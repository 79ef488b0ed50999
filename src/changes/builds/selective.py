"""Targets of Bazel that a change does not affect: not run, where it is known what they came to before."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from sqlalchemy import insert, select
from sqlalchemy.orm import Session

from changes.builds import terms
from changes.builds.bazel import ResultSource
from changes.builds.collected import Collected
from changes.builds.models import BazelTarget, Build, Job, JobPlan, JobStep
from changes.builds.rules import Result, Status
from changes.projects.models import Source

TAKEN_OVER = "It is not affected; this is its result in build #{number} of the commit below."


@dataclass(frozen=True)
class Known:
    """What a target came to in the build of the commit below."""

    result: Result
    duration_ms: int | None
    build_number: int


def of_output(session: Session, step: JobStep, found: Collected) -> tuple[Collected, Mapping[str, Known]]:
    """What is to be run, and what is taken over. An unaffected target of which nothing is known is run:
    nothing counts as good that nobody has seen.
    """
    if not found.unaffected:
        return found, {}
    frozen = session.execute(select(JobPlan).where(JobPlan.job_id == step.job_id)).scalar_one()
    if not terms.thawed(frozen.data).is_selective:
        return found, {}
    known = known_below(session, step, frozen, found.unaffected)
    return replace(found, names=[name for name in found.names if name not in known]), known


def known_below(session: Session, step: JobStep, plan: JobPlan, names: list[str]) -> dict[str, Known]:
    build = session.get_one(Build, plan.build_id)
    revision = build.source.revision
    sha = revision.sha if build.source.patch_id is not None else next(iter(revision.parents), None)
    if sha is None:
        return {}
    below = (
        select(Job.id, Build.number)
        .join(JobPlan, JobPlan.job_id == Job.id)
        .join(Build, Build.id == Job.build_id)
        .join(Source, Source.id == Build.source_id)
        .where(JobPlan.plan_id == plan.plan_id, Job.status == Status.FINISHED, Job.id != step.job_id)
        .where(Source.repository_id == build.source.repository_id)
        .where(Source.revision_sha == sha, Source.patch_id.is_(None))
    )
    job = session.execute(below.order_by(Job.id.desc()).limit(1)).first()
    if job is None:
        return {}
    targets = (
        select(BazelTarget.name, BazelTarget.result, BazelTarget.duration_ms)
        .where(BazelTarget.job_id == job.id, BazelTarget.name.in_(names))
        .where(BazelTarget.result.not_in([Result.UNKNOWN, Result.SKIPPED]))
        .order_by(BazelTarget.id)
    )
    # Of several attempts the newest comes last.
    return {row.name: Known(row.result, row.duration_ms, job.number) for row in session.execute(targets)}


def note(session: Session, step: JobStep, known: Mapping[str, Known]) -> None:
    rows = [
        {
            "job_id": step.job_id,
            "step_id": None,
            "name": name,
            "result": each.result,
            "source": ResultSource.FROM_PARENT,
            "duration_ms": each.duration_ms,
            "message": TAKEN_OVER.format(number=each.build_number),
        }
        for name, each in known.items()
    ]
    if rows:
        session.execute(insert(BazelTarget), rows)
