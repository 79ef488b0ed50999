"""Artifacts in, rows out: reads what a step left behind, then lets the step end."""

from collections.abc import Mapping
from dataclasses import replace
from uuid import UUID

from changes.base import db, events, storage
from changes.builds import expand, reasons, report, second_look, settle, told_phases
from changes.builds.collected import OUTPUT_MAX_BYTES
from changes.builds.models import JobStep
from changes.builds.reasons import Reason
from changes.builds.report import Problem
from changes.builds.rules import Result, Status
from changes.results import (
    artifacts,
    looked_again,
    quarantine,
    reading,
    report_files,
    shards,
    targets,
    testruns,
    told,
    vanished,
)
from changes.results.coverage import collecting as coverage
from changes.results.models import Artifact
from changes.results.reading import Read
from changes.results.test_files import is_from_report


def collect_step(step_id: UUID) -> None:
    """Reads without a transaction, then stores and ends the step in one. May run twice."""
    with db.transaction() as session:
        step = session.get(JobStep, step_id)
        if step is None or not is_wanted(step):
            return
        # Where it is done once more, what came out of a report is no report itself.
        left = [each for each in artifacts.of_step(session, step_id) if not is_from_report(each.name)]
        of_step = step.data
        source = coverage.begin(session, step, left)
        files = [found for found in left if found.name in {expand.file_of(step), told_phases.FILE}]
    read = reading.read(left, step_id, of_step)
    covered = coverage.look(source, left, of_step)
    texts = {found.name: text_of(found) for found in files}
    with db.transaction() as session:
        step = settle.lock_step(session, step_id)
        # It may have been cancelled or given up meanwhile, and what is over does not change any more.
        if step is None or not is_wanted(step):
            return
        names = quarantine.names_of(session, step.project_id)
        read = with_quarantine(read, names)
        if second_look.is_look(step):
            looked_again.note(session, step, read.tests)
        else:
            testruns.store(session, step, read.tests)
        in_vain = report_files.store(session, step, read.files)
        excused = quarantine.excused(session, step, read.tests, names, is_whole=not read.problems)
        problems = problems_of(session, step, read, texts, excused=excused)
        problems += coverage.end(session, step, covered, problems)
        for rows in read.for_others:
            events.announce(session, rows)
        if not looked_again.begins(session, step, read.tests, problems):
            report.results_collected(session, step_id, problems, excused=excused)
    for key in in_vain:
        storage.storage.get().delete(key)


def with_quarantine(read: Read, names: frozenset[str]) -> Read:
    by_report = {name: quarantine.applied(tests, names) for name, tests in read.by_report.items()}
    return replace(read, tests=quarantine.applied(read.tests, names), by_report=by_report)


def problems_of(
    session: db.Session, step: JobStep, read: Read, texts: Mapping[str, str], *, excused: int
) -> list[Problem]:
    problems = list(read.problems)
    failed = sum(test.result == "failed" for test in read.tests)
    if failed:
        problems.append(Problem(Reason(reasons.TEST_FAILURES, {"count": failed})))
    problems += shards.problems(session, step, read.tests)
    problems += vanished.problems(session, step, excused=excused)
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
    with reading.opened(artifact) as stream:
        return stream.read(OUTPUT_MAX_BYTES + 1).decode(errors="replace")


def is_wanted(step: JobStep | None) -> bool:
    """One that is looked at again was read before."""
    if step is None or second_look.is_checking(step):
        return False
    return step.status == Status.COLLECTING_RESULTS
