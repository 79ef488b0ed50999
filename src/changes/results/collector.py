"""Plays the role of `builds.collectors.ResultCollector`."""

from collections.abc import Collection
from uuid import UUID

from changes.base import jobs
from changes.base.db import Session
from changes.builds import expand, told_phases
from changes.builds.models import JobStep
from changes.results import artifacts, rules, shards, statistics, tasks
from changes.results.original_store import buckets

# Agents of the original close theirs after their last report, unless their store failed them before.
BUCKET_CLOSES_WITHIN_S = 30


class ArtifactCollector:
    def collect(self, session: Session, step: JobStep) -> bool:
        if buckets.is_open(session, step.id):
            # The end of its log is on its way; closing the bucket brings this forward.
            jobs.enqueue(session, tasks.collect_step, step.id, due_in_s=BUCKET_CLOSES_WITHIN_S)
            return True
        if not is_anything_to_read(session, step):
            return False
        jobs.enqueue(session, tasks.collect_step, step.id)
        return True

    def leave_out(self, session: Session, step_ids: Collection[UUID]) -> None:
        statistics.leave_out(session, step_ids)


def is_anything_to_read(session: Session, step: JobStep) -> bool:
    """Also where nothing is left of what should have been: then that is what is found."""
    names = [artifact.name for artifact in artifacts.of_step(session, step.id)]
    of_ours = {expand.file_of(step), told_phases.FILE}
    return (
        any(name in of_ours or rules.is_report(name, step.data) for name in names)
        or "targets" in step.data
        or shards.must_report(session, step)
    )
