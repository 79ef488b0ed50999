"""A real browser before a real web process, in this one's memory.

Debian's chromium is driven by Playwright; nothing is fetched from outside, and each test has pages of
its own in a profile that knows nothing of the tests before.
"""

import json
import os
import shutil
import socket
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
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
# The thirteenth row of a table is made by the same template as those before it.
REPEATED = ["main tbody > tr:nth-child(n+13)", "main li:nth-child(n+13)"]
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
# What moves is drawn sixty times a second, which no test looks at.
USUAL: dict[str, Any] = {
    "viewport": WIDE,
    "color_scheme": "light",
    "reduced_motion": "reduce",
    "timezone_id": "Asia/Tokyo",
    "locale": "en-GB",
}


class Chromium:
    """Of this process: started by the first test that needs it. While it runs, its event loop would be in
    the way of the tests of other folders.
    """

    browser: Browser | None = None
    to_end = ExitStack()

    @classmethod
    def end(cls) -> None:
        cls.to_end.close()
        cls.browser = None


@pytest.fixture(scope="module")
def browser() -> Browser:
    if Chromium.browser is None:
        program = shutil.which("chromium")
        assert program is not None, "chromium is missing: apt-get install chromium"
        playwright = Chromium.to_end.enter_context(sync_playwright())
        Chromium.browser = playwright.chromium.launch(executable_path=program, args=FLAGS)
        Chromium.to_end.callback(Chromium.browser.close)
    return Chromium.browser


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(nextitem: pytest.Item | None) -> Iterator[None]:
    try:
        yield
    finally:
        if nextitem is None or nextitem.path.parent != Path(__file__).parent:
            Chromium.end()


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish() -> None:
    """Where a run was broken off."""
    Chromium.end()


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


class Profiles:
    """Kept for the tests of a file, each with its page: one that was never used fetches and compiles all of
    style and script, in a process that is as new, which is a second of processor for each test.
    """

    def __init__(self, browser: Browser, url: str) -> None:
        self.browser = browser
        self.url = url
        self.free: defaultdict[str, list[BrowserContext]] = defaultdict(list)
        self.lent: list[tuple[dict[str, Any], BrowserContext]] = []

    def lend(self, options: dict[str, Any]) -> Page:
        free = self.free[repr(options)]
        context = free.pop() if free else self.browser.new_context(**options)
        self.lent.append((options, context))
        context.set_default_timeout(WAIT_MS)
        return context.pages[0] if context.pages else context.new_page()

    def take_back(self) -> None:
        for options, context in self.lent:
            context.clear_permissions()
            context.clear_cookies()
            for number, page in enumerate(context.pages):
                if number > 0 or not options.get("java_script_enabled", True):
                    page.close()
                else:
                    self.make_as_new(page, options)
            self.free[repr(options)].append(context)
        self.lent.clear()

    def make_as_new(self, page: Page, options: dict[str, Any]) -> None:
        page.unroute_all(behavior="ignoreErrors")
        page.bring_to_front()
        page.set_viewport_size(options["viewport"])
        page.emulate_media(color_scheme=options["color_scheme"], reduced_motion=options["reduced_motion"])
        # Nothing of what it showed goes on, and it stays in its process. What has no icon of its own would
        # be asked for one, and the next test be told that there is none.
        page.goto(f"{self.url}/auth/login/")
        page.evaluate("localStorage.clear(); sessionStorage.clear()")

    def close(self) -> None:
        for contexts in self.free.values():
            for context in contexts:
                context.close()


@pytest.fixture(scope="module")
def profiles(browser: Browser, site_of_module: Site) -> Iterator[Profiles]:
    profiles = Profiles(browser, site_of_module.url)
    yield profiles
    profiles.close()


@pytest.fixture
def new_reader(profiles: Profiles, site: Site) -> Iterator[NewReader]:
    """Takes the options of a browser context: viewport, color_scheme, java_script_enabled …"""

    def make(permissions: Sequence[str] = (), **options: Any) -> Reader:
        page = profiles.lend({**USUAL, **options})
        if permissions:
            page.context.grant_permissions(permissions)
        page.context.add_cookies([site.session_cookie()])  # type: ignore[list-item]
        reader = Reader(page.context, page, site.url)
        page.on("console", reader.hears)
        page.on("pageerror", lambda error: reader.said.append(str(error)))
        return reader

    yield make
    profiles.take_back()


def complaints(page: Page, within: str = "html") -> list[str]:
    """What axe finds wrong on the page, or in a part of it, as it stands now."""
    if not page.evaluate("'axe' in window"):
        page.evaluate(AXE.read_text())
    judged = {"include": [within], "exclude": REPEATED}
    found = page.evaluate("([judged, options]) => axe.run(judged, options)", [judged, AXE_OPTIONS])
    return [f"{each['id']}: {json.dumps(each['nodes'][0]['html'])}" for each in found["violations"]]


def hidden_beyond_the_edge(page: Page) -> int:
    """How many pixels the page as a whole would have to be scrolled sideways."""
    return int(page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth"))
