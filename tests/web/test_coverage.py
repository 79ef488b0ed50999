"""Coverage by the API, as the original told it and with what is ours."""

from typing import Any

import pytest
from sqlalchemy.orm import Session
from starlette.testclient import TestClient
from tests.results.coverage import built, told
from tests.results.coverage.built import PATCH
from tests.web.conftest import API, refused

from changes.base import ids
from changes.builds.models import Build
from changes.projects.models import Project

FILES = {"src/app.py": "CUUPN", "src/lib/a.py": "C", "src/lib/b.py": "UU"}
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


def ask(client: TestClient, path: str) -> Any:
    answer = client.get(f"{API}{path}")
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_each_line_has_a_letter(reader: TestClient, build: Build) -> None:
    found = ask(reader, f"/builds/{build.id.hex}/coverage/")

    assert found == {"src/app.py": "CUUU", "src/lib/a.py": "C", "src/lib/b.py": "UU"}


def test_only_a_folder_is_told_where_it_is_asked_for(reader: TestClient, build: Build) -> None:
    assert ask(reader, f"/builds/{build.id.hex}/coverage/?prefix=src/lib/b") == {"src/lib/b.py": "UU"}


def test_a_build_without_reports_has_no_letters(
    reader: TestClient, session: Session, project: Project
) -> None:
    build = told.of_commit(session, project, {})

    assert ask(reader, f"/builds/{build.id.hex}/coverage/") == {}
    assert ask(reader, f"/builds/{build.id.hex}/stats/coverage/") == {}
    refused(reader.get(f"{API}/builds/{build.id.hex}/coverage/summary/"), 404)


def test_files_have_counts_of_all_and_of_changed_lines(reader: TestClient, patched: Build) -> None:
    found = ask(reader, f"/builds/{patched.id.hex}/stats/coverage/")

    assert found == {
        "src/app.py": {
            "linesCovered": 2,
            "linesUncovered": 1,
            "diffLinesCovered": 0,
            "diffLinesUncovered": 1,
        },
        "src/fresh.py": {
            "linesCovered": 1,
            "linesUncovered": 1,
            "diffLinesCovered": 1,
            "diffLinesUncovered": 1,
        },
    }


def test_with_diff_only_files_that_the_change_touches_are_told(
    reader: TestClient, session: Session, project: Project, build: Build
) -> None:
    files = {**OF_PATCH, "src/other.py": "C"}
    patched = told.of_patch(session, project, build.source.revision_sha, files, PATCH)

    found = ask(reader, f"/builds/{patched.id.hex}/stats/coverage/?diff=1")

    assert sorted(found) == ["src/app.py", "src/fresh.py"]


def test_a_summary_names_the_base_and_the_new_lines_that_did_not_run(
    reader: TestClient, build: Build, patched: Build
) -> None:
    found = ask(reader, f"/builds/{patched.id.hex}/coverage/summary/")

    assert (found["linesCovered"], found["linesUncovered"], found["share"]) == (3, 2, 0.6)
    assert found["base"]["build"] == {"id": build.id.hex, "number": build.number}
    assert (found["base"]["sha"], found["base"]["commitsBelow"]) == (build.source.revision_sha, 0)
    assert (found["patch"]["linesCovered"], found["patch"]["linesUncovered"]) == (1, 2)
    assert [(gap["filename"], gap["first"], gap["last"]) for gap in found["patch"]["gaps"]] == [
        ("src/app.py", 2, 2),
        ("src/fresh.py", 2, 2),
    ]
    assert found["patch"]["gaps"][1]["lines"][1] == {
        "number": 2,
        "text": "two = 2",
        "isAdded": True,
        "coverage": "U",
    }


def test_why_changed_lines_are_not_known_is_told(reader: TestClient, build: Build) -> None:
    found = ask(reader, f"/builds/{build.id.hex}/coverage/summary/")["patch"]

    assert found["linesCovered"] is None
    assert "cannot be read" in found["problem"]


def test_a_project_is_told_by_its_newest_commit_that_passed(
    reader: TestClient, project: Project, build: Build, patched: Build
) -> None:
    found = ask(reader, f"/projects/{project.slug}/coverage/?sort=lines_uncovered")

    assert found == [
        {"filename": "src/app.py", "linesCovered": 1, "linesUncovered": 3},
        {"filename": "src/lib/b.py", "linesCovered": 0, "linesUncovered": 2},
        {"filename": "src/lib/a.py", "linesCovered": 1, "linesUncovered": 0},
    ]
    assert [
        each["filename"] for each in ask(reader, f"/projects/{project.slug}/coverage/?query=src/lib")
    ] == [
        "src/lib/a.py",
        "src/lib/b.py",
    ]


def test_files_of_a_project_are_a_table_for_spreadsheets(reader: TestClient, build: Build) -> None:
    answer = reader.get(f"{API}/projects/{build.project.slug}/coverage/?format=csv&sort=lines_uncovered")

    first, worst, *_ = answer.text.splitlines()
    assert first.split(",")[0] == "filename"
    assert worst.startswith("src/app.py,")


def test_folders_of_a_project_are_told_with_the_way_down(
    reader: TestClient, project: Project, build: Build
) -> None:
    found = ask(reader, f"/projects/{project.slug}/coveragegroups/?parent=src")

    assert found == {
        "groups": [
            {
                "filename": "app.py",
                "path": "src/app.py",
                "totalLinesCovered": 1,
                "totalLinesUncovered": 3,
                "numFiles": 1,
            },
            {
                "filename": "lib",
                "path": "src/lib",
                "totalLinesCovered": 1,
                "totalLinesUncovered": 2,
                "numFiles": 2,
            },
        ],
        "trail": [{"path": "src", "name": "src"}],
    }


def test_a_project_without_coverage_has_no_files_and_no_folders(reader: TestClient, project: Project) -> None:
    assert ask(reader, f"/projects/{project.slug}/coverage/") == []
    assert ask(reader, f"/projects/{project.slug}/coveragegroups/") == {"groups": [], "trail": []}


@pytest.mark.parametrize("path", ["", "of the project"])
def test_a_source_has_the_coverage_of_the_lines_that_it_adds(
    reader: TestClient, project: Project, patched: Build, path: str
) -> None:
    where = f"/projects/{project.slug}" if path else ""

    found = ask(reader, f"{where}/sources/{patched.source_id.hex}/?coverage=1")

    assert found["coverage"] == {"src/app.py": "CUC", "src/fresh.py": "CU"}
    assert found["coverageForAddedLines"] == ["U", "C", "U"]


def test_a_source_of_a_project_has_its_diff(reader: TestClient, project: Project, patched: Build) -> None:
    found = ask(reader, f"/projects/{project.slug}/sources/{patched.source_id.hex}/")

    assert found["diff"] == PATCH.decode()
    assert "coverage" not in found


def test_a_source_that_was_never_built_has_no_coverage(
    reader: TestClient, session: Session, project: Project
) -> None:
    source = told.a_commit(session, project)

    found = ask(reader, f"/sources/{source.id.hex}/?coverage=1")

    assert (found["coverage"], found["coverageForAddedLines"]) == ({}, [])


def test_what_does_not_exist_is_not_found(reader: TestClient, project: Project) -> None:
    for path in (f"builds/{ids.new().hex}/coverage/", f"builds/{ids.new().hex}/coverage/summary/"):
        refused(reader.get(f"{API}/{path}"), 404)
    refused(reader.get(f"{API}/projects/{project.slug}/sources/{ids.new().hex}/"), 404)
