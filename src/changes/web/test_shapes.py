"""How tests look as JSON: the names and forms that clients of the original know."""

from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath
from uuid import UUID

from changes.builds.models import Build, JobStep
from changes.builds.rules import Result
from changes.results import run_numbers, test_files, testtree
from changes.results.against_base import FAILURES_MAX, FIXED_SHOWN, Compared, FixedTest
from changes.results.build_tests import NameOfBuild, RunOfBuild
from changes.results.flaky_days import FlakyDay, FlakyTest
from changes.results.formats import junit
from changes.results.history import RunOfTest
from changes.results.models import Artifact, LogSource, Test, TestBatch, TestRun
from changes.results.testgrid import Place, Turning
from changes.results.tests_of_project import DayOfTests, TestSums
from changes.results.testtree import Group
from changes.web import shapes
from changes.web.shapes import Json

# What a browser shows by itself, as the kinds of files of tests were called.
IMAGES, PAGES = {".png", ".jpg", ".jpeg", ".gif", ".webp"}, {".html", ".htm"}


def names(name: str) -> Json:
    return {"name": name, "package": junit.package_of(name), "shortName": testtree.short_name(name)}


def test_case(run: TestRun, test: Test, batch: TestBatch) -> Json:
    return {
        "id": run.outside_id.hex,
        "hash": test.name_sha,
        "job": {"id": batch.job_id.hex},
        "step": {"id": batch.step_id.hex},
        "project": {"id": batch.project_id.hex},
        **names(test.name),
        "owner": test.owner,
        "duration": run.duration_ms,
        "result": shapes.enum(run.result),
        "numRetries": run.reruns or 0,
        "dateCreated": shapes.when(run_numbers.made_at(run.id)),
    }


def of_build(each: RunOfBuild) -> Json:
    return test_case(each.run, each.test, each.batch)


def news(compared: Compared, named: Mapping[int, Test], fixed: Sequence[FixedTest]) -> Json:
    """Only so many failures of either build are compared; where there are more, that is told."""
    base = compared.base
    tests = [(named[test_id], kind) for test_id, kind in compared.news.items() if test_id in named]
    return {
        "base": {"id": base.id.hex, "number": base.number, "sha": base.sha} if base else None,
        "tests": [{"hash": test.name_sha, **names(test.name), "news": kind.value} for test, kind in tests],
        "fixed": [{"id": each.run_id.hex, **names(each.name)} for each in fixed],
        "comparedMax": FAILURES_MAX,
        "isCut": compared.is_cut,
        "failedInBase": compared.failed_before,
        "isFixedCut": compared.is_base_cut or len(fixed) == FIXED_SHOWN,
    }


def failing(each: RunOfBuild) -> Json:
    """As the short list of what did not pass has it: the result is only its name."""
    return {
        "name": each.test.name,
        "hash": each.test.name_sha,
        "result": Result(each.run.result).name.lower(),
        "job_id": each.batch.job_id.hex,
        "test_id": each.run.outside_id.hex,
        "shortName": testtree.short_name(each.test.name),
    }


def detailed(
    each: RunOfBuild, step: JobStep, message: str, left: tuple[Sequence[Artifact], LogSource | None]
) -> Json:
    """With what it said and what its step left behind."""
    files, log = left
    return {
        **of_build(each),
        "message": message,
        "step": shapes.job_step(step),
        "artifacts": [file_of_test(file) for file in files],
        "logSource": shapes.log_source(log) if log else None,
    }


def file_of_test(file: Artifact) -> Json:
    """What stood in the report has the name that it had there."""
    told = shapes.artifact(file)
    name = PurePosixPath(file.name).name if test_files.is_from_report(file.name) else file.name
    return {"id": told["id"], "name": name, "url": told["url"], "type": kind_of(file.name)}


def kind_of(name: str) -> Json:
    ending = PurePosixPath(name).suffix.lower()
    kind = "image" if ending in IMAGES else "html" if ending in PAGES else "text"
    return {"id": kind, "name": kind.capitalize()}


def generalized(project_id: UUID, name: str, sha: str, duration_ms: int | None) -> Json:
    return {"hash": sha, "project": {"id": project_id.hex}, "duration": duration_ms, **names(name)}


def test(each: Test, newest: RunOfTest | None, turned: Turning | None) -> Json:
    return {
        **generalized(each.project_id, each.name, each.name_sha, newest.duration_ms if newest else None),
        "owner": each.owner,
        "dateCreated": shapes.when(each.date_created),
        "lastRun": run_of_history(newest) if newest else None,
        "turning": turning(turned),
    }


def at_revision(each: Test, found: tuple[TestRun, TestBatch, Build] | None) -> Json | None:
    """With its build in full; None where it did not run."""
    if found is None:
        return None
    run, batch, build = found
    job = {"id": batch.job_id.hex, "build": shapes.build(build)}
    return {**test_case(run, each, batch), "job": job}


def group(each: Group, found: Mapping[str, NameOfBuild]) -> Json:
    """The id is that of a run, where it is a single test."""
    told = {"name": each.name, "path": each.path, "totalDuration": each.total_ms, "numTests": each.count}
    if each.only is None:
        return told
    only = found[each.only]
    return {**told, "id": only.run_id.hex, "hash": only.name_sha}


def counts(found: Mapping[Result, int]) -> dict[str, int]:
    return {result.name.lower(): found.get(result, 0) for result in Result}


def run_of_history(each: RunOfTest) -> Json:
    return {
        "id": each.id.hex,
        "result": shapes.enum(each.result),
        "duration": each.duration_ms,
        "numRetries": each.reruns,
        "build": {"id": each.build_id.hex, "number": each.number},
        "job": {"id": each.job_id.hex, "name": each.plan},
        "sha": each.sha,
        "branches": list(each.branches),
        "isCommit": each.is_of_commit,
        "dateCreated": shapes.when(each.date_created),
    }


def turning(each: Turning | None) -> Json | None:
    if each is None:
        return None
    return {
        "branch": each.branch,
        "isFailing": each.is_failing,
        "since": place(each.since),
        "before": place(each.before) if each.before else None,
    }


def place(each: Place) -> Json:
    return {"sha": each.sha, "build": {"number": each.number}}


def flaky_day(each: FlakyDay) -> Json:
    return {
        "date": each.day.isoformat(),
        "flaky_runs": each.flaky,
        "double_reruns": each.double_reruns,
        "passing_runs": each.passing,
    }


def flaky_test(each: FlakyTest, project_id: UUID) -> Json:
    numbers = flaky_day(each.of_day)
    del numbers["date"]
    return {
        "id": each.last.id.hex if each.last else None,
        "job_id": each.last.job_id.hex if each.last else None,
        "build_id": each.last.build_id.hex if each.last else None,
        "project_id": project_id.hex,
        "name": each.name,
        "short_name": testtree.short_name(each.name),
        "package": junit.package_of(each.name),
        "hash": each.name_sha,
        **numbers,
        "history": [flaky_day(day) for day in each.history],
    }


def day_of_tests(each: DayOfTests) -> Json:
    return {
        "date": each.day.isoformat(),
        "tests": each.tests,
        "runs": each.runs,
        "passed": each.passed,
        "failed": each.failed,
        "flaky": each.flaky,
        "duration": each.duration_ms,
    }


def sums_of_test(each: TestSums) -> Json:
    return {
        "hash": each.name_sha,
        **names(each.name),
        "owner": each.owner,
        "runs": each.runs,
        "passed": each.passed,
        "failed": each.failed,
        "flaky": each.flaky,
        "reruns": each.reruns,
        "duration": each.mean_ms,
        "longest": each.longest_ms,
        "lastFailed": each.last_failed.isoformat() if each.last_failed else None,
    }
