"""TAP of Perl, Node, tape and Mocha, and what the versions of the protocol allow."""

import pytest
from tests.results.formats import reports

from changes.results.formats.seen import Limits, Malformed


def read(text: str) -> dict[str, str]:
    return reports.results(reports.read(text.encode(), "x.tap"))


def cause_of(text: str) -> str:
    with pytest.raises(Malformed) as refused:
        read(text)
    return refused.value.cause


def test_a_report_of_perl_is_read_with_its_diagnostics() -> None:
    tests = reports.of_corpus("perl.tap")

    assert reports.results(tests) == {
        "first": "passed",
        "second": "failed",
        "test 3": "skipped",
        "later": "skipped",
    }
    assert "expected: '2'" in tests[1].message
    assert "no net" in tests[2].message


def test_a_runner_that_bails_out_says_why_and_its_tests_are_kept() -> None:
    tests, fault = reports.until_fault((reports.CORPUS / "perl_bail.tap").read_bytes())

    assert reports.results(tests) == {"inner.a": "passed", "inner.b": "failed"}
    assert fault is not None
    assert (fault.line, fault.cause) == (6, "the runner bailed out: no database")


def test_subtests_of_node_bear_the_names_above_them_and_their_sum_is_no_test() -> None:
    tests = reports.of_corpus("node.tap")

    assert reports.outline(tests) == [
        ("top.inner ok", "passed", 1),
        ("top.inner bad", "failed", 1),
        ("skipped", "skipped", 0),
        ("todo", "skipped", 0),
        ("plain # hash", "passed", 0),
    ]
    assert "error: '1 == 2'" in tests[1].message
    assert "location" not in tests[2].message


def test_a_report_of_tape_is_read() -> None:
    tests = reports.of_corpus("tape.tap")

    assert reports.results(tests) == {"two": "passed", "one is two": "failed"}
    assert "operator: equal" in tests[1].message


def test_a_report_of_mocha_is_read_with_its_indented_words() -> None:
    tests = reports.of_corpus("mocha.tap")

    assert [test.result for test in tests] == ["passed", "failed", "skipped", "passed", "failed"]
    assert "200 == 404" in tests[1].message


@pytest.mark.parametrize(
    ("line", "name", "result"),
    [
        ("ok", "test 1", "passed"),
        ("ok 1", "test 1", "passed"),
        ("ok 1 - a # SKIP no net", "a", "skipped"),
        ("not ok 1 - a # skip", "a", "skipped"),
        ("ok 1 a # TODO", "a", "passed"),
        ("not ok 1 - a # todo later", "a", "skipped"),
        ("ok 1 - number \\# 7", "number # 7", "passed"),
        ("ok 1 - a # time=12.5ms", "a", "passed"),
        ("okay then\nok 1 - a", "a", "passed"),
    ],
)
def test_a_line_says_name_and_result(line: str, name: str, result: str) -> None:
    assert read(f"TAP version 14\n1..1\n{line}\n") == {name: result}


def test_durations_are_read_from_comments_and_from_yaml() -> None:
    text = "1..2\nok 1 - a # time=12.4ms\nok 2 - b\n  ---\n  duration_ms: 3.6\n  ...\n"

    assert [test.duration_ms for test in reports.read(text.encode())] == [12, 4]


def test_subtests_within_subtests_bear_all_names() -> None:
    text = "        ok 1 - c\n    ok 1 - b\n    ok 2 - d\nok 1 - a\n1..1\n"

    assert read(text) == {"a.d": "passed", "a/b/c": "passed"}


def test_a_sum_that_failed_though_its_subtests_passed_is_a_failed_test() -> None:
    assert read("    ok 1 - b\nnot ok 1 - a\n1..1\n") == {"a.b": "passed", "a": "failed"}


def test_a_plan_of_nothing_is_a_report_without_tests() -> None:
    assert read("1..0 # SKIP not on this machine\n") == {}


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        ("1..3\nok 1\nok 2\n", "the plan says 3 tests, and 2 were reported"),
        ("1..1\nok 1\nok 2\n", "the plan says 1 tests, and 2 were reported"),
        ("ok 1\n", "there is no plan (1..N), so the runner did not come to its end"),
        ("1..99999999999\n", "the plan is too large"),
        ("Segmentation fault\n", "there is no test and no plan in it"),
        ("", "there is no test and no plan in it"),
    ],
)
def test_a_report_that_is_not_whole_is_refused(text: str, cause: str) -> None:
    assert cause_of(text) == cause


def test_more_tests_than_allowed_are_a_fault() -> None:
    with pytest.raises(Malformed, match="more than 2 tests"):
        reports.read(b"1..3\nok 1\nok 2\nok 3\n", limits=Limits(tests=2))


def test_bytes_that_cannot_be_stored_are_replaced() -> None:
    [test] = reports.read(b"1..1\nnot ok 1 - a\0b\xff\n# c\0d\n")

    assert test.name == "a\N{REPLACEMENT CHARACTER}b\N{REPLACEMENT CHARACTER}"
    assert "\0" not in test.message
