"""Artifacts in, rows out: reads what a step left behind, then lets the step end."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import BinaryIO, cast
from uuid import UUID

from changes.base import db, storage
from changes.base.errors import NotFound
from changes.base.process import settings
from changes.builds import reasons, report, settle
from changes.builds.models import JobStep
from changes.builds.reasons import Reason
from changes.builds.report import Problem
from changes.builds.rules import Status
from changes.results import artifacts, rules, testruns
from changes.results.formats import junit
from changes.results.formats.junit import TestSeen
from changes.results.models import Artifact

IN_MEMORY_MAX_BYTES = 16 * 1024 * 1024


@dataclass(frozen=True)
class Read:
    """What one or several reports said, and what was wrong with them."""

    tests: list[TestSeen]
    problems: list[Problem]


def collect_step(step_id: UUID) -> None:
    """Reads without a transaction, then stores and ends the step in one. May run twice."""
    with db.transaction() as session:
        if not is_wanted(session.get(JobStep, step_id)):
            return
        reports = [found for found in artifacts.of_step(session, step_id) if rules.is_junit(found.name)]
    read = read_reports(reports)
    with db.transaction() as session:
        step = settle.lock_step(session, step_id)
        # It may have been cancelled or given up meanwhile, and what is over does not change any more.
        if step is None or not is_wanted(step):
            return
        testruns.store(session, step, read.tests)
        failed = sum(test.result == "failed" for test in read.tests)
        problems = list(read.problems)
        if failed:
            problems.append(Problem(Reason(reasons.TEST_FAILURES, {"count": failed})))
        report.results_collected(session, step_id, problems)


def is_wanted(step: JobStep | None) -> bool:
    return step is not None and step.status == Status.COLLECTING_RESULTS


def read_reports(found: list[Artifact]) -> Read:
    tests: list[TestSeen] = []
    problems: list[Problem] = []
    limits = junit.Limits(text_chars=settings.get().test_message_max_len)
    for artifact in found:
        try:
            with opened(artifact) as stream:
                # One by one: what was read before a fault is kept.
                for test in junit.parse(stream, limits=limits):
                    tests.append(test)  # noqa: PERF402
        except junit.Malformed as error:
            facts = {"name": artifact.name, "message": str(error)}
            problems.append(Problem(Reason(reasons.MALFORMED_ARTIFACT, facts)))
        except NotFound as error:
            facts = {"name": artifact.name, "message": error.message}
            problems.append(Problem(Reason(reasons.MALFORMED_ARTIFACT, facts)))
    return Read(junit.merge_duplicates(tests), problems)


@contextmanager
def opened(artifact: Artifact) -> Iterator[BinaryIO]:
    """The whole file, in memory while small and on disk when not."""
    with tempfile.SpooledTemporaryFile(max_size=IN_MEMORY_MAX_BYTES) as stream:
        for chunk in bytes_of(artifact):
            stream.write(chunk)
        stream.seek(0)
        yield cast("BinaryIO", stream)


def bytes_of(artifact: Artifact) -> Iterator[bytes]:
    return storage.storage.get().read(artifact.key)
