"""Files and lines that a failure names lead to where they can be read."""

import re
from pathlib import Path

import pytest
from sqlalchemy.orm import Session
from starlette.testclient import TestClient
from tests import factories
from tests.finished import a_test, report
from tests.web.conftest import answered, first_step

from changes.projects import mirrors
from changes.projects.models import Project
from changes.web.pages import file_places, links
from changes.web.pages.file_places import Piece

HERE = "/projects/server/builds/1/tests/"
SAID = """\
Traceback (most recent call last):
  File "/var/lib/agent/steps/7/workspace/app/core.py", line 2, in pay
app/test_core.py:1: AssertionError
  File "/usr/lib/python3.11/unittest/case.py", line 59, in run
"""
PATCH = b"""\
diff --git a/app/core.py b/app/core.py
--- a/app/core.py
+++ b/app/core.py
@@ -1,2 +1,3 @@
 one
+between
 two
"""


@pytest.mark.parametrize(
    ("text", "path", "line"),
    [
        ('File "app/core.py", line 12, in pay', "app/core.py", 12),
        ("app/core.py:12: AssertionError", "app/core.py", 12),
        ("at src/pay.go:7 +0x1d", "src/pay.go", 7),
        ("src/pay.ts(12,5): error TS2322", "src/pay.ts", 12),
        ("(src/pay.test.js:3:11)", "src/pay.test.js", 3),
        ("./pay.c:9:1: warning", "./pay.c", 9),
    ],
)
def test_places_are_found_as_each_tool_tells_them(text: str, path: str, line: int) -> None:
    (found,) = file_places.places(text)

    assert (found.path, found.line) == (path, line)


@pytest.mark.parametrize(
    "text",
    [
        "12:30:05 done",
        "localhost:80",
        "a:0",
        "core.py:0",
        'File "/usr/lib/python3.11/unittest/case.py", line 59, in run',
        "/app/node_modules/jest/build/index.js:5:1",
    ],
)
def test_what_is_no_place_of_ours_is_none(text: str) -> None:
    assert list(file_places.places(text)) == []


def test_below_some_checkout_the_longest_name_that_is_there_is_meant() -> None:
    text = "see /x/ws/app/core.py:3 and core.py:4."

    found = file_places.pieces(
        text, list(file_places.places(text)), {"core.py", "app/core.py"}, lambda path, line: f"{path}#{line}"
    )

    assert [each for each in found if each.href] == [
        Piece("/x/ws/app/core.py:3", "app/core.py#3"),
        Piece("core.py:4", "core.py#4"),
    ]
    assert "".join(each.text for each in found) == text


def test_of_a_hostile_text_only_so_many_places_are_read() -> None:
    none = ("a" * 200_000, "a." * 100_000, 'File "' * 30_000, "./" * 100_000)

    assert [list(file_places.places(text)) for text in none] == [[], [], [], []]
    assert len(list(file_places.places("a.b:1 " * 30_000))) == file_places.PLACES_MAX


@pytest.fixture
def project(session: Session, tmp_path: Path) -> Project:
    source = tmp_path / "source"
    factories.a_git_repository(source, {"app/core.py": "one\ntwo\n", "app/test_core.py": "1\n"})
    return factories.a_project(session, "server", factories.a_repository(session, str(source)))


def failed_on(browser: TestClient, session: Session, project: Project, patch: bytes | None = None) -> str:
    """The page of a test that failed in a build of the newest commit."""
    mirror = mirrors.of(project.repository)
    mirror.update()
    build = factories.a_build(session, project)
    build.source = factories.a_source(session, project, sha=mirror.resolve("main"), patch=patch)
    report(session, first_step(session, build), [a_test("app.pay", "failed", message=SAID)])
    listed = browser.get(HERE).text
    return answered(browser.get(re.findall(rf'href="({HERE}[0-9a-f]{{32}}/)"', listed)[0])).text


def test_a_failure_leads_to_the_lines_it_names(
    browser: TestClient, session: Session, project: Project
) -> None:
    page = failed_on(browser, session, project)

    sha = mirrors.of(project.repository).resolve("main")
    for path, line in (("app/core.py", 2), ("app/test_core.py", 1)):
        assert f'<a href="{links.file_at(project.repository_id, sha, path, line)}">' in page


def test_files_that_the_patch_touches_are_not_led_to(
    browser: TestClient, session: Session, project: Project
) -> None:
    page = failed_on(browser, session, project, PATCH)

    assert "app/test_core.py?lines=1#L1" in page
    assert "app/core.py?lines=" not in page


def test_without_a_copy_of_the_repository_a_failure_is_told_as_it_is(
    browser: TestClient, session: Session, project: Project
) -> None:
    page = failed_on(browser, session, project)
    mirrors.of(project.repository).remove()

    again = answered(browser.get(HERE)).text
    without = answered(browser.get(re.findall(rf'href="({HERE}[0-9a-f]{{32}}/)"', again)[0])).text

    assert "?lines=" in page
    assert "?lines=" not in without
    assert "AssertionError" in without
