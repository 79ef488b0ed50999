"""Artifacts in, rows out: reads what a step left behind, then lets the step end."""

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import BinaryIO, cast
from uuid import UUID

from changes.base import db, storage
from changes.base.errors import NotFound
from changes.base.process import settings
from changes.builds import expand, reasons, report, settle, told_phases
from changes.builds.collected import OUTPUT_MAX_BYTES
from changes.builds.models import JobStep
from changes.builds.reasons import Reason
from changes.builds.report import Problem
from changes.builds.rules import Result, Status
from changes.results import artifacts, rules, shards, targets, testruns, told
from changes.results.formats import junit
from changes.results.formats.junit import TestSeen
from changes.results.models import Artifact

IN_MEMORY_MAX_BYTES = 16 * 1024 * 1024


@dataclass(frozen=True)
class Read:
    """What one or several reports said, and what was wrong with them."""

    tests: list[TestSeen]
    problems: list[Problem]
    # The same tests by the name of their report.
    by_report: dict[str, list[TestSeen]] = field(default_factory=dict)


def collect_step(step_id: UUID) -> None:
    """Reads without a transaction, then stores and ends the step in one. May run twice."""
    with db.transaction() as session:
        step = session.get(JobStep, step_id)
        if step is None or not is_wanted(step):
            return
        left = artifacts.of_step(session, step_id)
        reports = [found for found in left if rules.is_report(found.name, step.data)]
        files = [found for found in left if found.name in {expand.file_of(step), told_phases.FILE}]
    read = read_reports(reports)
    texts = {found.name: text_of(found) for found in files}
    with db.transaction() as session:
        step = settle.lock_step(session, step_id)
        # It may have been cancelled or given up meanwhile, and what is over does not change any more.
        if step is None or not is_wanted(step):
            return
        testruns.store(session, step, read.tests)
        report.results_collected(session, step_id, problems_of(session, step, read, texts))


def problems_of(session: db.Session, step: JobStep, read: Read, texts: Mapping[str, str]) -> list[Problem]:
    problems = list(read.problems)
    failed = sum(test.result == "failed" for test in read.tests)
    if failed:
        problems.append(Problem(Reason(reasons.TEST_FAILURES, {"count": failed})))
    problems += shards.problems(session, step, read.tests)
    problems += targets.record(session, step, read.by_report)
    if told_phases.FILE in texts:
        problems += told.record(step, texts[told_phases.FILE])
    name = expand.file_of(step)
    if name is not None and name in texts and step.result == Result.PASSED:
        why = expand.from_text(session, step, texts[name], name)
        problems += [Problem(why)] if why else []
    return problems


def text_of(artifact: Artifact) -> str:
    """One byte more than is allowed, so that the reader sees that it is too much."""
    with opened(artifact) as stream:
        return stream.read(OUTPUT_MAX_BYTES + 1).decode(errors="replace")


def is_wanted(step: JobStep | None) -> bool:
    return step is not None and step.status == Status.COLLECTING_RESULTS


def read_reports(found: list[Artifact]) -> Read:
    tests: list[TestSeen] = []
    problems: list[Problem] = []
    by_report: dict[str, list[TestSeen]] = {}
    limits = junit.Limits(text_chars=settings.get().test_message_max_len)
    for artifact in found:
        mine = by_report.setdefault(artifact.name, [])
        try:
            with opened(artifact) as stream:
                # One by one: what was read before a fault is kept.
                for test in junit.parse(stream, limits=limits):
                    mine.append(test)
        except junit.Malformed as error:
            facts = {"name": artifact.name, "message": str(error)}
            problems.append(Problem(Reason(reasons.MALFORMED_ARTIFACT, facts)))
        except NotFound as error:
            facts = {"name": artifact.name, "message": error.message}
            problems.append(Problem(Reason(reasons.MALFORMED_ARTIFACT, facts)))
        tests += mine
    return Read(junit.merge_duplicates(tests), problems, by_report)


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
