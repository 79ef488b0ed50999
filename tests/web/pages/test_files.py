"""A file of a repository at a revision: its lines, their addresses, and what is no text."""

from pathlib import Path

import pytest
from sqlalchemy.orm import Session
from starlette.testclient import TestClient
from tests import factories
from tests.web.conftest import answered

from changes.projects import mirrors
from changes.projects.models import Repository
from changes.projects.rules import RepositoryBackend
from changes.web.pages import files, links

HOSTILE = '<script>alert("x")</script>\n'


@pytest.fixture
def source(tmp_path: Path) -> Path:
    factories.a_git_repository(tmp_path / "source", {"src/a b.py": "def one():\n    return 1\n"})
    return tmp_path / "source"


@pytest.fixture
def repository(session: Session, source: Path) -> Repository:
    repository = factories.a_repository(session, str(source))
    mirrors.of(repository).update()
    return repository


def added(repository: Repository, source: Path, files_added: dict[str, str]) -> str:
    sha = factories.commit(source, files_added, "More")
    mirrors.of(repository).update()
    return sha


def test_a_file_shows_its_lines_in_colours_and_where_it_is_from(
    browser: TestClient, session: Session, repository: Repository, source: Path
) -> None:
    factories.a_project(session, "server", repository)
    sha = factories.git(source, "rev-parse", "HEAD").strip()

    page = answered(browser.get(links.file_at(repository.id, sha, "src/a b.py"))).text

    assert '<span class="code-keyword">def</span>' in page
    assert '<tr id="L2"><td' in page
    assert f'href="/projects/server/commits/{sha}/"' in page
    assert "2 lines" in page


def test_a_branch_leads_to_its_newest_commit_which_is_named(
    browser: TestClient, repository: Repository, source: Path
) -> None:
    sha = added(repository, source, {"b": "1\n"})

    page = answered(browser.get(links.file_at(repository.id, "main", "b"))).text

    assert "which is main now" in page
    assert links.file_at(repository.id, sha, "b") in page


def test_a_branch_with_slashes_in_its_name_leads_there_too(
    browser: TestClient, repository: Repository, source: Path
) -> None:
    factories.git(source, "checkout", "--quiet", "-b", "fix/of/a-leak")
    sha = added(repository, source, {"src/deep/b": "1\n"})

    page = answered(browser.get(links.file_at(repository.id, "fix/of/a-leak", "src/deep/b"))).text
    text = answered(browser.get(f"/api/0{links.file_at(repository.id, 'fix/of/a-leak', 'src/deep/b')}")).text

    assert "which is fix/of/a-leak now" in page
    assert links.file_at(repository.id, sha, "src/deep/b") in page
    assert text == "1\n"


def test_lines_that_are_asked_for_are_marked_in_the_part_that_holds_them(
    browser: TestClient, repository: Repository, source: Path
) -> None:
    sha = added(repository, source, {"long": "".join(f"line {number}\n" for number in range(1, 2502))})

    page = answered(browser.get(links.file_at(repository.id, sha, "long", 2100, 2101))).text

    assert [text.partition('"')[0] for text in page.split('<tr id="')[1:] if "line-chosen" in text] == [
        "L2100",
        "L2101",
    ]
    assert 'id="L2001"' in page
    assert 'id="L2000"' not in page
    assert "Part 3 of 3" in page


@pytest.mark.parametrize("lines", ["0", "x", "5-", "9" * 12, "1;2"])
def test_nonsense_for_lines_marks_none(lines: str) -> None:
    assert files.chosen(lines) is None


def test_what_is_in_a_file_is_only_text(browser: TestClient, repository: Repository, source: Path) -> None:
    added(repository, source, {"a.html": HOSTILE, "turned": "a\N{RIGHT-TO-LEFT OVERRIDE}b\n"})

    assert "<script>alert" not in answered(browser.get(links.file_at(repository.id, "main", "a.html"))).text
    assert "U+202E" in answered(browser.get(links.file_at(repository.id, "main", "turned"))).text


def test_bytes_that_are_no_characters_are_told_and_ends_of_lines_of_windows_are_not(
    browser: TestClient, repository: Repository, source: Path
) -> None:
    (source / "latin").write_bytes(b"caf\xe9\r\nno\r\n")
    added(repository, source, {})

    page = answered(browser.get(links.file_at(repository.id, "main", "latin"))).text

    assert "\\xe9" in page
    assert ">CR<" not in page


def test_a_binary_file_is_no_text(browser: TestClient, repository: Repository, source: Path) -> None:
    (source / "image").write_bytes(b"\x89PNG\0\0")
    sha = added(repository, source, {})

    page = answered(browser.get(links.file_at(repository.id, "main", "image"))).text

    assert "Not a text" in page
    assert f'href="/api/0{links.file_at(repository.id, sha, "image")}"' in page


def test_more_than_a_page_can_hold_is_told_and_can_be_had(
    browser: TestClient, repository: Repository, source: Path
) -> None:
    content = "x" * (files.SHOWN_MAX_BYTES + 1)
    sha = added(repository, source, {"much": content})
    address = links.file_at(repository.id, sha, "much")

    page = answered(browser.get(address)).text
    whole = answered(browser.get(f"/api/0{address}"))

    assert "Too much for a page" in page
    assert whole.text == content
    assert whole.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert "sandbox" in whole.headers["Content-Security-Policy"]


def test_what_is_not_there_is_told_in_words(browser: TestClient, repository: Repository) -> None:
    asked = [
        "main/no/such",
        "main/src",
        "main/src/..%2f..%2fetc/passwd",
        "--output=x/b",
        "gone/b",
        "gone/a/b/c/d/e/f/g/h",
        f"{'0' * 40}/b",
    ]

    answers = [browser.get(f"/repositories/{repository.id.hex}/files/{each}") for each in asked]

    assert {answer.status_code for answer in answers} == {404}
    told = ["There is no file"] * 4 + ["No commit here is called"] * 3
    assert [words for words, answer in zip(told, answers, strict=True) if words not in answer.text] == []


def test_a_link_that_leads_out_of_the_repository_is_no_file(
    browser: TestClient, repository: Repository, source: Path
) -> None:
    (source / "out").symlink_to("/etc/passwd")
    added(repository, source, {})

    assert browser.get(links.file_at(repository.id, "main", "out")).status_code == 404


def test_a_commit_that_only_we_know_is_asked_for_and_no_other(
    browser: TestClient, session: Session, source: Path
) -> None:
    repository = factories.a_repository(session, str(source))
    sha = factories.git(source, "rev-parse", "HEAD").strip()
    address = links.file_at(repository.id, sha, "src/a b.py")
    unread = browser.get(address)

    factories.a_source(session, factories.a_project(session, "server", repository), sha=sha)

    assert unread.status_code == 503
    assert "2 lines" in answered(browser.get(address)).text


def test_without_version_control_there_are_no_files(browser: TestClient, session: Session) -> None:
    repository = factories.a_repository(session)
    repository.backend = RepositoryBackend.UNKNOWN
    session.flush()

    answer = browser.get(links.file_at(repository.id, "main", "a"))

    assert answer.status_code == 404
    assert "no version control" in answer.text


def test_the_files_of_a_commit_lead_to_all_of_each(
    browser: TestClient, session: Session, repository: Repository, source: Path
) -> None:
    sha = added(repository, source, {"src/new.py": "1\n"})
    version = factories.a_source(session, factories.a_project(session, "server", repository), sha=sha)

    page = answered(browser.get(f"/sources/{version.id.hex}/")).text

    assert f'href="{links.file_at(repository.id, sha, "src/new.py")}"' in page
