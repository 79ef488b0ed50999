"""What the JUnit parser makes of the dialects of today's runners."""

import hashlib
import io
from pathlib import Path

import pytest

from changes.results.formats import junit

CORPUS = Path(__file__).parent / "corpus"


def parse(xml: str | bytes) -> list[junit.TestSeen]:
    data = xml.encode() if isinstance(xml, str) else xml
    return list(junit.parse(io.BytesIO(data)))


def parse_corpus(name: str) -> list[junit.TestSeen]:
    return parse((CORPUS / name).read_bytes())


def parse_case(inside: str, attributes: str = "") -> junit.TestSeen:
    [test] = parse(f'<testsuite><testcase name="t" {attributes}>{inside}</testcase></testsuite>')
    return test


def outline(tests: list[junit.TestSeen]) -> list[tuple[str, str, str, int | None]]:
    return [(test.package, test.short_name, test.result, test.duration_ms) for test in tests]


def test_a_report_of_pytest_is_read() -> None:
    tests = parse_corpus("pytest.xml")

    assert outline(tests) == [
        ("tests.unit.test_cart.TestCart", "test_total[1.5-EUR/kg]", "passed", 2),
        ("tests.unit.test_cart.TestCart", "test_discount", "failed", 10),
        ("tests.unit.test_net", "test_upload", "skipped", 0),
        ("tests.unit.test_db", "test_migrate", "passed", 300),
        ("tests.unit.test_db", "test_migrate", "failed", 100),
    ]
    assert (tests[1].file, tests[1].line) == ("tests/unit/test_cart.py", 19)
    assert tests[0].message == ""


def test_a_report_of_surefire_is_read_and_its_reruns_are_no_failures() -> None:
    tests = parse_corpus("surefire.xml")

    assert outline(tests) == [
        ("com.example.shop.CartTest", "addsItems", "passed", 1_234_500),
        ("com.example.shop.CartTest", "survivesSlowNetwork", "passed", 51),
        ("com.example.shop.CartTest", "rejectsNegativePrice", "failed", 20),
        ("com.example.shop.CartTest", "importsCsv", "skipped", 0),
    ]
    assert [test.reruns for test in tests] == [0, 1, 2, 0]
    assert "SocketTimeoutException: timeout" in tests[1].message


def test_a_report_of_gradle_is_read_and_printed_xml_is_no_test() -> None:
    assert outline(parse_corpus("gradle.xml")) == [
        ("org.example.ParserTest", "parses an empty file()", "passed", 12),
        ("org.example.ParserTest", '[2] input="a.b"', "failed", 1),
        ("org.example.ParserTest", "ignored()", "skipped", 0),
    ]


def test_a_report_of_googletest_is_read_and_a_disabled_test_is_skipped() -> None:
    assert outline(parse_corpus("gtest.xml")) == [
        ("Queue", "Push", "passed", 1),
        ("Queue", "Pop", "failed", 2),
        ("Queue", "DISABLED_Drain", "skipped", 0),
        ("Queue", "Huge", "skipped", 0),
    ]


def test_a_report_of_jest_is_read_and_its_files_are_paths() -> None:
    tests = parse_corpus("jest.xml")

    assert outline(tests) == [
        ("src/cart.test.ts", "Cart adds v1.0 items", "passed", 4),
        ("src/cart.test.ts", "Cart removes items", "failed", 6),
        ("src/cart.test.ts", "Cart is todo", "skipped", 0),
    ]
    assert tests[0].name == "src/cart.test.ts/Cart adds v1.0 items"


def test_a_report_of_mocha_is_read() -> None:
    assert [(test.name, test.result) for test in parse_corpus("mocha.xml")] == [
        ("finds /users/Router finds /users", "passed"),
        ("refuses ...Router refuses ..", "failed"),
        ("later.Router later", "skipped"),
    ]


def test_a_report_of_gotestsum_is_read() -> None:
    tests = parse_corpus("gotestsum.xml")

    assert outline(tests) == [
        ("example.com/shop/cart", "TestAdd/two.items", "passed", 0),
        ("example.com/shop/cart", "TestRemove", "failed", 10),
        ("example.com/shop/cart", "TestRemote", "skipped", 0),
    ]
    assert "short mode" in tests[2].message


def test_a_report_of_phpunit_with_suites_inside_suites_is_read() -> None:
    assert outline(parse_corpus("phpunit.xml")) == [
        ("Tests.Unit.CartTest", 'testTotal with data set "one"', "passed", 2),
        ("Tests.Unit.CartTest", "testTax", "failed", 8),
        ("Tests.Unit.CartTest", "testLater", "skipped", 0),
    ]


def test_a_report_of_bazel_is_read() -> None:
    [test] = parse_corpus("bazel.xml")

    assert outline([test]) == [("shop", "cart_test", "failed", 3000)]
    assert "exited with error code 1" in test.message
    assert "PAGER" not in test.message


def test_the_attributes_that_changes_defined_are_read() -> None:
    tests = parse_corpus("changes.xml")

    assert [test.result for test in tests] == [
        "quarantined_failed",
        "quarantined_passed",
        "quarantined_skipped",
        "passed",
    ]
    assert (tests[0].owner, tests[0].reruns) == ("olga@example.com", 2)
    assert [test.is_quarantined for test in tests] == [True, True, True, False]


def test_the_last_failure_comes_first_and_each_part_has_a_heading() -> None:
    test = parse_corpus("changes.xml")[0]

    assert test.message.splitlines() == [
        "first run: timeout",
        " system-out ".center(78, "="),
        "café",
        " failure ".center(78, "="),
        "still slow",
    ]


def test_a_message_that_the_text_repeats_is_said_once() -> None:
    test = parse_case('<failure message="boom">Error: boom</failure>')

    assert test.message.count("boom") == 1


def test_a_message_is_enough_where_there_is_no_text() -> None:
    assert "no such host" in parse_case('<error message="no such host"/>').message


@pytest.mark.parametrize(
    ("inside", "result"),
    [
        ("", "passed"),
        ("<system-out>x</system-out>", "passed"),
        ("<unheard-of/>", "passed"),
        ("<skipped/>", "skipped"),
        ("<error/>", "failed"),
        ("<system-out>x</system-out><failure/>", "failed"),
        ("<skipped/><error>in the tear-down</error>", "failed"),
        ("<system-out><failure/></system-out>", "passed"),
    ],
)
def test_the_elements_directly_inside_a_case_decide(inside: str, result: str) -> None:
    assert parse_case(inside).result == result


@pytest.mark.parametrize(
    ("seconds", "duration_ms"),
    [
        ("0.25", 250),
        ("1e-3", 1),
        ("1,234.5", 1_234_500),
        ("1,234,567", 1_234_567_000),
        ("0,25", 250),
        ("3s", 3000),
        ("-1", 0),
        ("99999999", 0),
        ("1e999", 0),
        ("", None),
        ("nan", None),
        ("soon", None),
        ("1" * 100_000 + "x", None),
    ],
)
def test_durations_are_read_as_runners_write_them(seconds: str, duration_ms: int | None) -> None:
    assert junit.parse_duration_ms(seconds) == duration_ms


def test_a_test_without_a_time_has_no_duration() -> None:
    assert parse_case("").duration_ms is None


@pytest.mark.parametrize(
    ("attributes", "name", "package", "short_name"),
    [
        ('classname="a.b" name="c"', "a.b.c", "a.b", "c"),
        ('classname="a/b" name="c"', "a/b/c", "a/b", "c"),
        ('classname="//a:b" name="c.d"', "//a:b/c.d", "//a:b", "c.d"),
        ('classname="_a" name="c"', "_a/c", "_a", "c"),
        ('name="a.b.c"', "a.b.c", "a.b", "c"),
        ('name="a/b.c"', "a/b.c", "a", "b.c"),
        ('name="c"', "c", "", "c"),
        ('classname="" name="c"', "c", "", "c"),
    ],
)
def test_the_full_name_joins_class_and_name_by_the_separator_of_its_kind(
    attributes: str, name: str, package: str, short_name: str
) -> None:
    [test] = parse(f"<testsuite><testcase {attributes}/></testsuite>")

    assert (test.name, test.package, test.short_name) == (name, package, short_name)


def test_the_identity_is_the_sha1_of_the_full_name() -> None:
    [test] = parse('<testsuite><testcase classname="a.b" name="c"/></testsuite>')

    assert test.sha1 == hashlib.sha1(b"a.b.c", usedforsecurity=False).hexdigest()


def test_a_namespace_changes_nothing() -> None:
    [test] = parse('<n:testsuite xmlns:n="urn:x"><n:testcase name="t"><n:error/></n:testcase></n:testsuite>')

    assert test.result == "failed"


def test_duplicates_in_one_file_become_one_test() -> None:
    [*_, migrate] = junit.merge_duplicates(parse_corpus("pytest.xml"))

    assert (migrate.short_name, migrate.result, migrate.duration_ms) == ("test_migrate", "failed", 400)
    assert "disk full" in migrate.message


def test_merged_duplicates_add_durations_and_keep_the_most_reruns_and_every_message() -> None:
    tests = parse(
        '<testsuite><testcase name="t" time="1" rerun="1"><failure>one</failure></testcase>'
        '<testcase name="u"/>'
        '<testcase name="t" rerun="3" owner="ravi"><failure>two</failure></testcase></testsuite>'
    )

    first, second = junit.merge_duplicates(tests)

    assert (first.name, first.duration_ms, first.reruns, first.owner) == ("t", 1000, 3, "ravi")
    assert first.message == "\n\n".join(test.message for test in tests if test.name == "t")
    assert second.name == "u"


def test_what_duplicates_say_again_and_again_is_kept_once() -> None:
    tests = [junit.TestSeen("t", "", "failed", message=said) for said in ("one", "two") * 1000]

    (merged,) = junit.merge_duplicates(tests)

    assert merged.message == "one\n\ntwo"


@pytest.mark.parametrize(
    ("results", "merged"),
    [
        (("passed", "failed"), "failed"),
        (("skipped", "passed"), "passed"),
        (("quarantined_failed", "skipped"), "skipped"),
        (("quarantined_failed", "quarantined_passed"), "quarantined_passed"),
    ],
)
def test_the_result_of_duplicates_follows_the_order_of_changes(
    results: tuple[junit.Result, ...], merged: str
) -> None:
    tests = [junit.TestSeen(name="t", package="", result=result) for result in results]

    assert [test.result for test in junit.merge_duplicates(tests)] == [merged]


@pytest.mark.parametrize(
    ("declared", "written"),
    [
        ("UTF8", "utf-8"),
        ("x-unheard-of", "utf-8"),
        ("utf-16", "utf-8"),
        ("ISO-8859-1", "iso-8859-1"),
        ("windows-1252", "cp1252"),
        ("UTF-16", "utf-16"),
    ],
)
def test_the_encoding_is_believed_only_where_it_can_be_true(declared: str, written: str) -> None:
    xml = f'<?xml version="1.0" encoding="{declared}"?>\n<testsuite><testcase name="café"/></testsuite>'

    assert [test.name for test in parse(xml.encode(written))] == ["café"]


def test_a_byte_order_mark_is_no_fault() -> None:
    xml = '<?xml version="1.0" encoding="UTF8"?><testsuite><testcase name="é"/></testsuite>'

    assert [test.name for test in parse(xml.encode("utf-8-sig"))] == ["é"]
