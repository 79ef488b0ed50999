"""Files that a step left behind, read into tests and into what is wrong with them. Without a transaction."""

import tempfile
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, BinaryIO, cast
from uuid import UUID

from changes.base import storage
from changes.base.errors import NotFound
from changes.base.process import settings
from changes.builds import reasons
from changes.builds.reasons import Reason
from changes.builds.report import Problem
from changes.builds.rules import Result
from changes.results import rules
from changes.results.events import AnalyticsKept
from changes.results.formats import analytics, detect, manifest
from changes.results.formats.seen import Limits, Malformed, TestSeen, TextBudget, merge_duplicates
from changes.results.models import Artifact
from changes.results.report_files import KeptFile, ReportFiles
from changes.results.rules import Kind

IN_MEMORY_MAX_BYTES = 16 * 1024 * 1024


@dataclass(frozen=True)
class Read:
    """What one or several reports said, and what was wrong with them."""

    tests: list[TestSeen]
    problems: list[Problem]
    # The same tests by the name of their report.
    by_report: dict[str, list[TestSeen]] = field(default_factory=dict)
    # Rows for tables of somebody else's that may be sent on.
    for_others: list[AnalyticsKept] = field(default_factory=list)
    # What stood in the reports, and lies in the store by now.
    files: Sequence[KeptFile] = ()


def read(left: Sequence[Artifact], step_id: UUID, of_step: Mapping[str, Any]) -> Read:
    """All of what a step left behind that is read by its name."""
    wanted = [(found, kind) for found in left if (kind := rules.kind_of(found.name, of_step))]
    reports = [(found, kind) for found, kind in wanted if kind in {Kind.REPORT, Kind.DOUBTFUL_REPORT}]
    files = ReportFiles(storage.storage.get(), step_id)
    result = read_reports(reports, [found.name for found in left], files)
    for found, kind in wanted:
        if kind == Kind.ANALYTICS:
            look_at_analytics(found, result)
        elif kind == Kind.MANIFEST:
            result.problems.extend(wrong_manifest(found, step_id))
    return result


def read_reports(found: Sequence[tuple[Artifact, Kind]], names: Collection[str], files: ReportFiles) -> Read:
    problems: list[Problem] = []
    by_report: dict[str, list[TestSeen]] = {}
    limits = Limits(text_chars=settings.get().test_message_max_len)
    budget, left = TextBudget(limits), limits.tests
    for artifact, kind in found:
        mine: list[TestSeen] = []
        wrong: list[str] = []
        try:
            with opened(artifact) as stream:
                if kind == Kind.DOUBTFUL_REPORT and detect.known_parser(stream) is None:
                    continue
                # One by one: what was read before a fault is kept.
                for test in detect.parse(stream, artifact.name, limits=replace(limits, tests=left)):
                    says = test.message or test.files
                    mine.append(budget.cut(without_files(test, files, wrong)) if says else test)
        except (Malformed, NotFound) as error:
            problems.append(malformed(artifact, str(error)))
        left -= len(mine)
        problems += [malformed(artifact, each) for each in wrong[:1]]
        reruns = rules.attempts_before(artifact.name, names)
        by_report[artifact.name] = [with_reruns(test, reruns) for test in merge_duplicates(mine)]
    tests = [test for tests in by_report.values() for test in tests]
    return Read(merge_duplicates(tests), problems, by_report, files=list(files.kept.values()))


def without_files(test: TestSeen, files: ReportFiles, wrong: list[str]) -> TestSeen:
    """They are put into the store; what could not be read of them is added to `wrong`."""
    if not test.files:
        return test
    plain, fault = files.take(test)
    if fault:
        wrong.append(fault)
    return plain


def with_reruns(test: TestSeen, reruns: int) -> TestSeen:
    return test._replace(reruns=max(test.reruns, reruns)) if reruns else test


def wrong_manifest(artifact: Artifact, step_id: UUID) -> list[Problem]:
    """Files of another step, or cut off on their way: the fault of a machine, not of the change."""
    wrong = Problem(Reason(reasons.MALFORMED_MANIFEST), Result.INFRA_FAILED)
    try:
        with opened(artifact) as stream:
            said = manifest.step_id_in(stream)
    except (Malformed, NotFound):
        return [wrong]
    return [] if said is None or said.replace("-", "").lower() == step_id.hex else [wrong]


def look_at_analytics(artifact: Artifact, result: Read) -> None:
    known = settings.get().analytics_project_tables
    try:
        with opened(artifact) as stream:
            found = analytics.read(stream)
        if not found.is_dry_run:
            analytics.check_table(found, known)
            result.for_others.append(AnalyticsKept(artifact.id, found.table))
    except (Malformed, NotFound) as error:
        result.problems.append(malformed(artifact, str(error)))


def malformed(artifact: Artifact, message: str) -> Problem:
    return Problem(Reason(reasons.MALFORMED_ARTIFACT, {"name": artifact.name, "message": message}))


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
