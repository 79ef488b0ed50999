"""What `go test -json` prints, of tests that pass, fail, panic, are not built or run again."""

import json

import pytest
from tests.results.formats import reports

from changes.results.formats import seen

CART = "example.com/shop/cart"


def events(*told: dict[str, object], package: str = "p") -> bytes:
    return b"".join(json.dumps({"Package": package, **each}).encode() + b"\n" for each in told)


def run_of(test: str, result: str) -> list[dict[str, object]]:
    return [{"Action": "run", "Test": test}, {"Action": result, "Test": test, "Elapsed": 0.5}]


def read(data: bytes) -> list[seen.TestSeen]:
    return reports.read(data, "gotest.json")


def test_a_report_of_go_is_read_also_where_a_package_panics_or_is_not_built() -> None:
    tests = reports.of_corpus("go_test.json")

    assert reports.results(tests) == {
        "example.com/shop/broken/TestMain": "failed",
        f"{CART}/TestAdd/two.items": "passed",
        f"{CART}/TestAdd/bad/one": "failed",
        f"{CART}/TestAdd": "failed",
        f"{CART}/TestRemote": "skipped",
        f"{CART}/TestPlain": "passed",
        f"{CART}/TestShaky": "failed",
        f"{CART}/ExampleX": "passed",
        "example.com/shop/crash/TestFirst": "passed",
        "example.com/shop/crash/TestPanics": "failed",
    }
    assert "got 2, want 1" in tests[2].message
    assert "=== RUN" not in tests[2].message
    assert "assignment to entry in nil map" in tests[-1].message
    assert tests[2].package == CART


def test_the_worst_of_several_runs_that_were_asked_for_counts() -> None:
    assert reports.results(reports.of_corpus("go_test_count.json")) == {
        f"{CART}/TestRemote": "skipped",
        f"{CART}/TestShaky": "failed",
    }


def test_a_test_that_passes_when_its_package_is_run_again_has_passed_with_a_rerun() -> None:
    first, again = run_of("TestShaky", "fail"), run_of("TestShaky", "pass")

    [test] = read(events(*first, {"Action": "fail"}, *again, {"Action": "pass"}))

    assert (test.result, test.reruns, test.duration_ms) == ("passed", 1, 1000)


def test_a_test_that_runs_when_its_package_fails_has_failed() -> None:
    tests = read(events({"Action": "run", "Test": "TestHangs"}, {"Action": "fail"}))

    assert reports.results(tests) == {"p.TestHangs": "failed"}


def test_a_package_that_fails_without_a_test_is_a_failed_test_with_its_words() -> None:
    [test] = read(events({"Action": "output", "Output": "no database\n"}, {"Action": "fail"}))

    assert (test.name, test.result) == ("p.TestMain", "failed")
    assert "no database" in test.message


def test_what_the_compiler_said_is_told_of_a_package_that_was_not_built() -> None:
    data = (
        b'{"ImportPath":"p [p.test]","Action":"build-output","Output":"undefined: x\\n"}\n'
        b'{"ImportPath":"p [p.test]","Action":"build-fail"}\n'
    )

    [test] = read(data + events({"Action": "fail", "FailedBuild": "p [p.test]"}))

    assert "undefined: x" in test.message


def test_other_lines_are_passed_over() -> None:
    data = b"go: downloading example.com/x\n" + events(*run_of("TestA", "pass")) + b"PASS\n"

    assert reports.results(read(data)) == {"p.TestA": "passed"}


@pytest.mark.parametrize(
    ("data", "line", "cause"),
    [
        (events(*run_of("TestA", "pass")) + b'{"Action":\n', 3, "no event"),
        (events({"Action": "run", "Test": "TestA"}), 1, "it ends while TestA is still running"),
        (b'{"Action": "pass", "Package": 7}\n', 1, "no event"),
        (b'{"Action": "pass", "Package": "\xff"}\n', 1, "no UTF-8"),
        (b'{"Action":"output","Package":"p","Output":"' + b"x" * 2**20 + b'"}\n', 1, "longer than 1024 KiB"),
        (b'{"Action":"a","x":' + b"[" * 100_000 + b"\n", 1, "no event"),
        (b"Segmentation fault\n", 1, "there is no event"),
        (b"", 1, "there is no event"),
    ],
)
def test_what_is_no_report_of_go_is_refused_with_its_line(data: bytes, line: int, cause: str) -> None:
    _, fault = reports.until_fault(data, "gotest.json")

    assert fault is not None
    assert cause in fault.cause
    assert fault.line == line


def test_characters_that_cannot_be_stored_are_replaced() -> None:
    [test] = read(events(*run_of("TestA/\0", "fail")))

    assert test.name == "p.TestA/\N{REPLACEMENT CHARACTER}"


def test_more_tests_than_allowed_are_a_fault() -> None:
    data = b"".join(events({"Action": "run", "Test": f"Test{number}"}) for number in range(5))

    with pytest.raises(seen.Malformed, match="more than 3 tests"):
        reports.read(data, limits=seen.Limits(tests=3))
