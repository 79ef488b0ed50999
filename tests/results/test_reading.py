"""What becomes of a step by the files that it left behind: reports of any format, manifest, analytics."""

import json

import pytest
from sqlalchemy.orm import Session
from tests import factories
from tests.builds import agents
from tests.results.formats import reports

from changes.base import storage
from changes.builds import queries, reasons
from changes.builds.models import Build, JobStep
from changes.builds.rules import Result
from changes.results import collect, reading, rules, testruns
from changes.results.report_files import ReportFiles


@pytest.fixture
def build(session: Session) -> Build:
    return factories.a_build(session)


@pytest.fixture
def step(session: Session, build: Build) -> JobStep:
    return agents.a_taken_step(session, build)


def leave(session: Session, step: JobStep, files: dict[str, bytes]) -> None:
    for name, content in files.items():
        agents.leave_behind(session, step, content, name)
    agents.end(session, step)
    collect.collect_step(step.id)


def sentences(session: Session, build: Build) -> list[str]:
    found = queries.failures_of(session, [build.id])[build.id]
    return [reasons.sentence(each.reason, each.data) for each in found]


def test_reports_of_several_formats_are_read_beside_each_other(
    session: Session, build: Build, step: JobStep
) -> None:
    names = ["nunit2.xml", "xunit_net2.xml", "visual_studio.trx", "perl.tap", "review_queue.json"]
    wanted = ["nunit.xml", "a.xunit.xml", "a.trx", "a.tap", "results.json"]

    leave(
        session,
        step,
        {name: (reports.CORPUS / each).read_bytes() for name, each in zip(wanted, names, strict=True)},
    )

    counts = testruns.counts_of_build(session, build.id)
    assert counts == {Result.PASSED: 7, Result.FAILED: 9, Result.SKIPPED: 6}
    assert build.result == Result.FAILED


def test_a_report_that_the_step_names_is_read_whatever_it_is_called(
    session: Session, build: Build, step: JobStep
) -> None:
    step.data = {**step.data, "reports": ["out/*.log"]}

    leave(session, step, {"out/unit.log": b"1..1\nok 1 - adds\n"})

    assert testruns.counts_of_build(session, build.id) == {Result.PASSED: 1}


def test_a_file_of_a_doubtful_name_that_is_no_report_is_passed_over(
    session: Session, build: Build, step: JobStep
) -> None:
    leave(session, step, {"output.xml": b"<html/>", "results.json": b"[1]"})

    assert build.result == Result.PASSED
    assert sentences(session, build) == []


def test_a_doubtful_report_that_is_cut_fails_the_step_with_its_line(
    session: Session, build: Build, step: JobStep
) -> None:
    data = (reports.CORPUS / "robot_output.xml").read_bytes()

    leave(session, step, {"output.xml": data[:1500]})

    (sentence,) = sentences(session, build)
    assert sentence.startswith("An artifact could not be parsed: output.xml: line ")
    assert testruns.counts_of_build(session, build.id) == {Result.PASSED: 2}


def test_attempts_of_bazel_are_reruns_of_the_tests_beside_them(
    session: Session, build: Build, step: JobStep
) -> None:
    found = [
        (agents.leave_behind(session, step, agents.JUNIT, "a/junit.xml"), rules.Kind.REPORT),
    ]

    files = ReportFiles(storage.storage.get(), step.id)
    read = reading.read_reports(found, ["a/junit.xml", "a/test_attempts/attempt_1.xml"], files)

    assert [(test.name, test.reruns) for test in read.tests] == [("a.works", 1)]


def test_a_manifest_of_this_step_is_as_it_should_be(session: Session, build: Build, step: JobStep) -> None:
    leave(session, step, {"manifest.json": json.dumps({"job_step_id": step.id.hex}).encode()})

    assert build.result == Result.PASSED


def test_a_manifest_of_something_else_is_passed_over(session: Session, build: Build, step: JobStep) -> None:
    leave(session, step, {"manifest.json": b'{"name": "Shop", "display": "standalone"}'})

    assert build.result == Result.PASSED


@pytest.mark.parametrize("content", [b'{"job_step_id": "0123"}', b'{"job_step_id": ["a"]}', b"{", b""])
def test_a_manifest_of_another_step_is_a_failure_of_the_machine(
    session: Session, build: Build, step: JobStep, content: bytes
) -> None:
    agents.leave_behind(session, step, content, "manifest.json")
    agents.end(session, step)

    collect.collect_step(step.id)

    assert step.result == Result.INFRA_FAILED
    assert agents.reasons_of(session, build.id) == [reasons.MALFORMED_MANIFEST]


def test_analytics_that_are_as_they_should_be_are_kept(session: Session, build: Build, step: JobStep) -> None:
    leave(session, step, {"CHANGES_ANALYTICS.json": b'{"table": "DRY_RUN:x", "entries": [{"a": 1}]}'})

    assert build.result == Result.PASSED


@pytest.mark.parametrize(
    ("content", "cause"),
    [
        (b"[]", "it must be a JSON object"),
        (b'{"table": "", "entries": []}', "table must be the name of a table"),
        (b'{"table": "x"}', "entries must be a list"),
        (b'{"table": "x", "entries": [1]}', "entry 1 is no object"),
        (b'{"table": "x", "entries": [' + b"{}," * 5000 + b"{}]}", "there are 5001 entries; at most 5000"),
    ],
)
def test_malformed_analytics_fail_the_step_in_words(
    session: Session, build: Build, step: JobStep, content: bytes, cause: str
) -> None:
    leave(session, step, {"a.CHANGES_ANALYTICS.json": content})

    (sentence,) = sentences(session, build)
    assert cause in sentence
    assert build.result == Result.FAILED
