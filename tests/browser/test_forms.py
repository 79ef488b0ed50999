"""Forms in a browser: from nothing to a first build without script, and what the script adds."""

from pathlib import Path

import pytest
from playwright.sync_api import Page, expect
from sqlalchemy import select
from tests import factories
from tests.browser.conftest import PHONE, WIDE, NewReader, Site, complaints, hidden_beyond_the_edge

from changes.base.ids import new
from changes.projects import config, tasks
from changes.projects.models import Repository

pytestmark = pytest.mark.system
CONFIG = "plans: [{name: fast tests, commands: [make test]}]"


@pytest.fixture
def source(tmp_path: Path) -> str:
    factories.a_git_repository(tmp_path / "source", {config.FILE_NAME: CONFIG}, "Say hello")
    return str(tmp_path / "source")


def a_slug() -> str:
    return f"hello-{new().hex[-8:]}"


def read_in_the_background(site: Site, url: str) -> None:
    """What a worker does when its bell rings."""
    with site.database.transaction() as session:
        repository = session.execute(select(Repository).where(Repository.url == url)).scalar_one()
    tasks.import_repository(repository.id)


def make_project(page: Page, slug: str, source: str) -> None:
    page.get_by_label("Name").fill("Hello")
    page.get_by_label("Slug").fill(slug)
    page.get_by_label("Repository").fill(source)
    page.get_by_role("button", name="Make the project").click()


def test_without_script_a_newcomer_gets_from_nothing_to_a_first_build(
    new_reader: NewReader, site: Site, source: str
) -> None:
    page = new_reader(java_script_enabled=False).opens("/projects/")
    slug = a_slug()

    page.get_by_role("link", name="New project").first.click()
    make_project(page, slug, source)
    expect(page.get_by_text("The repository is being fetched.")).to_be_visible()
    read_in_the_background(site, source)
    # The page asks for itself anew; nobody reloads it.
    expect(page.get_by_text("Plans come from")).to_be_visible()
    page.get_by_role("button", name="Start the first build").click()

    expect(page).to_have_url(f"{site.url}/projects/{slug}/builds/1/")
    expect(page.get_by_role("heading", level=1)).to_have_text("Say hello")


def test_a_slug_is_suggested_until_somebody_types_one(new_reader: NewReader) -> None:
    page = new_reader().opens_live("/projects/new/")

    page.get_by_label("Name").fill("Café & Co.")
    expect(page.get_by_label("Slug")).to_have_value("cafe-co")
    page.get_by_label("Slug").fill("mine")
    page.get_by_label("Name").fill("Another")

    expect(page.get_by_label("Slug")).to_have_value("mine")


def test_a_build_is_cancelled_from_a_dialog(new_reader: NewReader, site: Site) -> None:
    with site.database.transaction() as session:
        build = factories.a_build(session)
        where = f"/projects/{build.project.slug}/builds/{build.number}/"
    page = new_reader().opens_live(where)

    page.get_by_role("button", name="Cancel").first.click()
    dialog = page.get_by_role("dialog", name=f"Cancel build #{build.number}?")
    dialog.get_by_role("button", name="Keep it running").click()
    expect(dialog).to_be_hidden()
    page.get_by_role("button", name="Cancel").first.click()
    dialog.get_by_role("button", name="Cancel the build").click()

    expect(page.locator("#toasts").get_by_text("The build is cancelled.")).to_be_visible()
    expect(page.get_by_role("button", name="Build again")).to_be_visible()


def test_everybody_can_use_every_form(new_reader: NewReader, site: Site) -> None:
    """Half of them wide and light, half of them dark on a phone: they are made of the same parts."""
    with site.database.transaction() as session:
        project = factories.a_project(session, a_slug())
        plan = factories.a_plan(session, project, {"commands": ["make"]})
        here, its_plan = f"/projects/{project.slug}/", f"/plans/{plan.id.hex}/"
        repository = f"/repositories/{project.repository_id.hex}/"
        step = f"{its_plan}steps/{plan.steps[0].id.hex}/"
    light = ["/projects/new/", f"{here}start/", f"{here}settings/", f"{its_plan}edit/", f"{step}?form=json"]
    dark = [f"{here}build/", f"{here}plans/new/", f"{here}details/", "/repositories/", "/admin/message/"]
    wide = new_reader(viewport=WIDE, color_scheme="light")
    phone = new_reader(viewport=PHONE, color_scheme="dark")

    found = {path: look_at(wide.opens_live(path)) for path in [*light, repository, f"{its_plan}delete/"]}
    found |= {path: look_at(phone.opens_live(path)) for path in [*dark, step, f"{repository}edit/"]}

    assert {path: what for path, what in found.items() if what != ([], 0)} == {}
    assert wide.said + phone.said == []


def look_at(page: Page) -> tuple[list[str], int]:
    return complaints(page), hidden_beyond_the_edge(page)


def test_what_is_wrong_is_read_with_its_field(new_reader: NewReader, site: Site) -> None:
    with site.database.transaction() as session:
        slug = factories.a_project(session, a_slug()).slug
    page = new_reader(java_script_enabled=False).opens(f"/projects/{slug}/plans/new/")

    page.get_by_label("Name").fill("tests")
    page.get_by_label("Commands").fill("make")
    page.get_by_label("Time limit in minutes").fill("soon")
    page.get_by_role("button", name="Make the plan").click()

    limit = page.get_by_label("Time limit in minutes")
    expect(limit).to_have_value("soon")
    expect(limit).to_have_attribute("aria-invalid", "true")
    expect(limit).to_have_accessible_description(
        "Whole minutes, at most 10,080 (a week). Left empty, the option build.timeout of the step or"
        " of its plan holds, else the limit of this server."
    )
    page.get_by_role("link", name="Whole minutes").click()
    expect(page).to_have_url(f"{site.url}/projects/{slug}/plans/new/#timeout")
