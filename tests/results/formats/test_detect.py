"""A report is read by what it holds, whatever it is called."""

import io

import pytest
from tests.results.formats import reports

from changes.results.formats import (
    ctest,
    detect,
    go_test,
    junit,
    nunit,
    results_json,
    robot,
    tap,
    trx,
    xunit_net,
)

FORMATS = {
    "pytest_real.xml": junit,
    "nunit2.xml": nunit,
    "nunit3.xml": nunit,
    "xunit_net2.xml": xunit_net,
    "visual_studio.trx": trx,
    "ctest_Test.xml": ctest,
    "robot_output.xml": robot,
    "robot6_merged_real.xml": robot,
    "robot_xunit.xml": junit,
    "surefire_real.xml": junit,
    "gotestsum_rerun_real.xml": junit,
    "perl.tap": tap,
    "node.tap": tap,
    "go_test.json": go_test,
    "review_queue.json": results_json,
}


def parser_of(data: bytes) -> detect.Parser | None:
    return detect.known_parser(io.BytesIO(data))


@pytest.mark.parametrize("name", FORMATS)
def test_each_format_is_known_by_its_beginning(name: str) -> None:
    assert parser_of((reports.CORPUS / name).read_bytes()) == FORMATS[name].parse


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_a_format_is_known_in_other_encodings(encoding: str) -> None:
    text = '<?xml version="1.0"?><!-- of ours --><TestRun/>'

    assert parser_of(text.encode(encoding)) == trx.parse


def test_a_long_comment_hides_no_format() -> None:
    assert parser_of(b"<!-- " + b"x" * 100_000 + b" --><robot/>") == robot.parse


@pytest.mark.parametrize(
    "data",
    [b"", b"<html>", b"<unheard-of/>", b"<broken", b"{}", b'{"a": 1}', b"[1]", b"all is well\n", b"\x00\xff"],
)
def test_what_is_no_report_is_not_taken_for_one(data: bytes) -> None:
    assert parser_of(data) is None


def test_the_stream_stays_where_it_was() -> None:
    stream = io.BytesIO(b"<testsuite/>")

    detect.known_parser(stream)

    assert stream.tell() == 0


def test_what_is_not_known_is_read_as_junit_and_refused_in_its_words() -> None:
    _, fault = reports.until_fault(b"Segmentation fault", "junit.xml")

    assert fault is not None
    assert "Start tag expected" in fault.cause
