"""Every parser over broken, hostile and random bytes: tests or a named fault, and never anything else."""

import contextlib
import io
import json
from collections.abc import Callable
from typing import BinaryIO

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.results.formats import reports

from changes.results.formats import analytics, manifest, seen

XML_ROOTS = ["testsuites", "test-results", "test-run", "assemblies", "TestRun", "Site", "robot"]
# An element that is a test, and one that holds text, in each format.
TESTS = {
    "testsuites": ("testcase", 'name="{}"'),
    "test-results": ("test-case", 'executed="True" success="True" name="{}"'),
    "test-run": ("test-case", 'result="Passed" fullname="{}"'),
    "assemblies": ("test", 'result="Pass" name="{}"'),
    "TestRun": ("UnitTestResult", 'outcome="Passed" testName="{}"'),
    "robot": ("test", 'name="{}"'),
}
XML_PIECES = st.sampled_from(
    [
        *(f"<{root}>" for root in XML_ROOTS),
        *(f"</{root}>" for root in XML_ROOTS),
        "<testsuite name='pytest'>",
        "</testsuite>",
        "<testcase name='a'>",
        "<testcase name=''/>",
        "</testcase>",
        "<error>",
        "</error>",
        "<failure message='m'>",
        "</failure>",
        "<property name='go.version'/>",
        "<test-artifacts>",
        "</test-artifacts>",
        "<artifact name='../x' type='image' base64='QQ=='/>",
        "<test-suite site='TearDown' result='Failed'>",
        "</test-suite>",
        "<test-case>",
        "</test-case>",
        "<test-case fullname='a.b' result='Passed'/>",
        "<message>",
        "</message>",
        "<stack-trace>",
        "</stack-trace>",
        "<errors>",
        "</errors>",
        "<test name='a' result='Pass'>",
        "</test>",
        "<reason>",
        "</reason>",
        "<UnitTestResult testName='a'>",
        "</UnitTestResult>",
        "<TestMethod className='a,b'/>",
        "<Message>",
        "</Message>",
        "<Test Status='failed'>",
        "<Test>",
        "</Test>",
        "<Name>",
        "</Name>",
        "<Value encoding='base64'>",
        "</Value>",
        "<Measurement>",
        "</Measurement>",
        "<NamedMeasurement name='Execution Time'>",
        "</NamedMeasurement>",
        "<suite name='a'>",
        "</suite>",
        "<status status='PASS' elapsed='1'>",
        "</status>",
        "<![CDATA[",
        "]]>",
        "&amp;",
        "&e;",
        "<!--",
        "-->",
        "<!DOCTYPE a [<!ENTITY e 'x'>]>",
        "text\n",
        "eJw=",
    ]
)
TAP_PIECES = st.sampled_from(
    [
        "TAP version 14\n",
        "1..2\n",
        "1..0\n",
        "ok 1 - a\n",
        "not ok 2 - b # TODO x\n",
        "    ok 1\n",
        "        not ok\n",
        "  ---\n",
        "  duration_ms: 1.5\n",
        "  ...\n",
        "# Subtest: a\n",
        "# diag\n",
        "Bail out! no\n",
        "pragma +strict\n",
        "noise\n",
        "ok\0\n",
        "ok",
        "    1..1\n",
        "\r\n",
    ]
)
GO_PIECES = st.sampled_from(
    [
        '{"Action":"run","Package":"p","Test":"T"}\n',
        '{"Action":"pass","Package":"p","Test":"T","Elapsed":1e300}\n',
        '{"Action":"fail","Package":"p","Test":"T","Elapsed":-1}\n',
        '{"Action":"fail","Package":"p"}\n',
        '{"Action":"output","Package":"p","Test":"T","Output":"\\u0000"}\n',
        '{"Action":"fail","Package":"p","Test":"T"}\n',
        '{"Action":"build-output","ImportPath":"p","Output":"x"}\n',
        "noise\n",
        '{"Action":',
        "FAIL\tp [build failed]\n",
        '{"Action":"skip","Package":"","Test":"T"}\n',
        '{"Action":null}\n',
    ]
)
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["tests", "returncode", "suite", "test", "duration", "output", "x"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)
NAMES = st.sampled_from(["junit.xml", "a.tap", "a.trx", "gotest.json", "results.json", ""])


def check(data: bytes, name: str = "") -> None:
    tests, _ = reports.until_fault(data, name)
    for test in tests:
        assert test.name
        assert seen.storable(test.name + test.message) == test.name + test.message
        assert test.result in seen.WORST_FIRST
        assert test.duration_ms is None or 0 <= test.duration_ms <= seen.DURATION_MAX_MS
    seen.merge_duplicates(tests)


@given(st.binary(max_size=300), NAMES)
def test_any_bytes_under_any_name_give_tests_or_a_named_fault(data: bytes, name: str) -> None:
    check(data, name)


@given(st.sampled_from(XML_ROOTS), st.lists(XML_PIECES, max_size=25))
def test_any_jumble_of_xml_gives_tests_or_a_named_fault(root: str, pieces: list[str]) -> None:
    check(f"<{root}>{''.join(pieces)}".encode())


@given(st.lists(TAP_PIECES, max_size=25))
def test_any_jumble_of_tap_gives_tests_or_a_named_fault(pieces: list[str]) -> None:
    check("".join(pieces).encode(), "a.tap")


@given(st.lists(GO_PIECES, max_size=25))
def test_any_jumble_of_events_gives_tests_or_a_named_fault(pieces: list[str]) -> None:
    check("".join(pieces).encode(), "gotest.json")


@given(JSON_VALUES)
def test_any_json_gives_tests_or_a_named_fault(value: object) -> None:
    check(json.dumps({"tests": value}).encode(), "results.json")


@pytest.mark.parametrize("read", [manifest.step_id_in, analytics.read])
@given(
    data=st.binary(max_size=200), key=st.sampled_from(["job_step_id", "entries", "table"]), value=JSON_VALUES
)
def test_any_bytes_and_any_json_beside_reports_are_read_or_a_named_fault(
    read: Callable[[BinaryIO], object], data: bytes, key: str, value: object
) -> None:
    told = {"table": "t", "entries": [], key: value}

    for each in (data, json.dumps(told).encode()):
        with contextlib.suppress(seen.Malformed):
            read(io.BytesIO(each))


@pytest.mark.parametrize("root", XML_ROOTS)
def test_no_format_declares_entities(root: str) -> None:
    _, fault = reports.until_fault(
        f'<!DOCTYPE x [<!ENTITY a "ha"><!ENTITY b "&a;&a;">]><{root}>&b;</{root}>'.encode()
    )

    assert fault is not None
    assert "DOCTYPE" in fault.cause


@pytest.mark.parametrize("root", XML_ROOTS)
def test_deep_nesting_is_refused_or_read_but_never_breaks(root: str) -> None:
    check(f"<{root}>".encode() * 10_000)
    check(f"<{root}>".encode() + b"<suite name='a'>" * 10_000)


@pytest.mark.parametrize("root", TESTS)
def test_an_attribute_of_many_megabytes_is_clipped_or_refused(root: str) -> None:
    element, attributes = TESTS[root]
    inside = '<status status="PASS"/>' if root == "robot" else ""
    data = f"<{root}><{element} {attributes.format('x' * 9_000_000)}>{inside}</{element}></{root}>".encode()

    tests, fault = reports.until_fault(data)

    assert fault is not None or all(len(test.name) < 2100 for test in tests)


@pytest.mark.parametrize("root", TESTS)
def test_more_tests_than_allowed_are_a_fault(root: str) -> None:
    element, attributes = TESTS[root]
    inside = '<status status="PASS"/>' if root == "robot" else ""
    cases = "".join(f"<{element} {attributes.format(number)}>{inside}</{element}>" for number in range(5))

    with pytest.raises(seen.Malformed, match="more than 3 tests"):
        reports.read(f"<{root}>{cases}</{root}>".encode(), limits=seen.Limits(tests=3))


@pytest.mark.parametrize("name", [path.name for path in sorted(reports.CORPUS.iterdir())])
def test_a_file_cut_anywhere_gives_what_was_read_before(name: str) -> None:
    data = (reports.CORPUS / name).read_bytes()
    whole, _ = reports.until_fault(data, name)

    for length in range(0, len(data), max(1, len(data) // 23)):
        tests, _ = reports.until_fault(data[:length], name)
        assert len(tests) <= len(whole) + 1


def test_messages_beyond_a_sum_of_them_are_cut_short_and_say_so() -> None:
    limits = seen.Limits(all_text_chars=1000, late_text_chars=100)
    budget = seen.TextBudget(limits)
    failed = seen.TestSeen("t", "", "failed", message="x" * 900)
    passed = seen.TestSeen("u", "", "passed", message="x" * 900)

    kept = [budget.cut(test) for test in (failed, failed, failed, passed)]

    assert [len(test.message) < 200 for test in kept] == [False, False, True, True]
    assert "characters left out" in kept[2].message
    assert kept[3].message == ""


def test_words_that_wait_for_the_end_of_the_file_are_cut_short_too() -> None:
    limits = seen.Limits(all_text_chars=1000, late_text_chars=100)
    failing = "<UnitTestResult testName='t{}' outcome='Failed'><Message>{}</Message></UnitTestResult>"
    trx = "".join(failing.format(number, "x" * 900) for number in range(3))
    tap = "".join(f"    not ok {number} - t{number}\n    # {'x' * 900}\n" for number in range(3))

    of_trx = reports.read(f"<TestRun>{trx}</TestRun>".encode(), limits=limits)
    of_tap = reports.read(f"{tap}not ok 1 - all\n1..1\n".encode(), limits=limits)

    assert [len(test.message) < 300 for test in of_trx] == [False, False, True]
    assert [len(test.message) < 300 for test in of_tap] == [False, False, True]
