"""Which files a report takes along, and under which names."""

from pathlib import Path

import pytest

from changes.app.cli import report_files
from changes.app.cli.report_files import Wanted
from changes.results.rules import is_junit


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "work"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


def put(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("x")
    return path


def names(wanted: Wanted) -> list[str]:
    missing: list[str] = []
    found = [file.name for file in report_files.find(wanted, missing=missing.append)]
    assert missing == []
    return found


def test_every_test_report_gets_a_name_under_which_it_is_read(here: Path) -> None:
    for name in ("a/TEST-one.xml", "a/TEST-two.xml", "junit.xml"):
        put(here / name)

    found = names(Wanted(junit=["**/*.xml"]))

    assert found == ["a/TEST-one.junit.xml", "a/TEST-two.junit.xml", "junit.xml"]
    assert all(is_junit(name) for name in found)


def test_coverage_that_is_no_xml_keeps_its_name(here: Path) -> None:
    put(here / "lcov.info"), put(here / "cov.xml"), put(here / "coverage.xml")

    assert names(Wanted(coverage=["lcov.info", "cov.xml", "coverage.xml"])) == [
        "lcov.info",
        "cov.coverage.xml",
        "coverage.xml",
    ]


def test_files_from_elsewhere_of_one_name_do_not_replace_each_other(here: Path, tmp_path: Path) -> None:
    first, second = put(tmp_path / "one/out.txt"), put(tmp_path / "two/out.txt")

    assert names(Wanted(artifacts=[str(first), str(second)])) == ["out.txt", "2.out.txt"]


def test_a_file_that_two_patterns_match_is_taken_once(here: Path) -> None:
    put(here / "out.txt")

    assert names(Wanted(artifacts=["*.txt", "out.*"])) == ["out.txt"]


def test_a_file_whose_name_looks_like_a_pattern_is_that_file(here: Path) -> None:
    put(here / "a[1].txt"), put(here / "a1.txt")

    assert names(Wanted(artifacts=["a[1].txt"])) == ["a[1].txt"]


@pytest.mark.parametrize("pattern", ["nothing.xml", "*.xml", "/nowhere/*.xml", ""])
def test_a_pattern_that_matches_nothing_is_told(here: Path, pattern: str) -> None:
    missing: list[str] = []

    assert report_files.find(Wanted(junit=[pattern]), missing=missing.append) == []
    assert missing == [pattern]
