import pytest

from changes.results import rules
from changes.results.rules import Kind

REPORTS = [
    "junit.xml", "out/junit.xml", "a.junit.xml", "xunit.xml", "x/nosetests.xml", "a.nosetests.xml",
    "build/test-results/test/TEST-org.example.CartTest.xml", "nunit.xml", "a.nunit.xml", "shop.trx",
    "t/basic.tap", "gotest.json", "unit.gotest.json",
]  # fmt: skip
DOUBTFUL = ["TestResult.xml", "Testing/20260105-1000/Test.xml", "output.xml", "results.json"]


@pytest.mark.parametrize("name", REPORTS)
def test_reports_are_known_by_their_name(name: str) -> None:
    assert rules.kind_of(name, {}) == Kind.REPORT


@pytest.mark.parametrize("name", DOUBTFUL)
def test_names_that_others_use_too_are_doubtful(name: str) -> None:
    assert rules.kind_of(name, {}) == Kind.DOUBTFUL_REPORT


@pytest.mark.parametrize(
    "name", ["junit.xml/log.txt", "myjunit.xml", "JUNIT.XML", "coverage.html", "a.xml", ""]
)
def test_other_files_are_not_read(name: str) -> None:
    assert not rules.is_read(name, {})


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("coverage.xml", Kind.COVERAGE),
        ("out/unit.coverage.xml", Kind.COVERAGE),
        ("build/reports/jacoco/test/jacocoTestReport.xml", Kind.COVERAGE),
        ("packages/a/coverage/lcov.info", Kind.COVERAGE),
        ("TestResults/1/coverage.cobertura.xml", Kind.COVERAGE),
        ("profile.coverprofile", Kind.COVERAGE),
        ("coverage.json", Kind.DOUBTFUL_COVERAGE),
        ("pkg/cover.out", Kind.DOUBTFUL_COVERAGE),
        ("coverage-summary.json", None),
        ("a.out", None),
    ],
)
def test_reports_of_coverage_are_known_by_their_name(name: str, kind: Kind | None) -> None:
    assert rules.kind_of(name, {}) == kind


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("manifest.json", Kind.MANIFEST),
        ("web/manifest.json", None),
        ("CHANGES_ANALYTICS.json", Kind.ANALYTICS),
        ("a/b.CHANGES_ANALYTICS.json", Kind.ANALYTICS),
    ],
)
def test_files_for_the_server_itself_are_known(name: str, kind: Kind | None) -> None:
    assert rules.kind_of(name, {}) == kind


@pytest.mark.parametrize(
    ("pattern", "path", "fits"),
    [
        ("*.log", "a/b.log", True),
        ("out/*.log", "out/a.log", True),
        ("out/*.log", "out/b/a.log", False),
        ("out/**/*.log", "out/a.log", True),
        ("out/**/*.log", "out/b/c/a.log", True),
        ("/out/*.log", "out/a.log", True),
        ("**", "a/b", True),
        ("**/x/**", "a/x", True),
        ("out/*.log", "out.log", False),
        ("**", "", False),
        ("*" * 50 + "b", "a" * 1000, False),
        ("**/a/" * 50 + "b", "a/" * 400 + "c", False),
    ],
)
def test_a_step_names_reports_by_the_patterns_of_artifacts(pattern: str, path: str, fits: bool) -> None:  # noqa: FBT001 - a table
    assert (rules.kind_of(path, {"reports": [pattern]}) == Kind.REPORT) == fits


def test_bazel_keeps_earlier_attempts_beside_a_report() -> None:
    names = ["a/test.xml", "a/test_attempts/attempt_1.xml", "a/test_attempts/attempt_1.log", "b/test.xml"]

    assert rules.attempts_before("a/test.xml", names) == 1
    assert rules.attempts_before("b/test.xml", names) == 0
