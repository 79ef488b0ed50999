"""The lines of a file and their addresses, before a reader with a script."""

import re
from pathlib import Path
from uuid import UUID

import pytest
from playwright.sync_api import Page, expect
from tests import factories
from tests.browser.conftest import PHONE, NewReader, Site, complaints, hidden_beyond_the_edge

from changes.projects import mirrors
from changes.projects.models import Repository
from changes.web.pages import links

pytestmark = [pytest.mark.system, pytest.mark.front_end]

MANY = "".join(f"number_{number} = {number}\n" for number in range(1, 1061))
WIDE = "".join(
    f"def number_{number}() -> int:  # {'wide ' * 40}\n    return {number}\n" for number in range(20)
)


@pytest.fixture
def files(site: Site, tmp_path: Path) -> str:
    """One of them is two parts long, and one is wide."""
    factories.a_git_repository(tmp_path / "source", {"src/many.py": MANY})
    sha = factories.commit(tmp_path / "source", {"src/wide.py": WIDE}, "Wide")
    with site.database.transaction() as session:
        repository = factories.a_repository(session, str(tmp_path / "source"))
        mirrors.of(repository, session).update()
        return links.file_at(repository.id, sha, "src/")


def chosen(page: Page) -> list[str]:
    found: list[str] = page.eval_on_selector_all(".line-chosen", "rows => rows.map(row => row.id)")
    return found


def test_numbers_are_addresses_and_shift_makes_a_range_of_them(new_reader: NewReader, files: str) -> None:
    page = new_reader().opens_live(f"{files}wide.py#L12-L14")
    first = chosen(page)
    page.get_by_label("Line 20", exact=True).click()
    one = chosen(page)
    page.get_by_label("Line 17", exact=True).click(modifiers=["Shift"])

    assert (first, one) == (["L12", "L13", "L14"], ["L20"])
    assert chosen(page) == ["L17", "L18", "L19", "L20"]
    assert page.url.endswith("#L17-L20")


def test_a_line_of_another_part_is_found_there(new_reader: NewReader, files: str) -> None:
    page = new_reader().opens_live(f"{files}many.py#L1050-L1051")

    expect(page.locator("#L1051.line-chosen")).to_be_in_viewport()
    assert chosen(page) == ["L1050", "L1051"]


def test_a_file_is_for_all_by_night_on_a_phone_and_by_day(new_reader: NewReader, files: str) -> None:
    reader = new_reader()
    page = reader.opens_live(f"{files}wide.py#L12-L14")
    by_day = complaints(page)
    page.emulate_media(color_scheme="dark")
    page.set_viewport_size(PHONE)

    assert (by_day, complaints(page)) == ([], [])
    assert hidden_beyond_the_edge(page) == 0
    assert reader.said == []


def test_a_diff_leads_to_the_whole_of_each_file(new_reader: NewReader, site: Site, files: str) -> None:
    repository, _, sha = files.strip("/").split("/")[1:4]
    with site.database.transaction() as session:
        project = factories.a_project(session, "", session.get_one(Repository, UUID(repository)))
        version = factories.a_source(session, project, sha=sha).id.hex
    page = new_reader().opens_live(f"/sources/{version}/")

    assert complaints(page, within="main") == []
    page.get_by_role("link", name="Whole file").last.click()
    expect(page).to_have_url(re.compile("/files/.*/src/wide.py$"))
