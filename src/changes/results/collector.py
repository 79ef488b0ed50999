"""Plays the role of `builds.collectors.ResultCollector`."""

from changes.base import jobs
from changes.base.db import Session
from changes.builds.models import JobStep
from changes.results import artifacts, rules, tasks


class ArtifactCollector:
    def collect(self, session: Session, step: JobStep) -> bool:
        if not any(rules.is_junit(artifact.name) for artifact in artifacts.of_step(session, step.id)):
            return False
        jobs.enqueue(session, tasks.collect_step, step.id)
        return True
