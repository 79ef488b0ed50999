"""JUnit XML as today's runners write it: what each of them really wrote for a suite of odd tests."""

import pytest
from tests.results.formats import reports

from changes.results import fingerprints
from changes.results.formats import seen


def named(tests: list[seen.TestSeen], name: str) -> seen.TestSeen:
    return next(test for test in tests if test.name == name)


def test_pytest_says_what_was_skipped_expected_to_fail_or_broke_around_the_test() -> None:
    found = reports.results(reports.of_corpus("pytest_real.xml"))

    assert found["test_shop.test_price"] == "failed"
    assert found["test_shop.test_upload"] == "skipped"
    assert found["test_shop.test_rounding"] == "skipped"
    assert found["test_shop.test_fixed"] == "passed"
    assert found["test_shop.test_migrate"] == "failed"
    assert found["test_shop.test_setup"] == "failed"
    assert found["test_shop.TestCart.test_sub"] == "failed"
    assert found["test_shop.test_units[<b>&]"] == "passed"


def test_what_pytest_ran_again_is_one_test_with_its_reruns() -> None:
    tests = reports.of_corpus("pytest_real.xml")

    shaky, hopeless = named(tests, "test_shop.test_shaky"), named(tests, "test_shop.test_hopeless")
    assert (shaky.result, shaky.reruns) == ("passed", 1)
    assert (hopeless.result, hopeless.reruns) == ("failed", 2)


def test_a_file_that_pytest_cannot_import_is_a_failed_test() -> None:
    [test] = reports.of_corpus("pytest_collect_real.xml")

    assert (test.name, test.result) == ("pyb.test_broken", "failed")
    assert "No module named 'nothing_like_this'" in test.message


@pytest.mark.parametrize("name", ["nose2_real.xml", "xmlrunner_real.xml"])
def test_reports_of_unittest_are_read(name: str) -> None:
    assert reports.results(reports.of_corpus(name)) == {
        "unit_tests.Cart.test_adds": "passed",
        "unit_tests.Cart.test_removes": "failed",
        "unit_tests.Cart.test_breaks": "failed",
        "unit_tests.Cart.test_later": "skipped",
        "unit_tests.Cart.test_known": "skipped",
    }


def test_googletest_reports_what_failed_outside_of_any_test() -> None:
    tests = reports.of_corpus("gtest_real.xml")

    assert reports.results(tests) == {
        "Queue.Push": "passed",
        "Queue.Pop": "failed",
        "Queue.DISABLED_Drain": "skipped",
        "Queue.Huge": "skipped",
        "Down.Runs": "passed",
        "Some/P/Works/0": "passed",
        "Some/P/Works/1": "failed",
        "NonTestSuiteFailure": "failed",
    }
    assert "environment broke" in named(tests, "NonTestSuiteFailure").message
    assert named(tests, "Queue.Pop").message.count(" failure ") == 2


def test_a_test_of_ctest_whose_program_is_missing_has_failed() -> None:
    assert reports.results(reports.of_corpus("ctest_real.xml")) == {
        "works": "passed",
        "breaks": "failed",
        "missing": "failed",
        "off": "skipped",
        "skips": "skipped",
        "slow": "failed",
        "crashes": "failed",
        "pkg/needs_setup": "skipped",
        "db": "failed",
    }


def test_a_name_that_jest_writes_twice_is_said_once_and_a_file_that_does_not_load_has_failed() -> None:
    tests = reports.of_corpus("jest_real.xml")

    assert reports.results(tests) == {
        "Cart adds v1.0 items": "passed",
        "Cart removes items": "failed",
        "Cart later": "skipped",
        "Cart is todo": "passed",
        "Cart of gold shines": "passed",
        "Test suite failed to run.broken.test.js": "failed",
    }
    assert named(tests, "Cart adds v1.0 items").short_name == "Cart adds v1.0 items"


def test_both_reporters_of_mocha_are_read() -> None:
    by_junit, by_xunit = (reports.of_corpus(f"mocha{each}_real.xml") for each in ("", "_xunit"))

    assert [test.result for test in by_junit] == ["passed", "failed", "passed", "failed"]
    assert reports.results(by_xunit) == {
        "Router.finds /users": "passed",
        "Router.refuses ..": "failed",
        "Router.later": "skipped",
        "Router deep.is shaky": "passed",
        'Router hooked."before all" hook for "never runs"': "failed",
    }


def test_what_node_has_still_to_do_may_fail() -> None:
    assert reports.results(reports.of_corpus("node_real.xml")) == {
        "test.inner ok": "passed",
        "test.inner bad": "failed",
        "test.skipped": "skipped",
        "test.todo": "skipped",
        "test.plain # hash": "passed",
    }


def test_phpunit_nests_its_suites_and_calls_a_test_without_assertions_an_error() -> None:
    assert reports.results(reports.of_corpus("phpunit_real.xml")) == {
        'Shop.Unit.CartTest.testTotal with data set "one"': "passed",
        'Shop.Unit.CartTest.testTotal with data set "two"': "failed",
        "Shop.Unit.CartTest.testTax": "failed",
        "Shop.Unit.CartTest.testLater": "skipped",
        "Shop.Unit.CartTest.testHalf": "skipped",
        "Shop.Unit.CartTest.testRisky": "failed",
    }


def test_the_class_of_an_old_phpunit_is_written_like_that_of_a_new_one() -> None:
    [test] = reports.read(b'<testsuite><testcase class="Shop\\CartTest" name="testTax"/></testsuite>')

    assert test.name == "Shop.CartTest.testTax"


def test_robots_junit_report_is_read() -> None:
    assert reports.results(reports.of_corpus("robot_xunit.xml")) == {
        "Robot.Plain.Works": "passed",
        "Robot.Shop.Adds Items": "failed",
        "Robot.Shop.Refuses Negative Price": "failed",
        "Robot.Shop.Imports CSV": "skipped",
        "Robot.Till.Till.Opens": "failed",
    }


def test_surefire_tells_of_reruns_and_of_what_was_skipped_or_assumed() -> None:
    tests = reports.of_corpus("surefire_real.xml")

    assert [(test.short_name, test.result, test.reruns) for test in tests] == [
        ("adds", "passed", 0),
        ("later", "skipped", 0),
        ("shaky", "passed", 1),
        ("total", "failed", 2),
        ("onlyElsewhere", "skipped", 0),
        ("throwsUp", "failed", 2),
    ]


def test_a_place_that_surefire_wrote_behind_the_words_is_a_place() -> None:
    tests = {test.short_name: test for test in reports.of_corpus("surefire_real.xml")}

    cause = fingerprints.of(tests["total"].message)

    assert cause is not None
    assert cause.headline == "java.lang.AssertionError: the total of ]]> äöü expected:<4> but was:<3>"
    assert cause.place == "CartTest.java com.example.shop.CartTest.total"


def test_what_gotestsum_ran_again_is_decided_by_its_last_run() -> None:
    tests = reports.of_corpus("gotestsum_rerun_real.xml")

    assert [(test.short_name, test.result, test.reruns) for test in tests] == [
        ("TestTotal", "failed", 2),
        ("TestShaky", "passed", 1),
        ("TestLater", "skipped", 0),
        ("TestAdd/two_items", "passed", 0),
        ('TestAdd/<none>_&_"nothing"', "passed", 0),
        ("TestAdd", "passed", 0),
        ("TestPanics", "passed", 0),
    ]


def test_a_panic_that_gotestsum_tells_of_is_one_cause_at_the_place_of_ours() -> None:
    tests = {test.short_name: test for test in reports.of_corpus("gotestsum_panic_real.xml")}

    cause = fingerprints.of(tests["TestPanics"].message)

    assert tests["TestPanics"].result == "failed"
    assert cause is not None
    assert cause.headline == "panic: assignment to entry in nil map [recovered]"
    assert cause.place == "cart/cart_test.go"


def test_a_failure_that_gotestsum_tells_of_is_told_by_its_own_words() -> None:
    tests = {test.short_name: test for test in reports.of_corpus("gotestsum_rerun_real.xml")}

    lines = fingerprints.lines_of(tests["TestTotal"].message)

    said = ["adding up", "total is 3, want 4: umlauts äöü ]]>"]
    assert fingerprints.words(lines, "\n".join(lines)) == said


def test_of_another_runner_the_worst_of_several_entries_counts() -> None:
    [test] = reports.read(
        b'<testsuite name="x"><testcase name="t"><failure/></testcase><testcase name="t"/></testsuite>'
    )

    assert (test.result, test.reruns) == ("failed", 0)


def test_a_suite_that_failed_by_itself_is_a_failed_test() -> None:
    tests = reports.read(
        b'<testsuites><testsuite name="shop"><testcase name="works"/>'
        b'<error message="cannot close">the lock is held</error><testcase name="too"/>'
        b"</testsuite></testsuites>"
    )

    assert reports.results(tests) == {"works": "passed", "shop": "failed", "too": "passed"}
    assert "the lock is held" in named(tests, "shop").message


def test_a_nameless_test_of_a_nameless_suite_is_refused() -> None:
    _, fault = reports.until_fault(b'<testsuite><testcase name=""/></testsuite>', "junit.xml")

    assert fault is not None
    assert fault.cause == "a testcase has no name"
