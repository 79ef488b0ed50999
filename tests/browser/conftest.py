"""A real browser before a real web process, in this one's memory.

Debian's chromium is driven by Playwright; nothing is fetched from outside, and each test has a
profile of its own.
"""

import json
import os
import shutil
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Page,
    ViewportSize,
    expect,
    sync_playwright,
)
from tests.conftest import copy_of_template
from tests.factories import olga

from changes.app import server
from changes.base import db
from changes.base.settings import Settings
from changes.people import users
from changes.web.auth import COOKIE

AXE = Path(__file__).parent.parent.parent / "node_modules/axe-core/axe.min.js"
# What passed is not described, which takes most of the time; nor is the style sheet fetched once
# more, which no rule of those that are asked wants.
AXE_OPTIONS = {"resultTypes": ["violations"], "selectors": False, "preload": False}
FLAGS = [
    # The sandbox of chromium does not start for root, as which many build machines run.
    *(["--no-sandbox"] if os.geteuid() == 0 else []),
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
START_WITHIN_S = 200.0
WAIT_MS = 120_000
# It knows nothing of the timeout of a context, and gives up after five seconds by itself.
expect.set_options(timeout=WAIT_MS)
WIDE, PHONE = ViewportSize(width=1440, height=900), ViewportSize(width=390, height=844)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One per file: while it runs, its event loop would be in the way of other tests of this process."""
    program = shutil.which("chromium")
    assert program is not None, "chromium is missing: apt-get install chromium"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=FLAGS)
        yield browser
        browser.close()


@dataclass(frozen=True)
class Site:
    url: str
    database: db.Database

    def session_cookie(self) -> dict[str, Any]:
        with self.database.transaction() as session:
            secret = users.open_session(session, olga(session).id)
        return {"name": COOKIE, "value": secret, "url": self.url}


@pytest.fixture(scope="module")
def site_of_module() -> Iterator[Site]:
    with copy_of_template() as url, socket.create_server(("127.0.0.1", 0)) as listener:
        database = db.Database(url, pool_size=8)
        db.database.set(database)
        program = uvicorn.Server(
            uvicorn.Config(server.create_app(), log_config=None, timeout_graceful_shutdown=5)
        )
        thread = threading.Thread(target=program.run, kwargs={"sockets": [listener]})
        thread.start()
        ends_at = time.monotonic() + START_WITHIN_S
        while not program.started and time.monotonic() < ends_at:
            time.sleep(0.01)
        yield Site(f"http://127.0.0.1:{listener.getsockname()[1]}", database)
        program.should_exit = True
        thread.join()
        database.close()


@pytest.fixture
def site(site_of_module: Site, settings: Settings) -> Site:
    db.database.set(site_of_module.database)
    return site_of_module


@dataclass
class Reader:
    """Somebody signed in before a screen. `said` is what the console of the browser complained about."""

    context: BrowserContext
    page: Page
    url: str
    said: list[str] = field(default_factory=list)

    def opens(self, path: str) -> Page:
        self.page.goto(f"{self.url}{path}")
        return self.page

    def opens_live(self, path: str) -> Page:
        """And waits until the script has started."""
        self.opens(path)
        self.page.wait_for_selector("html[data-scripted]", state="attached")
        return self.page

    def hears(self, message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"}:
            self.said.append(message.text)


NewReader = Callable[..., Reader]


@pytest.fixture
def new_reader(browser: Browser, site: Site) -> Iterator[NewReader]:
    """Takes the options of a browser context: viewport, color_scheme, java_script_enabled …"""
    contexts = []

    def make(**options: Any) -> Reader:
        context = browser.new_context(
            **{"viewport": WIDE, "timezone_id": "Asia/Tokyo", "locale": "en-GB", **options}
        )
        contexts.append(context)
        context.set_default_timeout(WAIT_MS)
        context.add_cookies([site.session_cookie()])  # type: ignore[list-item]
        reader = Reader(context, context.new_page(), site.url)
        reader.page.on("console", reader.hears)
        reader.page.on("pageerror", lambda error: reader.said.append(str(error)))
        return reader

    yield make
    for context in contexts:
        context.close()


def complaints(page: Page, within: str = "html") -> list[str]:
    """What axe finds wrong on the page, or in a part of it, as it stands now."""
    if not page.evaluate("'axe' in window"):
        page.evaluate(AXE.read_text())
    found = page.evaluate("([within, options]) => axe.run(within, options)", [within, AXE_OPTIONS])
    return [f"{each['id']}: {json.dumps(each['nodes'][0]['html'])}" for each in found["violations"]]


def hidden_beyond_the_edge(page: Page) -> int:
    """How many pixels the page as a whole would have to be scrolled sideways."""
    return int(page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth"))
