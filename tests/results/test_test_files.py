"""Which files of a step are shown beside a test."""

import io
from dataclasses import dataclass

import pytest

from changes.results import test_files
from changes.results.formats import junit

TEST = "tests/test_login.py::test_login_fails[chromium]"


@dataclass(frozen=True)
class File:
    name: str


@pytest.mark.parametrize(
    "name",
    [
        "test-results/tests-test-login-py-test-login-fails-chromium/test-failed-1.png",
        "test-results/tests-test-login-py-test-login-fails-chromium/video.webm",
        "screenshots/test_login_fails[chromium].png",
        "screenshots/test_login_fails_chromium-2.png",
        "shots/tests.test_login.py.test_login_fails.chromium/end.png",
    ],
)
def test_files_that_are_called_as_the_test_belong_to_it(name: str) -> None:
    assert test_files.of_test(TEST, "", [File(name)]) == [File(name)]


@pytest.mark.parametrize(
    "name",
    [
        "junit.xml",
        "test-results/tests-test-login-py-test-logout-chromium/test-failed-1.png",
        "screenshots/test_login.png",
        "test-results/video.webm",
    ],
)
def test_files_of_others_do_not(name: str) -> None:
    assert test_files.of_test(TEST, "", [File(name)]) == []


@pytest.mark.parametrize("path", ["out/a.png", "/home/ci/checkout/out/a.png", "C:\\ci\\out\\a.png"])
def test_what_its_own_words_name_is_attached(path: str) -> None:
    files = [File("out/a.png"), File("a.png"), File("out/b.png")]

    found = test_files.of_test("a.b", f"boom\n[[ATTACHMENT|{path}]]\n", files)

    assert File("out/a.png") in found
    assert File("out/b.png") not in found


def test_a_short_name_means_nothing() -> None:
    assert test_files.of_test("a", "", [File("a.png"), File("a/b.png")]) == []


def test_ten_thousand_files_and_a_hostile_name_take_no_time() -> None:
    files = [File(f"{'a-' * 400}{number}.png") for number in range(2000)]

    assert test_files.of_test("a-" * 500 + "b", "[[ATTACHMENT|" * 1000, files) == []


@pytest.mark.parametrize("name", ["attachment", "screenshot", "Video"])
def test_files_that_a_report_names_as_properties_are_attached(name: str) -> None:
    report = (
        '<testsuite><testcase classname="a" name="b"><properties>'
        f'<property name="{name}" value="out/x.png"/><property name="colour" value="red"/>'
        "</properties><failure>boom</failure></testcase></testsuite>"
    )

    (seen,) = junit.parse(io.BytesIO(report.encode()))

    assert "boom" in seen.message
    assert "red" not in seen.message
    assert test_files.of_test("a.b", seen.message, [File("out/x.png")]) == [File("out/x.png")]
