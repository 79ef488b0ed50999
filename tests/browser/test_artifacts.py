"""Files of other people before a real browser: shown, and harmless whatever is in them."""

import hashlib
import io
import zipfile
from dataclasses import dataclass

import pytest
from playwright.sync_api import Page, expect
from sqlalchemy.orm import Session
from tests import factories
from tests.browser.conftest import PHONE, NewReader, Site, complaints, hidden_beyond_the_edge
from tests.builds import agents
from tests.results import huge_zip

from changes.app.demo import left
from changes.base import ids, storage
from changes.builds.models import JobStep
from changes.results.models import Artifact

pytestmark = [pytest.mark.system, pytest.mark.front_end]

# It tries what a page of ours could do: to read its cookie, to ask as the reader, to leave its frame.
SPY = b"""<!doctype html><meta charset="utf-8"><title>spy</title><p id="said">nothing ran</p><script>
const said = ["ran"];
const attempt = (name, act) => { try { act(); said.push(name); } catch (error) { said.push(`no ${name}`); } };
attempt("cookie", () => document.cookie.length);
attempt("parent", () => parent.document.title);
attempt("storage", () => localStorage.length);
const tell = () => { document.getElementById("said").textContent = said.join(", "); };
const ask = (name, url, credentials) => fetch(url, {credentials}).then(
  () => said.push(name), () => said.push(`no ${name}`));
Promise.all([ask("projects", "/api/0/projects/", "include"), ask("beside", "data.json"),
  ask("outside", "http://127.0.0.1:9/")])
  .then(tell);
try { if (top !== self) top.location = "/auth/login/"; } catch (error) { said.push("no top"); }
</script>"""
EXPECTED = ("ran", "no cookie", "no parent", "no storage", "no projects", "beside", "no outside")
DRAWING = b"""<svg xmlns="http://www.w3.org/2000/svg" width="40" height="30">
<rect width="40" height="30" fill="red"/>
<script>parent.document.title = "broken into"; document.title = "broken into"</script>
<image href="http://127.0.0.1:9/spy.png" width="1" height="1"/></svg>"""
MARKDOWN = b"""# Notes
<script>document.title = "broken into"</script> <img src=x onerror="document.title='broken into'">
[a link](javascript:document.title='broken_into') ![shot](a.svg)
"""
NAMES = [
    "<img src=x onerror=document.title='broken'>.txt",
    "\u202egpj.exe",
    "two\nlines\tand a tab",
    "../../../etc/passwd".replace("../", "..%2f"),
    "\x1b[31mred\x1b[0m",
    "a" * 900,
]


@dataclass(frozen=True)
class Left:
    list_path: str
    paths: dict[str, str]


@pytest.fixture
def files(site: Site) -> Left:
    """A build that left the spy and its like behind."""
    with site.database.transaction() as session:
        step = agents.a_taken_step(session, factories.a_build(session))
        build = step.job.build
        bomb = io.BytesIO()
        with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("../../etc/passwd", "root")
            archive.writestr("zeros", bytes(2**24))
            archive.writestr("<script>document.title='broken'</script>", SPY)
        contents = {
            "report/index.html": SPY,
            "report/data.json": b"{}",
            "a.svg": DRAWING,
            "notes.md": MARKDOWN,
            "a.zip": bomb.getvalue(),
            "shot.png": left.picture(7),
            **dict.fromkeys(NAMES, b"text"),
        }
        paths = {name: f"/artifacts/{leave(session, step, (name, data))}/" for name, data in contents.items()}
        return Left(f"/projects/{build.project.slug}/builds/{build.number}/artifacts/", paths)


def leave(session: Session, step: JobStep, file: tuple[str, bytes]) -> str:
    (name, data), made = file, ids.new()
    key = f"artifacts/{step.id.hex}/{made.hex}"
    storage.storage.get().put(key, data)
    digest = hashlib.sha256(data).hexdigest()
    about = {"step_id": step.id, "job_id": step.job_id, "name": name, "size_bytes": len(data)}
    session.add(Artifact(id=made, key=key, sha256=digest, **about))
    return made.hex


def is_unharmed(page: Page) -> bool:
    return "broken" not in page.title() and "/auth/" not in page.url


def test_a_report_runs_in_a_world_of_its_own(new_reader: NewReader, files: Left) -> None:
    page = new_reader().opens(files.paths["report/index.html"])

    said = page.frame_locator(".file-frame").locator("#said")

    expect(said).to_contain_text("beside")
    told = said.inner_text()
    assert [word for word in EXPECTED if word not in told.split(", ")] == []
    assert is_unharmed(page)


def test_a_report_in_a_tab_of_its_own_knows_no_more(new_reader: NewReader, files: Left) -> None:
    reader = new_reader()
    page = reader.opens(files.paths["report/index.html"])
    address = page.locator(".file-frame").get_attribute("src")

    alone = reader.context.new_page()
    alone.goto(f"{reader.url}{address}")

    expect(alone.locator("#said")).to_contain_text("beside")
    told = alone.locator("#said").inner_text().split(", ")
    assert {"no cookie", "no storage", "no projects", "no outside"} <= set(told)


@pytest.mark.parametrize("name", ["a.svg", "notes.md", "a.zip", "shot.png"])
def test_what_is_drawn_runs_nothing_and_can_be_used_by_all(
    new_reader: NewReader, files: Left, name: str
) -> None:
    reader = new_reader(viewport=PHONE, color_scheme="dark")

    page = reader.opens_live(files.paths[name])

    page.wait_for_load_state("networkidle")
    assert is_unharmed(page)
    assert complaints(page) == []
    assert hidden_beyond_the_edge(page) == 0
    assert reader.said == []


def test_a_drawing_by_itself_runs_nothing(new_reader: NewReader, files: Left) -> None:
    page = new_reader().opens(f"{files.paths['a.svg']}raw/")

    assert page.evaluate("document.documentElement.tagName") == "svg"
    assert page.title() != "broken into"


def test_pictures_are_really_drawn(new_reader: NewReader, files: Left) -> None:
    page = new_reader().opens(files.paths["shot.png"])

    picture = page.locator(".file-picture img")

    expect(picture).to_be_visible()
    assert picture.evaluate("image => image.decode().then(() => image.naturalWidth)") == left.WIDTH


def test_hostile_names_stay_names(new_reader: NewReader, files: Left) -> None:
    reader = new_reader(viewport=PHONE)

    page = reader.opens_live(files.list_path)

    expect(page.locator("[data-item]")).to_have_count(len(files.paths))
    assert is_unharmed(page)
    assert complaints(page) == []
    assert hidden_beyond_the_edge(page) == 0


def test_a_bomb_and_a_path_out_of_the_archive_are_only_told(new_reader: NewReader, files: Left) -> None:
    page = new_reader().opens(files.paths["a.zip"])

    expect(page.get_by_text("it would become suspiciously large")).to_be_visible()
    expect(page.get_by_text("../../etc/passwd", exact=True)).to_be_visible()
    assert page.locator(".table script").count() == 0


def test_of_a_million_files_in_an_archive_it_is_told_that_they_are_too_many(
    new_reader: NewReader, site: Site
) -> None:
    with site.database.transaction() as session:
        step = agents.a_taken_step(session, factories.a_build(session))
        huge = leave(session, step, ("million.zip", huge_zip.listing(1_000_000)))

    page = new_reader().opens(f"/artifacts/{huge}/")

    expect(page.get_by_text("too long to be shown")).to_be_visible()
