"""Formats that are not JUnit's: what runners really wrote, or what is documented of those we cannot run."""

import base64
import zlib

import pytest
from tests.results.formats import reports

from changes.results.formats import robot, seen, trx

FIXTURE = "Shop.Tests.CartTests"


def message_of(tests: list[seen.TestSeen], name: str) -> str:
    return next(test.message for test in tests if test.name == name)


def test_a_report_of_nunit_3_is_read_with_what_failed_after_its_tests() -> None:
    tests = reports.of_corpus("nunit3.xml")

    assert reports.outline(tests) == [
        (f"{FIXTURE}.Adds", "passed", 12),
        (f'{FIXTURE}.Rounds("1.5",2)', "failed", 30),
        (f"{FIXTURE}.Imports", "skipped", 0),
        (f"{FIXTURE}.Guesses", "skipped", 1),
        (f"{FIXTURE}.Warns", "passed", 1),
        (FIXTURE, "failed", None),
        ("Shop.Tests.TillTests.Opens", "failed", 0),
    ]
    assert "the lock is held" in message_of(tests, FIXTURE)
    assert "line 14" in message_of(tests, f'{FIXTURE}.Rounds("1.5",2)')
    assert tests[1].short_name == 'Rounds("1.5",2)'


def test_a_report_of_nunit_2_is_read() -> None:
    tests = reports.of_corpus("nunit2.xml")

    assert reports.outline(tests) == [
        (f"{FIXTURE}.Adds", "passed", 12),
        (f'{FIXTURE}.Removes("a.b")', "failed", 30),
        (f"{FIXTURE}.Imports", "skipped", None),
        (f"{FIXTURE}.Old", "skipped", None),
        (f"{FIXTURE}.OldAndGood", "passed", 250),
    ]
    assert tests[1].package == FIXTURE
    assert "But was:  2" in tests[1].message


def test_a_report_of_xunit_net_is_read_with_what_failed_outside_of_tests() -> None:
    tests = reports.of_corpus("xunit_net2.xml")

    assert reports.outline(tests) == [
        (f"{FIXTURE}.test-class-cleanup", "failed", None),
        (f"{FIXTURE}.Fails", "failed", 12),
        (f"{FIXTURE}.Adds(a: 1.5, b: -6)", "passed", 3),
        (f"{FIXTURE}.A friendly name", "skipped", 0),
        (f"{FIXTURE}.Explicit", "skipped", 0),
    ]
    assert "the lock is held" in tests[0].message
    assert "later" in tests[3].message


def test_a_report_of_visual_studio_gets_its_classes_from_its_end_and_counts_rows() -> None:
    tests = reports.of_corpus("visual_studio.trx")

    assert reports.outline(tests) == [
        (f"{FIXTURE}.Adds", "passed", 1234),
        (f'{FIXTURE}.Removes(id: "a.b")', "failed", 60_000),
        (f"{FIXTURE}.Imports", "skipped", None),
        (f"{FIXTURE}.Breaks", "failed", None),
        (f"{FIXTURE}.Rounds (1.5)", "passed", 100),
        (f"{FIXTURE}.Rounds (2.5)", "failed", 400),
    ]
    assert "Expected:<1>" in tests[1].message


def test_a_report_of_visual_studio_that_was_cut_keeps_its_tests() -> None:
    data = (reports.CORPUS / "visual_studio.trx").read_bytes()

    tests, fault = reports.until_fault(data[: data.index(b"<TestDefinitions>")])

    assert len(tests) == 6
    assert fault is not None


@pytest.mark.parametrize(
    ("text", "duration_ms"),
    [("00:00:00.0010000", 1), ("1.00:00:01", 86_401_000), ("9999.00:00:00", 0), ("soon", None), ("", None)],
)
def test_times_of_visual_studio_are_read(text: str, duration_ms: int | None) -> None:
    assert trx.parse_time_ms(text) == duration_ms


def test_ctests_own_report_agrees_with_its_junit_report() -> None:
    own, by_junit = reports.of_corpus("ctest_Test.xml"), reports.of_corpus("ctest_real.xml")

    assert reports.results(own) == reports.results(by_junit)
    assert "Exit Code: Timeout" in message_of(own, "slow")


def ctest_that_packed(value: str) -> bytes:
    return (
        '<Site><Testing><Test Status="failed"><Name>a</Name><Results><Measurement>'
        f'<Value encoding="base64" compression="gzip">{value}</Value>'
        "</Measurement></Results></Test></Testing></Site>"
    ).encode()


def test_output_that_ctest_packed_is_unpacked() -> None:
    packed = base64.encodebytes(zlib.compress(b"no route to host")).decode()

    [test] = reports.read(ctest_that_packed(packed))

    assert "no route to host" in test.message


def test_packed_output_is_never_unpacked_beyond_what_is_kept() -> None:
    bomb = base64.b64encode(zlib.compress(b"x" * 50_000_000)).decode()

    [test] = reports.read(ctest_that_packed(bomb))

    assert len(test.message) < 70_000
    assert "CONTENT TRUNCATED" in test.message


@pytest.mark.parametrize("value", ["no base64!", "", "eJw=", base64.b64encode(b"not packed").decode()])
def test_output_that_cannot_be_unpacked_hides_no_test(value: str) -> None:
    assert reports.results(reports.read(ctest_that_packed(value))) == {"a": "failed"}


def test_robots_own_report_is_read_with_what_failed_after_its_tests() -> None:
    tests = reports.of_corpus("robot_output.xml")

    assert reports.results(tests) == {
        "Robot.Plain.Works": "passed",
        "Robot.Shop.Adds Items": "passed",
        "Robot.Shop.Refuses Negative Price": "failed",
        "Robot.Shop.Imports CSV": "skipped",
        "Robot.Shop": "failed",
        "Robot.Till.Till.Opens": "failed",
    }
    assert "accepted != refused" in tests[2].message


def test_an_older_report_of_robot_has_times_instead_of_durations_and_tells_what_ran_again() -> None:
    tests = reports.of_corpus("robot6_output.xml")

    assert reports.outline(tests) == [
        ("Shop.Is Shaky", "passed", 1250),
        ("Shop.Never Came", "skipped", None),
    ]
    assert [test.reruns for test in tests] == [1, 0]


def test_what_robot_merged_is_told_in_plain_words_the_last_run_first() -> None:
    tests = reports.of_corpus("robot6_merged_real.xml")

    assert [(test.short_name, test.result, test.reruns) for test in tests] == [
        ("Works", "passed", 0),
        ("Is Shaky", "passed", 1),
        ("Stays Broken", "failed", 1),
        ("Is Left Out", "skipped", 0),
    ]
    assert [line for line in tests[1].message.split("\n") if "=" not in line] == ["the first time it fails"]
    assert [line for line in tests[2].message.split("\n") if "=" not in line] == ['<none> & "nothing"'] * 2


def test_a_time_of_robot_that_is_none_is_no_duration() -> None:
    assert robot.took_ms({"starttime": "20260105 10:00:00.000", "endtime": "later"}) is None


def test_a_result_that_a_format_does_not_know_is_a_fault() -> None:
    _, fault = reports.until_fault(
        b'<test-run><test-case fullname="a.b" result="Passed"/>\n'
        b'<test-case fullname="a.c" result="Fine"/></test-run>'
    )

    assert fault is not None
    assert (fault.line, fault.cause) == (2, "a test has the result 'Fine', which is not known")


def test_results_of_the_review_queue_are_read_whatever_is_missing_of_them() -> None:
    tests = reports.of_corpus("review_queue.json")

    assert reports.outline(tests) == [
        ("git.charm-proof", "passed", 1250),
        ("git.make test", "failed", 12_000),
        ("00-setup", "passed", None),
        ("test 4", "failed", None),
    ]
    assert "no hook install" in tests[1].message
    assert "exit code 100" in tests[3].message


@pytest.mark.parametrize(
    ("data", "cause"),
    [
        (b'{"tests": 1}', "there is no list `tests`"),
        (b'{"tests": [1]}', "test 1 is no object"),
        (b'{"tests": [{"returncode": true}]}', "test 1: returncode must be a whole number"),
        (b'{"tests": [{"suite": 7}]}', "test 1: suite must be text"),
        (b'{"tests": [],\n}', "not JSON"),
        (b'{"tests": [' + b"[" * 100_000, "not JSON"),
        (b'{"tests": [{"duration": ' + b"9" * 5000 + b"}]}", "not JSON"),
        (b'{"tests": [{"test": "a\\u0000b"}]}', "cannot be stored"),
        (b'{"tests": [{"test": "\xff"}]}', "not JSON"),
    ],
)
def test_results_of_the_review_queue_that_are_none_are_refused(data: bytes, cause: str) -> None:
    _, fault = reports.until_fault(data)

    assert fault is not None
    assert cause in fault.cause
