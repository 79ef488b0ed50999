"""Pages of coverage: of a build and its folders, files and changed lines, and of a project."""

from collections.abc import Callable

import pytest
from sqlalchemy.orm import Session
from starlette.testclient import TestClient
from tests.results.coverage import built, told
from tests.results.coverage.built import PATCH

from changes.builds.models import Build
from changes.projects import changes
from changes.projects.changes import NewChange
from changes.projects.models import Project

HOSTILE = "src/<script>alert(1)<.py"
FILES = {"src/app.py": "CUUPN", "src/lib/a.py": "C", HOSTILE: "UU"}
OF_PATCH = {"src/app.py": "CUC", "src/fresh.py": "CU"}


@pytest.fixture
def project(session: Session) -> Project:
    return built.an_unread_project(session)


@pytest.fixture
def build(session: Session, project: Project) -> Build:
    return told.of_commit(session, project, FILES)


@pytest.fixture
def patched(session: Session, project: Project, build: Build) -> Build:
    return told.of_patch(session, project, build.source.revision_sha, OF_PATCH, PATCH)


def page_of(build: Build) -> str:
    return f"/projects/{build.project.slug}/builds/{build.number}/"


def coverage_of(build: Build) -> str:
    return f"{page_of(build)}coverage/"


def text_of(browser: TestClient, path: str) -> str:
    answer = browser.get(path)
    assert answer.status_code == 200
    return str(answer.text)


def test_a_build_shows_how_much_ran_and_its_files(browser: TestClient, build: Build) -> None:
    page = text_of(browser, coverage_of(build))

    assert "28.5 %" in page
    assert "2 of 7 lines" in page
    assert "no commit below has a build with coverage" in page
    assert f'href="{coverage_of(build)}files/src/app.py"' in page
    assert "cannot be read, so nobody knows which lines it changes" in page


def test_names_of_others_are_text(browser: TestClient, build: Build) -> None:
    page = text_of(browser, coverage_of(build))

    assert "<script>alert" not in page
    assert "files/src/%3Cscript%3Ealert%281%29%3C.py" in page


def test_a_folder_is_opened_by_its_address(browser: TestClient, build: Build) -> None:
    page = text_of(browser, f"{coverage_of(build)}?folder=src/lib")

    assert "a.py" in page
    assert "app.py" not in page.partition('id="folders"')[2]


@pytest.mark.parametrize("asked", ["?folder=nothing", "?folder=../..", "?folder=/", "?page=7", "?sort=share"])
def test_odd_addresses_are_answered(browser: TestClient, build: Build, asked: str) -> None:
    assert browser.get(f"{coverage_of(build)}{asked}").status_code == 200


def test_the_base_is_named_and_new_lines_that_did_not_run_are_shown(
    browser: TestClient, build: Build, patched: Build
) -> None:
    page = text_of(browser, coverage_of(patched))

    assert f"Against build #{build.number}" in page
    assert f"at {build.source.revision_sha[:12]}, the commit it stands on" in page
    assert "33.3 %" in page
    assert "1 of 3 ran" in page
    assert "two = 2" in page
    assert f'href="{coverage_of(patched)}files/src/fresh.py#L2"' in page


def test_the_diff_has_a_mark_beside_each_line_that_could_run(browser: TestClient, patched: Build) -> None:
    page = text_of(browser, f"{coverage_of(patched)}changes/")

    assert page.count("mark-uncovered") >= 2
    assert page.count('<span class="unseen">did not run</span>') == 2
    assert "1 of 3 new lines that can run ran, 33.3 %." in page


def test_a_file_is_shown_with_its_source_and_marks(browser: TestClient, patched: Build) -> None:
    page = text_of(browser, f"{coverage_of(patched)}files/src/fresh.py")

    assert "50.0 %" in page
    assert 'id="L2" class="line-uncovered"' in page
    assert 'href="#L2">2</a>' in page


def test_a_file_whose_source_cannot_be_read_still_says_which_lines_did_not_run(
    browser: TestClient, build: Build
) -> None:
    page = text_of(browser, f"{coverage_of(build)}files/src/app.py")

    assert "Its lines cannot be shown." in page
    assert "<span>2\N{EN DASH}4</span>" in page


def test_a_file_that_no_report_tells_of_is_not_found(browser: TestClient, build: Build) -> None:
    assert browser.get(f"{coverage_of(build)}files/src/other.py").status_code == 404
    assert browser.get(f"{coverage_of(build)}files/../../etc/passwd").status_code == 404


def test_a_build_without_coverage_says_how_to_come_to_it(
    browser: TestClient, session: Session, project: Project
) -> None:
    build = told.of_commit(session, project, {})

    assert "pytest --cov" in text_of(browser, coverage_of(build))
    assert browser.get(f"{coverage_of(build)}changes/").status_code == 404
    assert 'class="coverage-meter"' not in text_of(browser, page_of(build))


def test_the_page_of_a_build_tells_of_its_coverage(browser: TestClient, build: Build, patched: Build) -> None:
    page = text_of(browser, page_of(patched))

    assert "3 of 5 lines ran" in page
    assert f">build #{build.number}</a>" in page
    assert "33.3 %" in page
    assert "two = 2" in page


def test_a_project_shows_its_way_and_a_badge(
    browser: TestClient, session: Session, project: Project, build: Build
) -> None:
    told.of_commit(session, project, {"src/app.py": "CCCU"})

    page = text_of(browser, f"/projects/{project.slug}/coverage/")

    assert "75.0 %" in page
    assert "+46.4 points" in page
    assert 'aria-label="Coverage of the last builds"' in page
    assert f"/projects/{project.slug}/coverage.svg" in page


def test_a_project_without_coverage_says_how_to_come_to_it(browser: TestClient, project: Project) -> None:
    assert "No coverage yet" in text_of(browser, f"/projects/{project.slug}/coverage/")


def test_a_badge_is_a_picture_that_can_do_nothing(
    browser: TestClient, project: Project, build: Build
) -> None:
    answer = browser.get(f"/projects/{project.slug}/coverage.svg")

    assert answer.headers["Content-Type"] == "image/svg+xml"
    assert "sandbox" in answer.headers["Content-Security-Policy"]
    assert "coverage: 28.5 %" in answer.text


def test_a_badge_of_what_nobody_knows_says_so(browser: TestClient, project: Project) -> None:
    assert "unknown" in browser.get(f"/projects/{project.slug}/coverage.svg").text


def test_strangers_see_no_badge(client: TestClient, project: Project) -> None:
    assert client.get(f"/projects/{project.slug}/coverage.svg").status_code == 303


def test_pages_ask_few_questions_however_many_files_there_are(
    session: Session, project: Project, build: Build, questions: Callable[[str], int]
) -> None:
    many = {f"src/{number}/{name}.py": "CU" for number in range(20) for name in "abcdef"} | OF_PATCH
    large = told.of_patch(session, project, build.source.revision_sha, many, PATCH)
    here, file = coverage_of(large), f"{coverage_of(large)}files/src/fresh.py"

    asked = [questions(path) for path in (here, f"{here}changes/", file)]

    assert max(asked) <= 10
    assert questions(f"/projects/{project.slug}/coverage/") <= 5


def test_the_page_of_a_change_tells_of_its_newest_build(
    browser: TestClient, session: Session, patched: Build
) -> None:
    repository = patched.source.repository
    change = changes.create(session, repository, NewChange(title="Mend it", key="D12", author=None))
    changes.add_version(session, change, patched.source)

    assert "3 of 5 lines ran" in text_of(browser, f"/changes/{change.id.hex}/")
